"""Every route × everyone × own, foreign and absent ids (CONTRACT G2, G7).

The routes come from Django's resolver and from the lane; `entries` says who may.
"""

import gc
import json
import re
from functools import partial

import httpx
import pytest
from django.test import Client

from tests.api.client import Api
from tests.routes import api_places, django_places
from tests.tenancy import entries
from tests.tenancy.world import PLAIN, absent, filled, undone

LANE = re.compile(
    r"/v1/(authorize|usage|budget|reservations/[^/]+/release)$|POST /v1/|GET /v1/"
)
TOKEN = re.compile(rb'name="csrfmiddlewaretoken" value="[^"]*"|X-CSRFToken[^}]*')
ADD = (
    "tests/tenancy/entries.py needs a line for {0}: who may (letters), "
    "and under BODIES what is sent"
)
pytestmark = pytest.mark.django_db


def _operations():
    for place in api_places():
        if place.path.startswith("/api/v1/") or place.path.startswith("/v1/"):
            for method in sorted(place.methods or {"GET"}):
                yield f"{method} {place.path}", place


LETTERS = dict(entries.api_lines())
OPERATIONS = dict(_operations())
DRF = [name for name in OPERATIONS if not LANE.search(name)]
HOT = [name for name in OPERATIONS if LANE.search(name)]


def test_every_route_has_an_entry():
    missing = sorted(OPERATIONS.keys() - LETTERS.keys())
    assert not missing, ADD.format(missing)
    gone = sorted(LETTERS.keys() - OPERATIONS.keys())
    assert not gone, f"tests/tenancy/entries.py names what is no route: {gone}"


def test_every_page_has_an_entry():
    known = {path for path, _ in entries.page_lines()}
    there = {place.path for place in django_places()}
    rest = {path for path in there if not path.startswith(("/api/", entries.STAFF))}
    rest -= known
    alone = {p for p in rest if p in entries.OPEN or p.startswith("/accounts/")}
    assert not rest - alone, ADD.format(sorted(rest - alone))
    assert not known - there, f"no page has these paths: {sorted(known - there)}"


def _path(name, ids_):
    template = name.partition(" ")[2].removeprefix("/api/v1")
    known = {**PLAIN, **ids_}
    for (part, parameter), other in entries.ELSEWHERE.items():
        if part in name and parameter in known:
            known[parameter] = ids_[other]
    for parameter in OPERATIONS[name].parameters:
        assert parameter in known, (
            f"tests/tenancy/world.py makes no row for {{{parameter}}} of {name}: "
            "make one in World._corner and keep its public id under that name"
        )
    path = template.format(**known)
    query = filled(entries.QUERIES.get(name, ""), ids_)
    return f"{path}?{query}" if query else path


def _call(api, name, ids_):
    method = name.partition(" ")[0]
    body = filled(entries.BODIES.get(name, {}), ids_)
    sent = {} if method in ("GET", "DELETE") else {"body": body}
    path = _path(name, ids_)
    return undone(lambda: api.call(method, path, **sent, If_Match="*", Accept="*/*"))


def _same(one, other):
    assert one.status_code == other.status_code, (one.content, other.content)
    assert one.content == other.content
    varying = {"X-Request-Id", "Date"}
    kept = [
        {k: v for k, v in answer.items() if k not in varying} for answer in (one, other)
    ]
    assert kept[0] == kept[1]


def _quiet(answer, world, ids_=()):
    """Nothing of another's account is in an answer, but what was asked for by id."""
    body = answer.content
    for secret in world.secrets - set(ids_):
        assert secret.encode() not in body, f"{secret} is told"
        for name, value in answer.items():
            assert secret not in value, f"{secret} is told in {name}"


@pytest.mark.parametrize("name", DRF)
def test_own_rows(worlds, name):
    """Each role does what it may in its own account, and nothing else."""
    ours, theirs = worlds
    anonymous = _call(Api(), name, ours.here.ids)
    assert anonymous.status_code == 401, anonymous.content
    _quiet(anonymous, ours, ours.here.ids.values())
    for letter, api in ours.apis.items():
        answer = _call(api, name, ours.here.ids)
        told = f"{name} by {letter}: {answer.status_code} {answer.content[:500]}"
        if letter in LETTERS.get(name, ""):
            assert answer.status_code < 300 or answer.status_code == 409, told
        else:
            assert answer.status_code in (403, 404), told
        _quiet(answer, theirs)


@pytest.mark.parametrize("name", DRF)
def test_foreign_rows_are_absent(worlds, name):
    ours, theirs = worlds
    for api in (theirs.apis["o"], theirs.apis["k"]):
        _compare(api, name, theirs, ours, ours.here.ids)


@pytest.mark.parametrize("name", DRF)
def test_another_projects_rows_are_absent(worlds, name):
    ours, _ = worlds
    shared = {"price_id", "slug", "user"}
    ids_ = {k: v for k, v in ours.there.ids.items() if k not in shared}
    if not _mentions(name) - shared:
        return
    foreign = _call(ours.apis["j"], name, ours.here.ids | ids_)
    nowhere = _call(ours.apis["j"], name, absent(ours.here.ids, *ids_))
    _same(foreign, nowhere)
    assert foreign.status_code in (400, 403, 404, 422) or name.startswith("GET")


def _mentions(name):
    """The rows that a request names, in its path, query or body."""
    text = json.dumps(entries.BODIES.get(name, {})) + entries.QUERIES.get(name, "")
    named = {*OPERATIONS[name].parameters, *re.findall(r"@(\w+)", text)}
    for (part, parameter), other in entries.ELSEWHERE.items():
        if part in name and parameter in named:
            named = named - {parameter} | {other}
    # A user is whatever a caller calls one: the name of nobody is as good as any.
    return named - set(PLAIN) - {"user"}


def _in_path(name):
    return {p for p in _mentions(name) if f"@{p}" not in str(entries.BODIES.get(name))}


def _compare(api, name, own, other, ids_):
    """Put each id of another's in the place of an own one, and then an absent one."""
    named = _mentions(name)
    if not named:
        _quiet(_call(api, name, own.here.ids), other)
        return
    ways = [named, *({each} for each in named if len(named) > 1)]
    for way in ways:
        foreign = _call(api, name, own.here.ids | {k: ids_[k] for k in way})
        nowhere = _call(api, name, absent(own.here.ids, *way))
        _same(foreign, nowhere)
        _quiet(foreign, other, ids_.values())
        in_path = not way.isdisjoint(_in_path(name))
        expected = (403, 404) if in_path else (400, 403, 404, 422)
        assert foreign.status_code in expected, f"{name}: {foreign.content}"


@pytest.mark.parametrize(("path", "letters"), entries.page_lines())
def test_pages(worlds, path, letters):
    ours, theirs = worlds
    own = path.format(**PLAIN, **ours.here.ids)
    nowhere = path.format(**PLAIN, **absent(theirs.here.ids, "slug"))
    for method in ("GET", "POST"):
        for letter in "opav":
            answer = _visit(ours, letter, method, own)
            told = f"{method} {own} by {letter}: {answer.status_code}"
            if letter in letters:
                assert answer.status_code in (200, 204, 302, 405, 409, 422), told
                assert "/accounts/login" not in answer.get("Location", ""), told
            else:
                assert answer.status_code in (403, 405), told
            _quiet(answer, theirs)
        unknown = undone(partial(Client().generic, method, own))
        if unknown.status_code != 405:
            assert unknown.status_code == 302, own
            assert unknown["Location"].startswith("/accounts/login/")
        _absent_page(_visit(theirs, "o", method, own), ours)
        lost = _visit(theirs, "o", method, nowhere)
        _absent_page(lost, ours)
        assert _plain(_visit(theirs, "o", method, own)) == _plain(lost)


def _absent_page(answer, world):
    assert answer.status_code in (404, 405)
    _quiet(answer, world, world.here.ids.values())


def _plain(answer):
    return answer.status_code, TOKEN.sub(b"", answer.content)


def _visit(world, letter, method, path):
    client = world.apis[letter].client
    data = {"reason": "x", "name": "x"} if method == "POST" else None
    verb = client.post if method == "POST" else client.get
    return undone(lambda: verb(path, data))


def _landed(world, method, path):
    """Visit a page; a GET of what only takes forms leads to the page above it."""
    answer = _visit(world, "o", method, path)
    if method == "GET" and answer.status_code == 302:
        assert path.startswith(answer["Location"])
        return answer["Location"], _visit(world, "o", method, answer["Location"])
    return path, answer


@pytest.mark.parametrize(("path", "letters"), entries.page_lines())
def test_foreign_rows_on_own_pages_are_absent(worlds, path, letters):
    ours, theirs = worlds
    rows = {n for n in re.findall(r"\{(\w+)\}", path) if n not in {"slug", *PLAIN}}
    if not rows:
        return
    foreign = theirs.here.ids | {k: ours.here.ids[k] for k in rows}
    for method in ("GET", "POST"):
        at, seen = _landed(theirs, method, path.format(**PLAIN, **foreign))
        lost = absent(theirs.here.ids, *rows)
        at_lost, gone = _landed(theirs, method, path.format(**PLAIN, **lost))
        if at == at_lost:  # a list: it names nothing of them
            _quiet(seen, ours, ours.here.ids.values())
        else:
            _absent_page(seen, ours)
            assert _plain(seen) == _plain(gone)


def test_the_admin_is_closed_to_all(worlds):
    ours, theirs = worlds
    for place in django_places():
        if not place.path.startswith(entries.STAFF):
            continue
        path = re.sub(r"\{\w+\}", theirs.here.ids["bot_id"], place.path)
        for client in (Client(), ours.apis["o"].client, ours.apis["v"].client):
            answer = undone(lambda c=client, p=path: c.get(p))
            assert answer.status_code in (302, 404) or "login" in path, path
            _quiet(answer, theirs, theirs.here.ids.values())


def test_what_is_open_tells_nothing(worlds):
    ours, _ = worlds
    for place in django_places():
        opened = place.path in entries.OPEN or place.path.startswith("/accounts/")
        if opened and not place.parameters:
            answer = undone(lambda p=place.path: Client().get(p))
            assert answer.status_code < 500, place.path
            _quiet(answer, ours)


@pytest.fixture
async def lane(worlds):
    """A client of the lane, in this process."""
    from policyhub.asgi import app, root

    transport = httpx.ASGITransport(app=app)
    thresholds = gc.get_threshold()
    async with (
        root.router.lifespan_context(root),
        httpx.AsyncClient(transport=transport, base_url="http://lane") as opened,
    ):
        yield opened
    gc.unfreeze()
    gc.set_threshold(*thresholds)


async def _ask(client, headers, name, ids_):
    method = name.partition(" ")[0]
    path = _path(name, ids_)
    path = path if name.partition(" ")[2].startswith("/v1/") else f"/api/v1{path}"
    body = entries.BODIES.get(name)
    sent = {} if body is None or method == "GET" else {"json": filled(body, ids_)}
    if "/v1/" in name and "/api/" not in name:
        headers = headers | {k: ids_[v] for k, v in entries.TARGETS.items()}
    answer = await client.request(method, path, headers=headers, **sent)
    kept = {k: v for k, v in answer.headers.items() if not k.startswith(_OWN)}
    return answer.status_code, answer.content, kept


_OWN = ("x-request-id", "x-ratelimit", "date")


@pytest.mark.parametrize("name", HOT)
async def test_the_lane(worlds, lane, name):
    ours, theirs = worlds
    sessions = {"Cookie": f"sessionid={ours.apis['o'].client.session.session_key}"}
    for nobody in ({}, sessions, {"Authorization": "Bearer phk_live_x"}):
        status, body, _ = await _ask(lane, nobody, name, ours.here.ids)
        assert status == 401, body
    for letter in "kj":
        status, body, _ = await _ask(
            lane, ours.apis[letter].headers, name, ours.here.ids
        )
        # In the gateway the cap is spent, and an upstream of one's own ends the echo.
        governed = " /v1/" in name and status in (404, 429)
        assert status in (200, 202) or governed, body
        assert not [s for s in theirs.secrets if s.encode() in body]
    for api, other in (
        (theirs.apis["k"], ours.here),
        (theirs.apis["j"], ours.here),
        (ours.apis["j"], ours.there),
    ):
        own = theirs.here if other is ours.here else ours.here
        foreign = await _ask(lane, api.headers, name, own.ids | _rows(other))
        gone = absent(own.ids, *_rows(other))
        assert foreign == await _ask(lane, api.headers, name, gone), foreign
        assert foreign[0] in (404, 422) or name == "GET /v1/models", foreign


def _rows(corner):
    """What the lane's routes name."""
    return {name: corner.ids[name] for name in ("bot_id", "id")}
