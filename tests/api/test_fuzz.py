"""Whatever is sent, the answer is a clear one: never a 500."""

import copy
import json
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.api.client import Api, assert_problem

TOLD = """name type usage retention content scope bot user model project limits metric
tokens cost threshold window kind calendar unit day rolling seconds actions block email
to duration_seconds group_by alert_steps rollout_mode shadow agentId userId tenantId
action warn maxCallsPerDay id reason ends_at scopes decide expires_at overlap_seconds
period all subject revision role text meta started_at external_id owner description
state title default_hold 2026-01-01T00:00:00Z 9999-12-31T23:59:59Z
0001-01-01T00:00:00+14:00"""
WORDS = st.sampled_from(TOLD.split())
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | WORDS
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(WORDS | st.text(max_size=8), inner, max_size=6)
    ),
    max_leaves=25,
)
ROUTES = [
    ("POST", "/bots"),
    ("PUT", "/bots/{bot}"),
    ("PATCH", "/bots/{bot}"),
    ("POST", "/bots/{bot}/block"),
    ("POST", "/bots/{bot}/unblock"),
    ("POST", "/projects"),
    ("PATCH", "/projects/{project}"),
    ("POST", "/keys"),
    ("POST", "/keys/{key}/rotate"),
    ("POST", "/keys/{key}/revoke"),
    ("POST", "/policies"),
    ("PUT", "/policies/{policy}"),
    ("PATCH", "/policies/{policy}"),
    ("POST", "/policies/{policy}/restore"),
    ("POST", "/policies/{policy}/reset"),
    ("POST", "/conversations"),
    ("POST", "/conversations/{conversation}/messages"),
]


@pytest.fixture
def places(api, bot, project, document):
    return {
        "bot": bot.public_id,
        "project": project.public_id,
        "policy": api.post("/policies", document).json()["id"],
        "key": api.post("/keys", {"scopes": ["decide"]}).json()["id"],
        "conversation": api.post("/conversations", {"bot": bot.public_id}).json()["id"],
    }


@pytest.mark.parametrize(("method", "route"), ROUTES)
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(body=VALUES)
def test_any_json_gets_a_clear_answer(api, places, method, route, body):
    path = route.format(**places)
    raw = json.dumps(body).encode()

    answer = api.call(method, path, raw=raw, If_Match="*")
    assert answer.status_code < 500, (raw, answer.content)
    if answer.status_code >= 400:
        told = answer.json()
        assert_problem(
            answer,
            told["status"],
            told["code"],
            *[error["pointer"] for error in told["errors"]],
        )


VALID = {
    "type": "usage",
    "name": "Cap",
    "description": "",
    "scope": {"user": "u", "model": "m*"},
    "group_by": ["user"],
    "limits": [
        {"metric": "tokens", "threshold": 5, "window": {"kind": "lifetime"}},
        {"metric": "cost", "threshold": "1", "window": {"kind": "fixed", "seconds": 9}},
    ],
    "actions": {"block": {"duration_seconds": 5}, "email": {"to": ["a@x.org"]}},
    "alert_steps": [80],
    "rollout_mode": "enforce",
    "rollout_percent": 10,
    "fail_mode": "open",
    "on_unpriced": "allow",
    "default_hold": {"tokens": 5, "cost": 0.5},
    "notify_in_shadow": True,
}


def _places(value, place=()):
    inner = ()
    if isinstance(value, dict):
        inner = value.items()
    elif isinstance(value, list):
        inner = enumerate(value)
    return [place] + [p for k, each in inner for p in _places(each, (*place, k))]


def _with(value, place, new):
    if not place:
        return new
    changed = copy.copy(value)
    changed[place[0]] = _with(value[place[0]], place[1:], new)
    return changed


@settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(place=st.sampled_from(_places(VALID)), new=VALUES)
def test_a_policy_with_anything_anywhere_gets_a_clear_answer(api, place, new):
    made = api.post("/policies", _with(VALID, place, new))

    assert made.status_code in (201, 400, 422), made.content
    if made.status_code == 201:
        path = f"/policies/{made.json()['id']}"
        assert api.get(path).status_code == 200
        assert api.get(f"{path}/usage").status_code == 200


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(raw=st.binary(max_size=60))
def test_any_bytes_get_a_clear_answer(api, raw):
    assert api.call("POST", "/bots", raw=raw).status_code < 500


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    path=st.text(st.characters(codec="utf-8"), max_size=20),
    query=st.text(st.characters(codec="utf-8"), max_size=20),
)
@pytest.mark.parametrize("route", ["bots", "policies", "audit/decisions", "alerts"])
def test_any_path_and_query_get_a_clear_answer(api: Api, route, path, query):
    for url in (
        f"/{route}/{quote(path, safe='')}",
        f"/{route}?cursor={quote(query)}&limit={quote(query)}",
        f"/{route}?bot={quote(query)}",
        f"/{route}?{quote(query, safe='=&%')}",
    ):
        assert api.get(url).status_code < 500, url
