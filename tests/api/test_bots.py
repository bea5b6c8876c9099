"""Bots over HTTP."""

import pytest

from tests.api.client import assert_problem, key_api


def test_a_bot_is_registered_and_read(api):
    made = api.post("/bots", {"name": "Support", "external_id": "support"})

    assert made.status_code == 201
    assert made["ETag"] == '"1"'
    assert made["Cache-Control"] == "no-store"
    body = made.json()
    assert body["id"].startswith("bot_")
    assert body["status"] == "active"
    assert body["created_at"].endswith("Z")
    assert api.get(f"/bots/{body['id']}").json() == body


def test_bots_are_listed_page_by_page(api):
    made = [api.post("/bots", {"name": f"{n}"}).json()["id"] for n in range(5)]

    first = api.get("/bots?limit=2").json()
    second = api.get(f"/bots?limit=2&cursor={first['next_cursor']}").json()
    third = api.get(f"/bots?limit=2&cursor={second['next_cursor']}").json()

    pages = [first, second, third]
    listed = [bot["id"] for page in pages for bot in page["data"]]
    assert sorted(listed) == sorted(made)
    assert [page["has_more"] for page in pages] == [True, True, False]
    assert third["next_cursor"] is None


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=201", "limit=x", "cursor=x", "cursor=é", "colour=red"]
)
def test_a_query_that_is_not_right_is_named(api, query):
    answer = api.get(f"/bots?{query}")

    assert_problem(answer, 422, "invalid_query", f"/{query.split('=')[0]}")


def test_a_project_filter_keeps_the_project_and_an_unknown_one_nothing(api, project):
    api.post("/bots", {"name": "global"})
    own = api.post("/bots", {"name": "own", "project": "europe"}).json()

    assert [b["id"] for b in api.get("/bots?project=europe").json()["data"]] == [
        own["id"]
    ]
    assert api.get("/bots?project=asia").json()["data"] == []


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({}, ["/name"]),
        ({"name": ""}, ["/name"]),
        ({"name": 5}, ["/name"]),
        ({"name": "x" * 201}, ["/name"]),
        ({"name": "a\tb"}, ["/name"]),
        ({"name": "b", "colour": "red"}, ["/colour"]),
        ({"name": None, "owner": []}, ["/name", "/owner"]),
        ({"name": "b", "external_id": "bot_1"}, ["/external_id"]),
        ([], [""]),
        ("text", [""]),
        (None, [""]),
    ],
)
def test_a_body_that_is_not_right_is_named(api, body, pointers):
    assert_problem(api.post("/bots", body), 422, "invalid_body", *pointers)


def test_an_external_id_is_taken_once_and_freed_by_archiving(api):
    bot = api.post("/bots", {"name": "a", "external_id": "x"}).json()

    again = api.post("/bots", {"name": "b", "external_id": "x"})
    assert_problem(again, 409, "external_id_taken", "/external_id")

    assert api.delete(f"/bots/{bot['id']}", If_Match='"1"').status_code == 204
    assert api.post("/bots", {"name": "b", "external_id": "x"}).status_code == 201


def test_a_change_needs_the_revision_that_was_read(api, bot):
    path = f"/bots/{bot.public_id}"

    assert_problem(api.patch(path, {"name": "n"}), 428, "precondition_required")
    changed = api.patch(path, {"name": "n"}, If_Match='"1"')
    assert changed.status_code == 200
    assert changed["ETag"] == '"2"'
    stale = api.patch(path, {"name": "m"}, If_Match='"1"')
    assert_problem(stale, 412, "stale_revision")
    assert_problem(api.delete(path, If_Match='W/"2"'), 412, "stale_revision")
    assert_problem(api.delete(path), 428, "precondition_required")
    assert_problem(api.put(path, {"name": "n"}), 428, "precondition_required")


def test_put_says_all_and_patch_says_some(api, bot):
    path = f"/bots/{bot.public_id}"
    api.patch(path, {"owner": "u-1", "description": "x\ny"}, If_Match='"1"')
    patched = api.patch(path, {"name": "n"}, If_Match='"2"').json()
    assert (patched["owner"], patched["description"]) == ("u-1", "x\ny")

    replaced = api.put(path, {"name": "n"}, If_Match='"3"').json()
    assert (replaced["owner"], replaced["description"]) == (None, "")


def test_an_archived_bot_is_gone(api, bot):
    path = f"/bots/{bot.public_id}"
    api.delete(path, If_Match="*")

    assert_problem(api.get(path), 404, "not_found")
    assert api.get("/bots").json()["data"] == []


def test_what_is_foreign_is_absent_byte_for_byte(api, stranger, bot):
    absent = "bot_01kjm3v5c0e8r9q2t4w6y8z0a3"
    for method, path, body in [
        ("GET", "", None),
        ("PUT", "", {"name": "x"}),
        ("PATCH", "", {"name": "x"}),
        ("DELETE", "", None),
        ("POST", "/block", {}),
        ("POST", "/unblock", {}),
        ("POST", "/revoke", {}),
        ("POST", "/restore", {}),
    ]:
        args = [] if body is None else [body]
        foreign = stranger.call(method, f"/bots/{bot.public_id}{path}", *args)
        missing = stranger.call(method, f"/bots/{absent}{path}", *args)
        assert_problem(foreign, 404, "not_found")
        assert foreign.content == missing.content
        # Each request has an id of its own.
        named = [{**each.headers, "X-Request-Id": ""} for each in (foreign, missing)]
        assert named[0] == named[1]
    assert stranger.get("/bots").json()["data"] == []


def test_blocking_pauses_a_bot_and_unblocking_ends_it(api, bot):
    path = f"/bots/{bot.public_id}"

    paused = api.post(f"{path}/block", {"reason": "a loop"}).json()
    assert paused["status"] == "paused"
    assert paused["state"] == "active"
    assert paused["block"]["kind"] == "person"
    assert paused["block"]["reason"] == "a loop"
    assert api.get("/bots").json()["data"][0]["status"] == "paused"

    freed = api.post(f"{path}/unblock").json()
    assert (freed["status"], freed["block"]) == ("active", None)


def test_a_block_ends_in_the_future(api, bot):
    path = f"/bots/{bot.public_id}/block"
    for ends_at in ("2020-01-01T00:00:00Z", "2020-01-01", "9999-12-31T23:59:59-14:00"):
        answer = api.post(path, {"ends_at": ends_at})
        assert_problem(answer, 422, "invalid_body", "/ends_at")
    assert api.post(path, {"ends_at": "2999-01-01T00:00:00Z"}).status_code == 200


def test_revoking_takes_the_bound_keys_and_restoring_does_not_return_them(
    api, acme, bot
):
    bound = key_api(acme, bot=bot)
    assert bound.get("/bots").status_code == 200

    revoked = api.post(f"/bots/{bot.public_id}/revoke", {"reason": "leak"}).json()
    assert revoked["status"] == "revoked"
    assert_problem(bound.get("/bots"), 401, "invalid_key")
    current = api.get(f"/bots/{bot.public_id}")
    conflict = api.patch(
        f"/bots/{bot.public_id}", {"state": "active"}, If_Match=current["ETag"]
    )
    assert_problem(conflict, 409, "conflict")

    assert api.post(f"/bots/{bot.public_id}/restore").json()["status"] == "active"
    assert bound.get("/bots").status_code == 401


def test_a_project_key_knows_only_its_projects_bots(api, project_api, project, bot):
    own = project_api.post("/bots", {"name": "own"}).json()

    assert own["project"] == project.public_id
    assert [b["id"] for b in project_api.get("/bots").json()["data"]] == [own["id"]]
    assert_problem(project_api.get(f"/bots/{bot.public_id}"), 404, "not_found")


def test_a_foreign_and_an_absent_project_are_the_same(stranger, project):
    for ref in (project.public_id, "prj_01kjm3v5c0e8r9q2t4w6y8z0a3", "europe"):
        answer = stranger.post("/bots", {"name": "x", "project": ref})
        assert_problem(answer, 422, "unknown_reference", "/project")


def test_a_key_of_a_bot_knows_that_bot_alone_and_writes_none(api, acme, bot):
    other = api.post("/bots", {"name": "other"}).json()
    bound = key_api(acme, bot=bot)

    assert [b["id"] for b in bound.get("/bots").json()["data"]] == [bot.public_id]
    assert_problem(bound.get(f"/bots/{other['id']}"), 404, "not_found")
    assert_problem(bound.post("/bots", {"name": "x"}), 403, "forbidden")
    assert_problem(bound.post(f"/bots/{bot.public_id}/unblock"), 403, "forbidden")
