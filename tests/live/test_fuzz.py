"""A short form of `make fuzz`: hostile input for the running server, as each role."""

import httpx
import pytest

from tests.live.forms import wrong_with
from tests.live.fuzz import attack, furnished
from tests.live.mutate import send
from tests.live.raw import throw

pytestmark = [pytest.mark.process, pytest.mark.timeout(600)]
EXAMPLES = "3"  # of each operation


@pytest.fixture(scope="module")
def ids(live):
    return furnished(live)


def test_schemathesis_finds_nothing(live, ids, tmp_path):
    # The same cases wherever it runs: as many as it has time for are more elsewhere.
    options = ("--phases", "fuzzing", "--request-timeout", "60")
    options += ("--max-examples", EXAMPLES, "--generation-deterministic")
    done = attack(live, "key", ids, tmp_path, *options, patience=30)

    assert done["status"] == 0, done["output"][-6000:]
    assert not live.complaints


def test_spoilt_examples_get_clear_answers(live, ids):
    schema = httpx.get(f"{live.url}/api/schema", timeout=60).json()
    # The patience of `make fuzz`, 2 s, is for a machine that does nothing else.
    tally = send(live.url, schema, live.made["callers"], ids, count=1500, patience=30)

    assert not tally.faults, "\n".join(tally.faults[:10])
    assert len(tally.statuses) > 8, tally.statuses
    assert not live.complaints


def test_whatever_bytes_are_sent_the_lane_lives_on(live):
    throw(live.url, live.made["everything"], count=300)
    assert not live.complaints


def test_a_path_with_a_line_break_leads_nowhere_as_others_do(live):
    key = {"Authorization": f"Bearer {live.made['everything']}"}
    for path in ("/api/v1/alerts/a%0Ab/ack", "/api/v1/policy/a%0Ab/delete"):
        answer = httpx.post(f"{live.url}{path}", headers=key, timeout=60)
        kind = answer.headers["content-type"]
        assert answer.status_code == 404
        assert not wrong_with(path, 404, kind, answer.content)
