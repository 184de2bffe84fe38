"""One module a version of the ledger, each with the step up from the version before."""
