"""What can be wrong with a ledger's database, as sentences for people."""

from __future__ import annotations

from warehouse.errors import LedgerVersionError, NoLedgerError
from warehouse.ledger.address import LEDGER_URL_VARIABLE, LedgerAddress
from warehouse.ledger.reading import LEDGER_VERSION

WAIT_S = 30
"""How long to wait for a lock that another process holds."""


def nothing_yet(address: LedgerAddress) -> NoLedgerError:
    """There is no ledger where one was to be read."""
    return NoLedgerError(
        f"There is no ledger at {address.shown}: nothing has been run here yet. "
        "Run `atlas route` or `atlas profile run` first, or point --root at another folder."
    )


def refuse_newer(address: LedgerAddress, version: int | None) -> None:
    """Leave a ledger alone that this ATLAS does not know.

    Raises:
        LedgerVersionError: a newer version of ATLAS wrote it.
    """
    if version is not None and version > LEDGER_VERSION:
        raise LedgerVersionError(
            f"The ledger at {address.shown} has version {version}; this ATLAS knows up to "
            f"{LEDGER_VERSION}. Upgrade ATLAS, or point --root at another folder; "
            "nothing was changed."
        )


def explain(address: LedgerAddress, error: Exception) -> str:
    """A database's error as a sentence: what, where, what to do."""
    cause = " ".join(str(getattr(error, "orig", None) or error).split()).rstrip(".?")
    if "locked" in cause or "lock timeout" in cause:
        return (
            f"The ledger at {address.shown} is locked by another process and stayed so for "
            f"{WAIT_S} s. Wait for the live run to end, or use another --root."
        )
    if "not a database" in cause or "malformed" in cause:
        return (
            f"The ledger at {address.shown} is damaged ({cause}). Nothing was changed. "
            "Restore it from a backup; the Parquet files beside it are untouched."
        )
    if address.shared:
        return (
            f"The ledger at {address.shown} cannot be used: {cause}. Check that the server runs "
            f"and that {LEDGER_URL_VARIABLE} names its host, database, user and password."
        )
    return (
        f"The ledger at {address.shown} cannot be used: {cause}. Check the folder's permissions "
        "and space."
    )
