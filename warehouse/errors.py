"""Errors of the warehouse: sentences for people, naming what, where and what to do."""

from __future__ import annotations


class WarehouseError(Exception):
    """Rows could not be kept or read back."""


class LedgerBusyError(WarehouseError):
    """Another live process holds the run."""


class NoLedgerError(WarehouseError):
    """Nothing has been run yet where a ledger was to be read."""


class LedgerVersionError(WarehouseError):
    """The ledger was written by a newer version of ATLAS."""
