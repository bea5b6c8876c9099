"""Legal holds over HTTP."""

from datetime import timedelta

import pytest
from django.utils import timezone

from tests.api.client import assert_problem, key_api, person_api


@pytest.fixture
def hold(api, bot):
    body = {"bot": bot.public_id, "reason": "Case 12"}
    answer = api.post("/retention/holds", body)
    assert answer.status_code == 201, answer.content
    return answer.json()


@pytest.fixture
def conversation(api, bot):
    body = {"bot": bot.public_id, "external_id": "chat-1"}
    return api.post("/conversations", body).json()


def test_a_hold_is_placed_read_and_released(api, bot, hold):
    assert hold["id"].startswith("hld_")
    assert (hold["bot"], hold["state"]) == (bot.public_id, "active")
    named = [hold[name] for name in ("account", "project", "user", "conversation")]
    assert named == [None] * 4
    assert hold["released_at"] is hold["until"] is hold["released_by"] is None
    assert hold["created_by"].startswith("phk_live_")
    path = f"/retention/holds/{hold['id']}"
    assert api.get(path).json() == hold

    answer = api.post(f"{path}/release", {"reason": "over"})
    assert answer.status_code == 200
    released = answer.json()
    assert (released["state"], released["release_reason"]) == ("released", "over")
    assert released["released_at"] is not None
    assert_problem(api.post(f"{path}/release"), 409, "already_released")
    kinds = [row["action"] for row in api.get("/audit/changes").json()["data"]]
    assert {"hold.placed", "hold.released"} <= set(kinds)


def test_what_archived_bots_and_projects_left_can_be_held(api, bot, project):
    for path in (f"/bots/{bot.public_id}", f"/projects/{project.public_id}"):
        assert api.delete(path, If_Match="*").status_code == 204

    for name, ref in (("bot", bot.public_id), ("project", project.public_id)):
        answer = api.post("/retention/holds", {name: ref, "reason": "r"})
        assert (answer.status_code, answer.json().get(name)) == (201, ref)
    gone = api.post("/retention/holds", {"project": "europe", "reason": "r"})
    assert_problem(gone, 422, "unknown_reference", "/project")


def test_a_kind_that_nothing_has_is_no_filter(api, hold):
    assert len(api.get("/retention/holds?kind=bot").json()["data"]) == 1
    wrong = api.get("/retention/holds?kind=bots")
    assert_problem(wrong, 422, "invalid_query", "/kind")


def test_everything_that_can_be_held(api, acme, bot, project, conversation):
    until = (timezone.now() + timedelta(days=1)).isoformat()
    bot.external_id = "support"
    bot.save()
    for name, sent, shown in [
        ("account", True, True),
        ("account", acme.public_id, True),
        ("project", "europe", project.public_id),
        ("bot", "support", bot.public_id),
        ("user", "u-1", "u-1"),
        ("conversation", conversation["id"], conversation["id"]),
        ("conversation", "chat-1", conversation["id"]),
    ]:
        body = {name: sent, "reason": "r", "until": until, "owner": "Legal"}
        answer = api.post("/retention/holds", body)
        assert answer.status_code == 201, answer.content
        made = answer.json()
        assert (made[name], made["owner"]) == (shown, "Legal")
        assert made["until"].endswith("Z")


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({"reason": "r"}, [""]),
        ({"reason": "r", "user": "u", "bot": "b"}, [""]),
        ({"user": "u"}, ["/reason"]),
        ({"user": "u", "reason": ""}, ["/reason"]),
        ({"user": "u", "reason": " "}, ["/reason"]),
        ({"user": "u", "reason": 5}, ["/reason"]),
        ({"user": "", "reason": "r"}, ["/user"]),
        ({"account": 1, "reason": "r"}, ["/account"]),
        ({"user": "u", "reason": "r", "until": "2020-01-01T00:00:00Z"}, ["/until"]),
        ({"user": "u", "reason": "r", "until": "tomorrow"}, ["/until"]),
        ({"user": "u", "reason": "r", "colour": "red"}, ["/colour"]),
        ([], [""]),
    ],
)
def test_a_hold_that_cannot_be_is_refused(api, body, pointers):
    answer = api.post("/retention/holds", body)
    assert_problem(answer, 422, "invalid_body", *pointers)


def test_lists_filter(api, bot, hold):
    user = api.post("/retention/holds", {"user": "u-1", "reason": "r"}).json()
    for query, found in [
        ("", [user, hold]),
        (f"bot={bot.public_id}", [hold]),
        ("user=u-1", [user]),
        ("kind=user", [user]),
        ("state=active", [user, hold]),
        ("state=released", []),
        ("state=ended", []),
        ("project=prj_x", []),
    ]:
        assert api.get(f"/retention/holds?{query}").json()["data"] == found, query
    assert_problem(api.get("/retention/holds?state=x"), 422, "invalid_query", "/state")


def test_what_is_foreign_is_absent_byte_for_byte(
    api, stranger, bot, project, conversation, hold
):
    for path, method in (("", "GET"), ("/release", "POST")):
        foreign = stranger.call(method, f"/retention/holds/{hold['id']}{path}")
        absent = stranger.call(method, f"/retention/holds/hld_x{path}")
        assert_problem(foreign, 404, "not_found")
        assert foreign.content == absent.content
    assert stranger.get("/retention/holds").json()["data"] == []
    for name, theirs in [
        ("account", "acc_01kjm3v5c0e8r9q2t4w6y8z0a1"),
        ("project", project.public_id),
        ("bot", bot.public_id),
        ("conversation", conversation["id"]),
    ]:
        foreign = stranger.post("/retention/holds", {name: theirs, "reason": "r"})
        absent = stranger.post("/retention/holds", {name: "nobody", "reason": "r"})
        assert_problem(foreign, 422, "unknown_reference", f"/{name}")
        assert foreign.content == absent.content


def test_who_may_hold(acme, alice, bob, bot, project_api):
    body = {"bot": bot.public_id, "reason": "r"}
    reader = key_api(acme, ["retention:read"])
    assert_problem(reader.post("/retention/holds", body), 403, "missing_scope")
    assert reader.get("/retention/holds").status_code == 200
    writer = key_api(acme, ["policies:write"])
    assert_problem(writer.get("/retention/holds"), 403, "missing_scope")
    for bound in (project_api, key_api(acme, bot=bot)):
        assert_problem(bound.post("/retention/holds", body), 403, "forbidden")
        assert_problem(bound.get("/retention/holds"), 403, "forbidden")
    for person in (alice, bob):
        assert person_api(person).post("/retention/holds", body).status_code == 201
    member = bob.memberships.get()
    for role in ("auditor", "viewer"):
        member.role = role
        member.save()
        refused = person_api(bob).post("/retention/holds", body)
        assert_problem(refused, 403, "missing_scope")
        assert person_api(bob).get("/retention/holds").status_code == 200


def test_a_held_conversation_cannot_be_deleted(api, conversation):
    body = {"conversation": conversation["id"], "reason": "Case 12"}
    hold = api.post("/retention/holds", body).json()
    path = f"/conversations/{conversation['id']}"
    message = api.post(f"{path}/messages", {"role": "user"}).json()

    refused = api.delete(path)
    assert_problem(refused, 409, "held")
    assert hold["id"] in refused.json()["detail"]
    assert_problem(api.delete(f"{path}/messages/{message['id']}"), 409, "held")
    api.post(f"/retention/holds/{hold['id']}/release")
    assert api.delete(f"{path}/messages/{message['id']}").status_code == 204
    assert api.delete(path).status_code == 204
