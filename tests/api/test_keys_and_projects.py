"""Keys and projects over HTTP."""

from pathlib import Path

import pytest
from django.test import Client
from django.utils import timezone

from accounts.keys import SCANNER_REGEX
from tests.api.client import Api, assert_problem, key_api
from usage.entries import CallIn, EventIn
from usage.ledger import authorize, record_events


def _as(text):
    return Api({"Authorization": f"Bearer {text}"})


def test_a_keys_text_is_shown_once_and_works(api):
    made = api.post("/keys", {"name": "CI", "scopes": ["bots:read", "decide"]})

    assert made.status_code == 201
    body = made.json()
    assert body["key"].startswith("phk_live_")
    assert body["prefix"] == body["key"][:17]
    assert body["last4"] == body["key"][-4:]
    assert _as(body["key"]).get("/bots").status_code == 200
    read = api.get(f"/keys/{body['id']}").json()
    assert "key" not in read
    assert read["status"] == "active"
    assert read["last_used_at"] is not None
    assert body["key"] not in api.get("/keys").content.decode()


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({}, ["/scopes"]),
        ({"scopes": []}, ["/scopes"]),
        ({"scopes": "decide"}, ["/scopes"]),
        ({"scopes": ["decide", "fly"]}, ["/scopes"]),
        ({"scopes": [1]}, ["/scopes/0"]),
        ({"scopes": ["decide"], "expires_at": "2020-01-01T00:00:00Z"}, ["/expires_at"]),
        ({"scopes": ["decide"], "expires_at": "soon"}, ["/expires_at"]),
        ({"scopes": ["decide"], "digest": "x"}, ["/digest"]),
    ],
)
def test_a_key_that_cannot_be_is_refused(api, body, pointers):
    assert_problem(api.post("/keys", body), 422, "invalid_body", *pointers)


def test_foreign_and_absent_bindings_are_the_same(stranger, bot, project):
    for name, foreign in (("bot", bot.public_id), ("project", project.public_id)):
        answers = [
            stranger.post("/keys", {"scopes": ["decide"], name: ref})
            for ref in (foreign, "nothing")
        ]
        for answer in answers:
            assert_problem(answer, 422, "unknown_reference", f"/{name}")
        assert answers[0].content == answers[1].content


def test_a_key_gives_no_more_than_it_has(acme):
    lesser = key_api(acme, ["keys:write", "bots:read"])

    assert lesser.post("/keys", {"scopes": ["bots:read"]}).status_code == 201
    for scopes in (["bots:write"], ["*"]):
        assert_problem(lesser.post("/keys", {"scopes": scopes}), 403, "forbidden")


def test_a_key_cannot_rotate_a_stronger_one(api, acme):
    strong = api.post("/keys", {"scopes": ["*"]}).json()["id"]
    lesser = key_api(acme, ["keys:write"])

    assert_problem(lesser.post(f"/keys/{strong}/rotate"), 403, "forbidden")


def test_a_key_of_a_project_is_for_a_bot_of_it(api, bot, project):
    body = {"scopes": ["decide"], "project": "europe", "bot": bot.public_id}
    assert_problem(api.post("/keys", body), 422, "invalid_body", "/bot")
    api.patch(f"/bots/{bot.public_id}", {"project": "europe"}, If_Match="*")
    made = api.post("/keys", body).json()
    assert (made["project"], made["bot"]) == (project.public_id, bot.public_id)


def test_use_is_written_at_most_once_a_minute(api):
    made = api.post("/keys", {"scopes": ["bots:read"]}).json()
    used = []
    for _ in range(2):
        assert _as(made["key"]).get("/bots").status_code == 200
        used.append(api.get(f"/keys/{made['id']}").json()["last_used_at"])
    assert used[0] is not None
    assert used[0] == used[1]


def test_the_guide_and_the_schema_say_what_a_key_looks_like(api):
    guide = Path(__file__).resolve().parents[2] / "docs" / "api.md"
    assert SCANNER_REGEX in guide.read_text(encoding="utf-8")
    schemes = Client().get("/api/schema").json()["components"]["securitySchemes"]
    assert SCANNER_REGEX in schemes["apiKey"]["description"]


def test_a_project_counts_and_exhausts_its_own_alone(api, acme, project, document):
    api.post("/projects", {"name": "Asia", "external_id": "asia"})
    keys, bots, policies = {}, {}, {}
    for name in ("europe", "asia"):
        body = {"scopes": ["*"], "project": name}
        keys[name] = _as(api.post("/keys", body).json()["key"])
        bots[name] = keys[name].post("/bots", {"name": name}).json()["id"]
        policies[name] = keys[name].post("/policies", document).json()["id"]
    now = timezone.now()
    event = EventIn(bot=bots["europe"], tokens=1000)
    record_events(account=acme, events=[event], now=now)

    for name, allowed in (("europe", False), ("asia", True)):
        call = CallIn(bot=bots[name], estimate={"tokens": 1})
        assert authorize(account=acme, call=call, now=now).body["allowed"] is allowed
        shown = keys[name].get(f"/policies/{policies[name]}/usage").json()["data"]
        assert shown[0]["used"] == (0 if allowed else 1000)
    foreign = keys["asia"].get(f"/policies/{policies['europe']}")
    assert_problem(foreign, 404, "not_found")
    assert_problem(keys["asia"].get(f"/bots/{bots['europe']}"), 404, "not_found")


def test_a_project_keys_keys_belong_to_its_project(api, project_api, project):
    account_wide = api.post("/keys", {"scopes": ["decide"]}).json()["id"]
    own = project_api.post("/keys", {"scopes": ["decide"]}).json()

    assert own["project"] == project.public_id
    assert_problem(project_api.get(f"/keys/{account_wide}"), 404, "not_found")
    listed = [each["project"] for each in project_api.get("/keys").json()["data"]]
    assert set(listed) == {project.public_id}


def test_rotation_overlaps_as_long_as_was_said(api):
    old = api.post("/keys", {"scopes": ["bots:read"]}).json()

    new = api.post(f"/keys/{old['id']}/rotate", {"overlap_seconds": 3600})
    assert new.status_code == 201
    assert new.json()["replaces"] == old["id"]
    assert _as(old["key"]).get("/bots").status_code == 200
    assert _as(new.json()["key"]).get("/bots").status_code == 200
    assert api.get(f"/keys/{old['id']}").json()["expires_at"] is not None
    api.post(f"/keys/{new.json()['id']}/rotate", {"overlap_seconds": 0})
    assert _as(new.json()["key"]).get("/bots").status_code == 401
    again = api.post(f"/keys/{new.json()['id']}/rotate")
    assert_problem(again, 409, "conflict")
    for seconds in (-1, 1.5, True, "1", 2_592_001):
        answer = api.post(f"/keys/{old['id']}/rotate", {"overlap_seconds": seconds})
        assert_problem(answer, 422, "invalid_body", "/overlap_seconds")


def test_a_revoked_key_stops_at_once(api):
    made = api.post("/keys", {"scopes": ["bots:read"]}).json()

    revoked = api.post(f"/keys/{made['id']}/revoke", {"reason": "leak"}).json()
    assert revoked["status"] == "revoked"
    assert _as(made["key"]).get("/bots").status_code == 401
    again = api.post(f"/keys/{made['id']}/revoke").json()
    assert again["revoked_at"] == revoked["revoked_at"]


def test_foreign_keys_and_projects_are_absent_byte_for_byte(api, stranger, project):
    key = api.post("/keys", {"scopes": ["decide"]}).json()["id"]
    for method, path, absent in [
        ("GET", f"/keys/{key}", "/keys/key_01kjm3v5c0e8r9q2t4w6y8z0a3"),
        ("POST", f"/keys/{key}/rotate", "/keys/x/rotate"),
        ("POST", f"/keys/{key}/revoke", "/keys/x/revoke"),
        ("GET", f"/projects/{project.public_id}", "/projects/x"),
        ("PATCH", f"/projects/{project.public_id}", "/projects/x"),
        ("DELETE", f"/projects/{project.public_id}", "/projects/x"),
    ]:
        foreign = stranger.call(method, path)
        assert_problem(foreign, 404, "not_found")
        assert foreign.content == stranger.call(method, absent).content


def test_a_project_is_created_changed_and_archived(api):
    made = api.post("/projects", {"name": "Asia", "external_id": "asia"})
    assert made.status_code == 201
    path = f"/projects/{made.json()['id']}"

    changed = api.patch(path, {"description": "all of it"}).json()
    assert (changed["name"], changed["description"]) == ("Asia", "all of it")
    taken = api.post("/projects", {"name": "x", "external_id": "asia"})
    assert_problem(taken, 409, "external_id_taken", "/external_id")
    bot = api.post("/bots", {"name": "b", "project": "asia"}).json()
    assert_problem(api.delete(path), 409, "conflict")
    api.delete(f"/bots/{bot['id']}", If_Match="*")
    assert api.delete(path).status_code == 204
    assert_problem(api.get(path), 404, "not_found")


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({}, ["/name"]),
        ({"name": "x", "external_id": "prj_x"}, ["/external_id"]),
        ({"name": "x", "external_id": ""}, ["/external_id"]),
        ({"name": "x", "budget": 1}, ["/budget"]),
    ],
)
def test_a_project_that_cannot_be_is_refused(api, body, pointers):
    assert_problem(api.post("/projects", body), 422, "invalid_body", *pointers)


def test_a_project_key_changes_no_project(project_api, project):
    path = f"/projects/{project.public_id}"

    assert project_api.get(path).status_code == 200
    assert_problem(project_api.post("/projects", {"name": "x"}), 403, "forbidden")
    assert_problem(project_api.patch(path, {"name": "x"}), 403, "forbidden")
    assert_problem(project_api.delete(path), 403, "forbidden")
