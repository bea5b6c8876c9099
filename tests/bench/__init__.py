"""`make bench`: how fast the ledger is on this machine, measured on real parts."""
