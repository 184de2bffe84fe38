"""What we do: one verb per module. Prefect, MLflow and SQL stay at the edges."""
