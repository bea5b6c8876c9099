"""Whatever reaches a hot route, the answer is a clear one."""

import json

import httpx
import pytest
from asgiref.sync import sync_to_async
from django.db import connections
from django.utils.timezone import now as utc_now
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette

from api import lane
from tests.api.lane_caller import DirectTransport
from tests.api.test_lane import AUTHORIZE, USAGE, Caller, House, new_key

pytestmark = pytest.mark.django_db(transaction=True)
BUDGET = "/api/v1/budget"
RELEASE = "/api/v1/reservations/res_1/release"
CLOUD = {"Content-Type": "application/cloudevents+json"}
in_thread = sync_to_async(thread_sensitive=True)


@pytest.fixture
def alice():
    return House("alice", now=utc_now())


@pytest.fixture
async def client():
    app = Starlette(routes=lane.routes)
    app.router.redirect_slashes = False
    transport = DirectTransport(app)
    async with (
        lane.lifespan(app),
        httpx.AsyncClient(transport=transport, base_url="http://lane") as opened,
    ):
        yield opened
    await in_thread(connections.close_all)()


@pytest.fixture
def caller(client, alice):
    return Caller(client, new_key(alice))


def assert_problem(answer, *statuses):
    assert answer.status_code in statuses, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-request-id"].startswith("req_")
    told = answer.json()
    assert {"type", "title", "status", "detail", "code", "errors"} == set(told)
    assert told["status"] == answer.status_code
    for error in told["errors"]:
        assert {"pointer", "detail"} <= set(error)
    return told


MALFORMED = {
    "nothing": b"",
    "half": b'{"bot": "a"',
    "two": b'{"bot": "a"} {}',
    "mark": b'\xef\xbb\xbf{"bot": "a"}',
    "latin": b'{"bot": "\xe9"}',
    "overlong": b'{"bot": "\xc0\x80"}',
    "surrogate bytes": b'{"bot": "\xed\xa0\x80"}',
    "surrogate": b'{"bot": "\\ud800"}',
    "surrogate name": b'{"\\udc00": 1}',
    "raw nul": b'{"bot": "a\x00"}',
    "control": b'{"bot": "a\x01"}',
    "nan": b'{"bot": "a", "estimate": {"cost": NaN}}',
    "infinity": b'{"bot": "a", "estimate": {"cost": -Infinity}}',
    "octal": b'{"bot": "a", "ttl_seconds": 010}',
    "comma": b'{"bot": "a",}',
    "comment": b'{"bot": "a"} // x',
    "single": b"{'bot': 'a'}",
    "deep": b'{"bot": ' + b"[" * 200_000 + b"]" * 200_000 + b"}",
    "deep events": b'{"events": [' + b"[" * 50_000 + b"]" * 50_000 + b"]}",
}


@pytest.mark.parametrize("path", [AUTHORIZE, USAGE])
async def test_what_is_no_json_is_refused(caller, path):
    for raw in MALFORMED.values():
        answer = await caller.post(path, content=raw, headers={})
        assert_problem(answer, 400, 413, 422)


WRONG = {
    "array": [],
    "text": "a",
    "null": None,
    "number": 1,
    "bot number": {"bot": 1},
    "bot empty": {"bot": ""},
    "bot nul": {"bot": "a\x00"},
    "user nul": {"bot": "a", "user": "\x00"},
    "user long": {"bot": "a", "user": "u" * 257},
    "unknown": {"bot": "a", "bots": 1},
}
AMOUNTS = [True, 1.0, 1e3, "1", "١", "", -1, 2**53, 10**30, [], {}, -0.5, "NaN"]


@pytest.mark.parametrize("path", [AUTHORIZE, USAGE])
async def test_what_has_the_wrong_form_is_refused(caller, path):
    for body in WRONG.values():
        answer = await caller.post(path, content=json.dumps(body).encode())
        assert assert_problem(answer, 422)["code"] == "invalid_body"


NAMES = ["tokens", "input_tokens", "output_tokens", "messages", "calls"]
ENVELOPE = {"specversion": "1.0", "id": "e", "source": "/s", "type": "t"}


@pytest.mark.parametrize("name", NAMES)
async def test_an_amount_is_a_whole_number_or_nothing(caller, alice, name):
    for amount in AMOUNTS:
        said = {"bot": alice.bot.public_id, name: amount}
        for path, body, headers, pointer in (
            (AUTHORIZE, {"bot": "b", "estimate": {name: amount}}, {}, "/estimate"),
            (USAGE, said, {}, ""),
            (USAGE, ENVELOPE | {"data": said}, CLOUD, "/data"),
        ):
            answer = await caller.post(path, body, headers=headers)
            told = assert_problem(answer, 422)
            assert told["errors"][0]["pointer"] == f"{pointer}/{name}"


COSTS = [-1, "-1", "x", "1e3", "NaN", "1.0000001", True, [], "١", "", 1e300, 10**30]


async def test_a_cost_is_dollars_or_nothing(caller, alice):
    for cost in COSTS:
        event = {"bot": alice.bot.public_id, "cost": cost}
        assert_problem(await caller.post(USAGE, event), 422)


async def test_what_a_cloud_event_may_ignore_is_json_all_the_same(caller, alice):
    data = json.dumps({"bot": alice.bot.public_id, "tokens": 1})
    event = '{"specversion":"1.0","id":"e","source":"/s","type":"t","data":%s,"x":%s}'
    good = (event % (data, "[" * 30 + "]" * 30)).encode()
    answer = await caller.post(USAGE, content=good, headers=CLOUD)
    assert answer.status_code == 202
    for ignored in ("[" * 32 + "]" * 32, '"\udcff"'):
        raw = (event % (data, ignored)).encode("utf-8", "surrogateescape")
        assert_problem(await caller.post(USAGE, content=raw, headers=CLOUD), 400)


OTHERS = [
    {"Content-Type": "text/plain"},
    {"Content-Type": "application/x-www-form-urlencoded"},
    {"Content-Type": "multipart/form-data; boundary=x"},
    {"Content-Type": "application/json; charset=utf-16"},
    {"Content-Type": 'application/json;charset="latin-1"'},
    {"Content-Type": ""},
    {"Content-Type": "application/json", "Content-Encoding": "gzip"},
    {"Content-Type": "application/json", "Content-Encoding": "br"},
]


async def test_other_types_and_encodings_are_refused(caller):
    for headers in OTHERS:
        for path in (AUTHORIZE, USAGE, RELEASE):
            answer = await caller.post(path, content=b'{"bot": "a"}', headers=headers)
            assert_problem(answer, 415)


async def test_utf_8_may_be_named(caller, alice):
    for named in ("utf-8", "UTF-8", '"utf-8"'):
        headers = {"Content-Type": f"application/json; charset={named}"}
        raw = json.dumps({"bot": alice.bot.public_id}).encode()
        answer = await caller.post(AUTHORIZE, content=raw, headers=headers)
        assert answer.status_code == 200


async def test_a_body_has_a_size(caller, alice):
    event = {"bot": alice.bot.public_id, "id": "x" * 300_000}
    assert_problem(await caller.post(AUTHORIZE, event), 413)
    assert_problem(await caller.post(USAGE, event), 413)
    assert_problem(await caller.post(USAGE, {"events": [event] * 8}), 413)


QUERIES = [
    (AUTHORIZE, "dry_runs=1"),
    (AUTHORIZE, "dry_run=maybe"),
    (AUTHORIZE, "%00=1"),
    (USAGE, "x=1"),
    (RELEASE, "x="),
    (BUDGET, ""),
    (BUDGET, "bot="),
    (BUDGET, "bot=%00"),
    (BUDGET, "bot=a&limit=1"),
    (BUDGET, "bot=a&user=" + "u" * 300),
    (BUDGET, "bot=%ff"),
]


async def test_a_query_that_means_nothing_is_refused(caller):
    for path, query in QUERIES:
        if path == BUDGET:
            answer = await caller.get(f"{path}?{query}")
        else:
            answer = await caller.post(f"{path}?{query}", {"bot": "a"})
        assert_problem(answer, 404 if "%ff" in query else 422)


@pytest.mark.parametrize("path", [AUTHORIZE, USAGE, RELEASE, BUDGET])
async def test_other_methods_are_refused(client, caller, path):
    allowed = "GET" if path == BUDGET else "POST"
    for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "FOO"} - {allowed}:
        answer = await client.request(method, path, headers=caller.headers)
        assert_problem(answer, 405)
        assert answer.headers["allow"] == allowed
        assert_problem(await client.request(method, path), 401)


async def test_a_fault_of_ours_is_a_problem_too(client, caller, alice, monkeypatch):
    async def broken(self, item):
        raise ZeroDivisionError

    monkeypatch.setattr("usage.async_ledger.AsyncLedger.submit", broken)
    answer = await caller.post(AUTHORIZE, {"bot": alice.bot.public_id})
    assert assert_problem(answer, 500)["code"] == "internal_error"


TEXTS = st.text(max_size=30) | st.text(alphabet="\x00\ud800\udfff a/~", max_size=4)
NUMBERS = st.integers(-(2**70), 2**70) | st.floats() | st.booleans()
VALUES = TEXTS | NUMBERS | st.none() | st.lists(NUMBERS, max_size=2)
WORDS = """bot id user model conversation tokens input_tokens output_tokens messages
conversations calls cost occurred_at reservation estimate reserve ttl_seconds events
x"""
FIELDS = st.sampled_from(WORDS.split())


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    body=st.lists(
        st.fixed_dictionaries({"bot": TEXTS}) | st.dictionaries(FIELDS, VALUES),
        min_size=1,
        max_size=20,
    )
)
async def test_any_values_in_any_fields_get_a_clear_answer(caller, alice, body):
    raw = json.dumps({"events": body}, allow_nan=True).encode()
    many = await caller.post(USAGE, content=raw, headers={})
    if many.status_code == 202:
        assert len(many.json()["data"]) == len(body)
    else:
        assert_problem(many, 400, 422)
    for each in body[:4]:
        one = json.dumps({"bot": alice.bot.public_id, **each}).encode()
        for path in (AUTHORIZE, USAGE):
            answer = await caller.post(path, content=one, headers={})
            if answer.status_code not in (200, 202):
                assert_problem(answer, 400, 404, 409, 422)
