"""Migrations of the ledger, one module a version; `warehouse.ledger.versions` runs them."""
