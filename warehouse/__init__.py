"""What we keep: table schemas, atomic Parquet commits and the ledger of paid requests."""
