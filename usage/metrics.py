"""What the ledger of one process counts, for Prometheus."""

from prometheus_client import Counter, Gauge

BATCHES = Counter("policyhub_ledger_batches", "Transactions that were committed.")
ENTRIES = Counter("policyhub_ledger_entries", "Calls, events and releases answered.")
AHEAD = Counter(
    "policyhub_ledger_ahead", "Batches worked out while the one before was committed."
)
RESTARTS = Counter("policyhub_ledger_restarts", "Batches run again on newer rules.")
RETRIES = Counter(
    "policyhub_ledger_retries", "Batches run again after a deadlock (40P01, 40001)."
)
HALVED = Counter("policyhub_ledger_halved", "Batches split because one entry failed.")
IN_DOUBT = Counter("policyhub_ledger_in_doubt", "Commits that had to be asked for.")
UNAVAILABLE = Counter("policyhub_ledger_unavailable", "Batches that found no database.")
OVERLOADED = Counter("policyhub_ledger_overloaded", "Calls refused by a full queue.")
FAIL_OPEN = Counter("policyhub_fail_open", "Calls let through without a database.")
SPOOLED = Gauge("policyhub_fail_open_spooled", "Such calls that await their record.")
REPLAYED = Counter("policyhub_fail_open_replayed", "Such calls recorded since.")
UNREPLAYED = Counter(
    "policyhub_fail_open_unreplayed", "Such calls that no record could be made of."
)
