"""ChatBotKit's wire format on its own routes (CONTRACT F3, G)."""

import json

import pytest
from django.utils import timezone

from policies.models import Policy
from tests.api.client import Api, key_api
from tests.api.compat import USAGE, assert_told, create, fetch


def test_what_was_sent_is_given_back(api, bot):
    sent = {
        "type": "usage",
        "alias": "loop-guard",
        "name": "Loop guard",
        "description": "Stops loops",
        "botId": bot.public_id,
        "blueprintId": "blueprint_1",
        "state": "enabled",
        "config": USAGE,
        "meta": {"team": "support", "nested": {"on": True}},
    }

    policy_id = create(api, **sent)
    told = fetch(api, policy_id)
    assert {name: told[name] for name in sent} == sent
    assert told["id"] == policy_id
    now = timezone.now().timestamp() * 1000
    assert now - 60_000 < told["createdAt"] <= told["updatedAt"] <= now
    assert fetch(api, "@loop-guard") == fetch(api, "loop-guard") == told
    canonical = api.get(f"/policies/{policy_id}").json()
    assert canonical["limits"] == [
        {
            "metric": "tokens",
            "threshold": 1000,
            "window": {"kind": "fixed", "seconds": 600},
        }
    ]
    assert canonical["actions"] == {
        "block": {"duration_seconds": 60},
        "email": {"to": ["ops@example.com"]},
    }
    assert canonical["scope"] == {"bot": bot.public_id}


def test_a_new_policy_is_about_retention_for_all_bots(api):
    bare = fetch(api, create(api))
    assert (bare["type"], bare["state"], bare["config"]) == ("retention", "enabled", {})
    assert (bare["name"], bare["botId"], bare["alias"]) == ("", None, None)
    kept = create(api, config={"expiresInDays": 30}, name="Keep 30 days")
    assert fetch(api, kept)["config"] == {"expiresInDays": 30}
    assert api.get(f"/policies/{kept}").json()["retention"] == {
        "target": "conversations",
        "max_age_days": 30,
    }


@pytest.mark.parametrize(
    ("email", "to"),
    [
        ("a@x.org", ["a@x.org"]),
        (["a@x.org", "b@x.org"], ["a@x.org", "b@x.org"]),
        ({"to": "a@x.org"}, ["a@x.org"]),
        ({"to": ["a@x.org"]}, ["a@x.org"]),
        ({}, None),
    ],
)
def test_the_shorthands_of_email(api, email, to):
    policy_id = create(api, type="usage", config={**USAGE, "actions": {"email": email}})

    stored = Policy.objects.get().actions
    assert stored == {"email": {} if to is None else {"to": to}}
    assert fetch(api, policy_id)["config"]["actions"] == {"email": email}


ACTIONS = "/config/actions"


@pytest.mark.parametrize(
    ("config", "pointer"),
    [
        ({}, "/config/metric"),
        (None, "/config/metric"),
        ([], "/config"),
        ({**USAGE, "metric": "cost"}, "/config/metric"),
        ({**USAGE, "threshold": 0}, "/config/threshold"),
        ({**USAGE, "threshold": 1.5}, "/config/threshold"),
        ({**USAGE, "threshold": "5"}, "/config/threshold"),
        ({**USAGE, "threshold": True}, "/config/threshold"),
        ({**USAGE, "threshold": 2**53}, "/config/threshold"),
        ({**USAGE, "windowInSeconds": -1}, "/config/windowInSeconds"),
        ({**USAGE, "type": "usage"}, "/config/type"),
        ({**USAGE, "actions": {}}, ACTIONS),
        ({**USAGE, "actions": {"warn": {}}}, f"{ACTIONS}/warn"),
        ({**USAGE, "actions": {"block": {}}}, f"{ACTIONS}/block/durationInSeconds"),
        (
            {**USAGE, "actions": {"block": {"durationInSeconds": 0}}},
            f"{ACTIONS}/block/durationInSeconds",
        ),
        ({**USAGE, "actions": {"email": []}}, f"{ACTIONS}/email"),
        ({**USAGE, "actions": {"email": {"to": []}}}, f"{ACTIONS}/email"),
        ({**USAGE, "actions": {"email": "nobody"}}, f"{ACTIONS}/email/to/0"),
        ({**USAGE, "actions": {"email": 5}}, f"{ACTIONS}/email/to"),
    ],
)
def test_a_config_that_is_wrong_is_refused(api, config, pointer):
    answer = api.post("/policy/create", {"type": "usage", "config": config})

    assert answer.status_code == 400
    assert answer.json()["code"] == "BAD_REQUEST"
    assert pointer in [each["pointer"] for each in answer.json()["errors"]]
    assert not Policy.objects.exists()


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ([], ""),
        ({"type": "content"}, "/type"),
        ({"state": "off"}, "/state"),
        ({"alias": "Not Good"}, "/alias"),
        ({"meta": []}, "/meta"),
        ({"colour": "red"}, "/colour"),
        ({"name": 5}, "/name"),
        ({"config": {"expiresInDays": 0}}, "/config/expiresInDays"),
        ({"config": {"threshold": 5}}, "/config/threshold"),
    ],
)
def test_a_body_that_is_wrong_is_refused(api, body, pointer):
    answer = api.post("/policy/create", body)
    assert_told(answer, 400, "BAD_REQUEST", "invalid_body", pointer)


def test_every_error_is_in_their_form(api, acme, stranger):
    policy_id = create(api)
    path = f"/policy/{policy_id}/fetch"
    reader = key_api(acme, ["policies:read"])

    assert_told(Api().get(path), 401, "NOT_AUTHENTICATED", "invalid_key")
    assert "WWW-Authenticate" in Api().get(path)
    answer = reader.post("/policy/create", {})
    assert_told(answer, 403, "NOT_AUTHORIZED", "missing_scope")
    for ref in (policy_id, "pol_01kjm3v5c0e8r9q2t4w6y8z0a3", "@x", "x%00y"):
        foreign = stranger.get(f"/policy/{ref}/fetch")
        assert_told(foreign, 404, "NOT_FOUND", "not_found")
        assert foreign.content == stranger.get("/policy/nothing/fetch").content
    assert_told(api.get("/policy"), 404, "NOT_FOUND", "no_such_route")
    assert_told(api.get("/policy/x/y"), 404, "NOT_FOUND", "no_such_route")
    wrong = api.post(path, {})
    assert_told(wrong, 405, "METHOD_NOT_ALLOWED", "method_not_allowed")
    assert "GET" in wrong["Allow"]
    picky = api.get("/policy/list", Accept="text/csv")
    assert_told(picky, 406, "NOT_ACCEPTABLE", "not_acceptable")
    form = api.call("POST", "/policy/create", raw=b"a=1", media_type="text/plain")
    assert_told(form, 415, "UNSUPPORTED_MEDIA_TYPE", "unsupported_media_type")
    broken = api.call("POST", "/policy/create", raw=b'{"name": NaN}')
    assert_told(broken, 400, "BAD_REQUEST", "malformed_json")
    large = api.call("POST", "/policy/create", raw=b'"' + b"x" * 300_000 + b'"')
    assert_told(large, 413, "CONTENT_TOO_LARGE", "body_too_large")
    lines = Api().get("/policy/list", Accept="application/jsonl")
    assert_told(lines, 401, "NOT_AUTHENTICATED", "invalid_key")
    acting = api.get("/policy/list", **{"x-runas-user-id": "u"})
    assert_told(acting, 400, "BAD_REQUEST", "invalid_query", "/x-runas-user-id")
    bot = api.post("/policy/create", {"botId": "bot_nobody"})
    assert_told(bot, 422, "UNPROCESSABLE_ENTITY", "unknown_reference", "/botId")


def test_an_update_changes_what_it_names(api, bot):
    policy_id = create(
        api, type="usage", name="Cap", config=USAGE, meta={"a": 1, "_hidden": 2}
    )
    path = f"/policy/{policy_id}/update"

    def updated(**body):
        answer = api.post(path, body)
        assert answer.status_code == 200, answer.content
        assert answer.json() == {"id": policy_id}
        return fetch(api, policy_id)

    assert updated(botId=bot.public_id)["botId"] == bot.public_id
    assert updated(state="disabled")["state"] == "disabled"
    assert api.get(f"/policies/{policy_id}").json()["status"] == "disabled"
    assert updated(state="enabled", botId=None)["botId"] is None
    assert updated(meta={"$update": {"b": 2}})["meta"] == {"a": 1, "b": 2}
    told = updated(meta={"c": 3}, alias="cap", name="", blueprintId="b1")
    assert (told["meta"], told["alias"]) == ({"c": 3}, "cap")
    assert (told["name"], told["blueprintId"]) == ("", "b1")
    config = {**USAGE, "threshold": 5}
    assert updated(config=config)["config"] == config
    assert updated(alias=None, meta=None)["alias"] is None
    before = api.get(f"/policies/{policy_id}").json()["revision"]
    assert updated(meta={"d": 4})["meta"] == {"d": 4}
    assert api.get(f"/policies/{policy_id}").json()["revision"] == before
    for body, pointer in (
        ({"type": "retention"}, "/type"),
        ({"config": {"expiresInDays": 3}}, "/config/expiresInDays"),
    ):
        answer = api.post(path, body)
        assert answer.status_code == 400
        assert pointer in [each["pointer"] for each in answer.json()["errors"]]


def test_an_edit_of_ours_is_told_in_their_form(api):
    policy_id = create(api, type="usage", name="Cap", config=USAGE)
    limits = [{"metric": "messages", "threshold": 7}]
    limits[0]["window"] = {"kind": "fixed", "seconds": 30}

    api.patch(
        f"/policies/{policy_id}",
        {"limits": limits, "actions": {"email": None}},
        If_Match="*",
    )
    assert fetch(api, policy_id)["config"] == {
        "metric": "messages",
        "threshold": 7,
        "windowInSeconds": 30,
        "actions": {"block": {"durationInSeconds": 60}},
    }


def test_what_their_form_cannot_tell_is_not_told(api, document, bot):
    fixed = [{**document["limits"][0], "window": {"kind": "fixed", "seconds": 60}}]
    plain = {**document, "limits": fixed, "actions": {"email": {}}}
    told = api.post("/policies", plain).json()["id"]
    for other in (
        document,
        {**plain, "actions": {"throttle": {}}},
        {**plain, "actions": {"block": {}}},
        {**plain, "group_by": ["user"]},
        {**plain, "rollout_mode": "shadow"},
        {**plain, "rollout_percent": 50},
        {**plain, "alert_steps": [80, 100]},
        {**plain, "scope": {"user": "u-1"}},
        {**plain, "limits": [{**fixed[0], "threshold": 0}]},
    ):
        made = api.post("/policies", other)
        assert made.status_code == 201, made.content
        hidden = api.get(f"/policy/{made.json()['id']}/fetch")
        assert_told(hidden, 404, "NOT_FOUND", "not_found")
    items = api.get("/policy/list").json()["items"]
    assert [each["id"] for each in items] == [told]


def test_a_deleted_policy_is_gone_and_its_alias_free(api):
    policy_id = create(api, alias="mine")
    taken = api.post("/policy/create", {"alias": "mine"})
    assert_told(taken, 409, "CONFLICT", "alias_taken", "/alias")

    wrong = api.post(f"/policy/{policy_id}/delete", {"really": True})
    assert_told(wrong, 400, "BAD_REQUEST", "invalid_body", "")
    gone = api.post(f"/policy/{policy_id}/delete", {})
    assert gone.json() == {"id": policy_id}
    assert api.get(f"/policy/{policy_id}/fetch").status_code == 404
    assert api.post(f"/policy/{policy_id}/delete").status_code == 404
    assert create(api, alias="mine") != policy_id


def test_lists_are_paged_filtered_and_streamed(api, bot):
    first = create(api, name="é", meta={"team": "a", "on": True, "in": {"x": "1"}})
    second = create(api, type="usage", config=USAGE, botId=bot.public_id)
    third = create(api, blueprintId="b1", meta={"team": "b"})

    def found(query=""):
        answer = api.get(f"/policy/list{query}")
        assert answer.status_code == 200, answer.content
        return [each["id"] for each in answer.json()["items"]]

    assert found() == [third, second, first]
    assert found("?order=asc") == [first, second, third]
    page = api.get("/policy/list?take=2").json()
    assert page["cursor"] == second
    rest = api.get(f"/policy/list?take=2&cursor={page['cursor']}").json()
    assert [each["id"] for each in rest["items"]] == [first]
    assert "cursor" not in rest
    assert found(f"?order=asc&cursor={first}") == [second, third]
    assert found("?meta.team=a") == found("?meta[team]=a") == [first]
    assert found("?meta.on=true&meta.in.x=1") == [first]
    assert found("?meta.team=c") == []
    assert found(f"?botId={bot.public_id}") == [second]
    assert found("?blueprintId=b1") == [third]
    assert found("?type=usage") == [second]
    lines = api.get("/policy/list", Accept="application/jsonl")
    assert lines["Content-Type"] == "application/jsonl"
    assert api.get("/policy/list?format=jsonl").content == lines.content
    nothing = api.get("/policy/list?format=jsonl&blueprintId=none")
    assert (nothing["Content-Type"], nothing.content) == ("application/jsonl", b"")
    events = [json.loads(line) for line in lines.content.decode("ascii").splitlines()]
    assert [each["type"] for each in events] == ["item"] * 3
    assert [each["data"] for each in events] == api.get("/policy/list").json()["items"]
    for query in ("take=0", "take=x", "order=up", "cursor=x", "colour=red"):
        name = query.partition("=")[0]
        answer = api.get(f"/policy/list?{query}")
        assert_told(answer, 400, "BAD_REQUEST", "invalid_query", f"/{name}")
    deep = api.get(f"/policy/list?meta.{'a.' * 5000}a=1")
    assert deep.status_code == 400
