-- Run once, when the volume of PostgreSQL is new; `ledger` is made by the image itself.
CREATE DATABASE prefect;
CREATE DATABASE mlflow;
