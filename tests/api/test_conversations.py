"""Conversations and messages over HTTP."""

import pytest

from tests.api.client import assert_problem, key_api


@pytest.fixture
def conversation(api, bot):
    body = {"bot": bot.public_id, "external_id": "chat-1", "user": "u-1"}
    answer = api.post("/conversations", body)
    assert answer.status_code == 201, answer.content
    return answer.json()


def test_a_conversation_is_registered_and_read(api, bot, conversation):
    assert conversation["bot"] == bot.public_id
    assert conversation["last_activity_at"] == conversation["started_at"]
    path = f"/conversations/{conversation['id']}"
    assert api.get(path).json() == conversation
    assert api.get("/conversations").json()["data"] == [conversation]
    for query in (f"bot={bot.public_id}", "user=u-1", "external_id=chat-1"):
        assert len(api.get(f"/conversations?{query}").json()["data"]) == 1
    for query in ("bot=nobody", "user=u-2", "external_id=x"):
        assert api.get(f"/conversations?{query}").json()["data"] == []


def test_history_is_imported_with_its_times(api, bot):
    body = {
        "bot": bot.public_id,
        "started_at": "2025-01-01T10:00:00+02:00",
        "last_activity_at": "2025-01-02T00:00:00Z",
        "meta": {"source": "import", "nested": {"list": [1, 2.5, None]}},
    }

    made = api.post("/conversations", body).json()
    assert made["started_at"] == "2025-01-01T08:00:00Z"
    assert made["last_activity_at"] == "2025-01-02T00:00:00Z"
    assert made["meta"] == body["meta"]


@pytest.mark.parametrize(
    ("changes", "pointers"),
    [
        ({"bot": None}, ["/bot"]),
        ({"user": ""}, ["/user"]),
        ({"title": 5}, ["/title"]),
        ({"meta": []}, ["/meta"]),
        ({"started_at": "2999-01-01T00:00:00Z"}, ["/started_at", "/last_activity_at"]),
        ({"started_at": "2025-01-01T00:00:00"}, ["/started_at"]),
        ({"started_at": 1735689600}, ["/started_at"]),
        ({"started_at": "2025-13-01T00:00:00Z"}, ["/started_at"]),
        ({"last_activity_at": "0001-01-01T00:00:00+14:00"}, ["/last_activity_at"]),
        ({"colour": "red"}, ["/colour"]),
    ],
)
def test_a_conversation_that_cannot_be_is_refused(api, bot, changes, pointers):
    answer = api.post("/conversations", {"bot": bot.public_id, **changes})

    assert_problem(answer, 422, "invalid_body", *pointers)


def test_an_external_id_is_taken_once_per_bot(api, bot, conversation):
    again = api.post("/conversations", {"bot": bot.public_id, "external_id": "chat-1"})

    assert_problem(again, 409, "external_id_taken", "/external_id")


def test_messages_are_appended_and_listed(api, conversation):
    path = f"/conversations/{conversation['id']}/messages"

    made = api.post(path, {"role": "user", "text": "Hello\nthere", "tokens": 3})
    assert made.status_code == 201
    assert made.json()["text"] is None
    api.post(path, {"role": "assistant"})
    listed = api.get(path).json()["data"]
    assert [each["role"] for each in listed] == ["user", "assistant"]
    for body, pointer in [
        ({}, "/role"),
        ({"role": "robot"}, "/role"),
        ({"role": "user", "tokens": -1}, "/tokens"),
        ({"role": "user", "tokens": 2**53}, "/tokens"),
        ({"role": "user", "tokens": 1.0}, "/tokens"),
        ({"role": "user", "tokens": True}, "/tokens"),
        ({"role": "user", "created_at": "2999-01-01T00:00:00Z"}, "/created_at"),
    ]:
        assert_problem(api.post(path, body), 422, "invalid_body", pointer)


def test_text_is_kept_where_the_account_stores_it(api, acme, conversation):
    acme.stores_text = True
    acme.save()
    path = f"/conversations/{conversation['id']}/messages"

    assert api.post(path, {"role": "user", "text": "Hi"}).json()["text"] == "Hi"


def test_a_deleted_conversation_is_gone(api, conversation):
    path = f"/conversations/{conversation['id']}"
    api.post(f"{path}/messages", {"role": "user"})

    assert api.delete(path).status_code == 204
    assert_problem(api.get(path), 404, "not_found")
    assert_problem(api.get(f"{path}/messages"), 404, "not_found")


def test_what_is_foreign_is_absent_byte_for_byte(stranger, bot, conversation):
    for method, below in [
        ("GET", ""),
        ("DELETE", ""),
        ("GET", "/messages"),
        ("POST", "/messages"),
    ]:
        foreign = stranger.call(method, f"/conversations/{conversation['id']}{below}")
        absent = stranger.call(method, f"/conversations/x{below}")
        assert_problem(foreign, 404, "not_found")
        assert foreign.content == absent.content
    for ref in (bot.public_id, "nobody"):
        answer = stranger.post("/conversations", {"bot": ref})
        assert_problem(answer, 422, "unknown_reference", "/bot")


def test_bindings_hide_the_conversations_of_others(
    api, acme, project_api, conversation
):
    other = api.post("/bots", {"name": "other"}).json()["id"]
    mine = acme.bots.exclude(name="other").get()
    path = f"/conversations/{conversation['id']}"

    assert_problem(project_api.get(path), 404, "not_found")
    bound = key_api(acme, bot=mine)
    assert bound.get(path).status_code == 200
    answer = bound.post("/conversations", {"bot": other})
    assert_problem(answer, 422, "unknown_reference", "/bot")


def test_lists_go_by_last_activity(api, bot):
    for day in (1, 2, 3):
        body = {"bot": bot.public_id, "last_activity_at": f"2025-01-0{day}T00:00:00Z"}
        assert api.post("/conversations", body).status_code == 201
    for query, count in [
        ("from=2025-01-02T00:00:00Z", 2),
        ("to=2025-01-02T00:00:00Z", 1),
        ("from=2025-01-02T00:00:00Z&to=2025-01-03T00:00:00Z", 1),
    ]:
        assert len(api.get(f"/conversations?{query}").json()["data"]) == count
    refused = api.get("/conversations?from=yesterday")
    assert_problem(refused, 422, "invalid_query", "/from")


def test_one_message_is_read_and_deleted(api, stranger, conversation):
    path = f"/conversations/{conversation['id']}/messages"
    made = api.post(path, {"role": "user"}).json()

    assert api.get(f"{path}/{made['id']}").json() == made
    for method in ("GET", "DELETE"):
        foreign = stranger.call(method, f"{path}/{made['id']}")
        absent = api.call(method, f"{path}/msg_x")
        assert_problem(foreign, 404, "not_found")
        assert foreign.content == absent.content
    other = api.post("/conversations", {"bot": conversation["bot"]}).json()["id"]
    elsewhere = api.get(f"/conversations/{other}/messages/{made['id']}")
    assert_problem(elsewhere, 404, "not_found")
    assert api.delete(f"{path}/{made['id']}").status_code == 204
    assert_problem(api.get(f"{path}/{made['id']}"), 404, "not_found")
    assert api.get(path).json()["data"] == []
