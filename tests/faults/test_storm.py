"""The cap storm in its short form; `make faults FAULTS=long` is the long one."""

import pytest

from tests.faults.checker import Checker
from tests.faults.storm import Plan, Storm

SHORT = Plan(
    seconds=18,
    processes=2,
    threads=8,
    stormy=9,
    calm=9,
    crash_every=(4.0, 6.0),
    ttls=(1, 2, 3),
)


ONE_ALERT = (
    "(SELECT id FROM alerts_alert WHERE policy_name = 'Told early' AND kind = 'limit'"
    " ORDER BY id LIMIT 1)"
)
ONE_HOLD = "(SELECT id FROM usage_reservation WHERE state <> 'open' LIMIT 1)"

PASSED = "allowed AND reservation_id IS NULL"

# What somebody might do to the rows, and what the checker then says, among others.
TAMPERING = {
    f"DELETE FROM alerts_delivery WHERE alert_id = {ONE_ALERT};"
    f" DELETE FROM alerts_alert WHERE id = {ONE_ALERT}": "alert of",
    "UPDATE usage_reservation SET state = 'open', ended_at = NULL,"
    f" expires_at = now() - interval '1 hour' WHERE id = {ONE_HOLD}": "still open",
    "UPDATE usage_counter SET used = used + 1 WHERE kind = 'lifetime'": "counter has",
    f"DELETE FROM audit_decisionrecord WHERE {PASSED}": "allow without",
    "DELETE FROM usage_usageevent WHERE client_id LIKE 'e-%'": "acknowledged event",
    "UPDATE storm_journal SET said = jsonb_set(said, '{state}', '\"revoked\"')"
    " WHERE what = 'accounts_bot'": "stale allow",
}

pytestmark = [pytest.mark.process, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def storm(tmp_path_factory):
    storm = Storm(tmp_path_factory.mktemp("storm"), SHORT)
    storm.report = storm.run()
    return storm


def test_no_kill_lets_a_cap_be_passed_or_an_event_be_lost(storm):
    report = storm.report
    assert report.violations == []
    assert storm.progress.killed >= 3
    assert storm.progress.crashes + storm.progress.backends >= 1
    # Without grants, settles and alerts nothing would have been tried.
    assert min(report.counts[of] for of in ("granted", "settled", "alerts")) > 0


def test_the_checker_sees_what_is_wrong(storm):
    """A checker that finds nothing proves something only if it can find something."""
    storm.house.start_database()
    try:
        for tampering, words in TAMPERING.items():
            violations = check(storm, tampering)
            assert any(words in text for text in violations), (words, violations[:20])
        stricter = check(storm, divided_by=8)
        assert any("was granted beyond" in text for text in stricter)
    finally:
        storm.house.end()


def check(storm, tampering="SELECT", divided_by=1) -> list[str]:
    """What the checker finds after `tampering`, which is then taken back."""
    notes = sorted(storm.folder.glob("acks-*.tsv"))
    with storm.house.connect() as database, database.transaction(force_rollback=True):
        database.execute(tampering)
        return Checker(database, notes, divided_by).check().violations
