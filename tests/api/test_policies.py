"""Policies over HTTP."""

import copy

import pytest
from django.utils import timezone

from tests.api.client import assert_problem, key_api
from usage.entries import EventIn
from usage.ledger import record_events


def _write(api, document, **changes):
    answer = api.post("/policies", {**document, **changes})
    assert answer.status_code == 201, answer.content
    return answer.json()


def test_a_policy_is_written_and_read(api, document, bot):
    made = api.post("/policies", {**document, "scope": {"bot": bot.public_id}})

    assert made.status_code == 201
    assert made["ETag"] == '"1"'
    body = made.json()
    assert body["id"].startswith("pol_")
    assert (body["status"], body["revision"]) == ("active", 1)
    assert body["scope"] == {"bot": bot.public_id}
    assert body["alert_steps"] == [100]
    assert body["counting_since"].endswith("Z")
    read = api.get(f"/policies/{body['id']}")
    assert read.json() == body
    assert read["ETag"] == '"1"'
    assert read["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "body",
    [
        {
            "type": "retention",
            "name": "Keep 30 days",
            "retention": {"target": "conversations", "max_age_days": 30},
        },
        {
            "type": "content",
            "name": "No cards",
            "content": {
                "direction": "response",
                "categories": ["card"],
                "action": "redact",
            },
        },
    ],
)
def test_the_other_types_are_written_too(api, body):
    made = _write(api, body)

    assert made["status"] == "active"
    assert made["counting_since"] is None
    assert made["type"] == body["type"]


def test_what_is_wrong_is_all_named(api, document):
    document["limits"][0]["metric"] = "lines"
    document["limits"][0]["threshold"] = 1.5
    document["actions"] = {}
    document["colour"] = "red"

    answer = api.post("/policies", document)
    assert answer.status_code == 422
    assert answer.json()["code"] == "invalid_body"
    pointers = {error["pointer"] for error in answer.json()["errors"]}
    assert pointers >= {"/limits/0/metric", "/actions", "/colour"}


@pytest.mark.parametrize("body", [None, [], "x", 1, True, {}])
def test_a_body_that_is_no_policy_is_refused(api, body):
    assert api.post("/policies", body).status_code == 422


def test_foreign_and_absent_references_are_the_same(stranger, document, bot, project):
    absent = "bot_01kjm3v5c0e8r9q2t4w6y8z0a3"
    answers = [
        stranger.post("/policies", {**document, "scope": {"bot": ref}})
        for ref in (bot.public_id, absent)
    ]
    for answer in answers:
        assert_problem(answer, 422, "unknown_reference", "/scope/bot")
    assert answers[0].content == answers[1].content
    scope = {"bot": "nobody", "project": project.public_id}
    both = stranger.post("/policies", {**document, "scope": scope})
    assert_problem(both, 422, "unknown_reference", "/scope/project", "/scope/bot")


def test_an_external_id_in_a_scope_becomes_the_id(api, document):
    bot = api.post("/bots", {"name": "x", "external_id": "ext"}).json()

    assert _write(api, document, scope={"bot": "ext"})["scope"] == {"bot": bot["id"]}


def test_webhooks_cannot_be_named_yet(api, document):
    document["actions"] = {"webhook": {"to": ["whk_01kjm3v5c0e8r9q2t4w6y8z0a3"]}}

    answer = api.post("/policies", document)
    assert_problem(answer, 422, "unknown_reference", "/actions/webhook/to/0")


def test_an_edit_needs_the_revision_that_was_read(api, document):
    policy = _write(api, document)
    path = f"/policies/{policy['id']}"

    assert_problem(api.put(path, document), 428, "precondition_required")
    assert_problem(api.patch(path, {}), 428, "precondition_required")
    assert_problem(api.delete(path), 428, "precondition_required")
    changed = api.patch(path, {"name": "Cap"}, If_Match='"1"')
    assert (changed.status_code, changed["ETag"]) == (200, '"2"')
    for answer in (
        api.put(path, document, If_Match='"1"'),
        api.patch(path, {}, If_Match='"7"'),
        api.delete(path, If_Match="1"),
    ):
        assert_problem(answer, 412, "stale_revision")
    assert api.get(path).json()["revision"] == 2


def test_a_patch_merges_and_a_put_replaces(api, document):
    document["description"] = "for all"
    path = f"/policies/{_write(api, document)['id']}"

    patched = api.patch(
        path, {"actions": {"block": {"duration_seconds": 60}}}, If_Match="*"
    ).json()
    assert patched["actions"] == {"throttle": {}, "block": {"duration_seconds": 60}}
    assert patched["description"] == "for all"
    del document["description"]
    replaced = api.put(path, document, If_Match="*").json()
    assert replaced["actions"] == {"throttle": {}}
    assert replaced["description"] == ""


def test_a_patch_that_breaks_the_policy_changes_nothing(api, document):
    path = f"/policies/{_write(api, document)['id']}"

    broken = api.patch(path, {"limits": []}, If_Match="*")
    assert broken.status_code == 422
    assert broken.json()["errors"][0]["pointer"] == "/limits"
    assert_problem(api.patch(path, [], If_Match="*"), 422, "invalid_body", "")
    assert api.get(path).json()["revision"] == 1


def test_what_was_read_may_be_sent_back(api, document):
    policy = _write(api, document)
    path = f"/policies/{policy['id']}"
    policy["name"] = "Renamed"

    sent = api.put(path, policy, If_Match="*")
    assert sent.status_code == 200, sent.content
    assert sent.json()["name"] == "Renamed"
    both = api.patch(path, {**policy, "description": "x"}, If_Match="*")
    assert both.json()["description"] == "x"
    for name in ("action", "agentId", "userId", "tenantId"):
        changed = api.put(path, {**policy, name: "revoke"}, If_Match="*")
        assert_problem(changed, 422, "invalid_body", f"/{name}")
    assert api.put(path, {**document, "id": "pol_x"}, If_Match="*").status_code == 422


def test_the_type_stays(api, document):
    path = f"/policies/{_write(api, document)['id']}"
    other = {
        "type": "retention",
        "name": "x",
        "retention": {"target": "conversations", "max_age_days": 3},
    }

    answer = api.put(path, other, If_Match="*")
    assert_problem(answer, 422, "invalid_body", "/type")


def test_counting_goes_on_for_limits_that_stay(api, document):
    policy = _write(api, document)
    path = f"/policies/{policy['id']}"
    changed = copy.deepcopy(document)
    changed["limits"][0]["threshold"] = 5

    kept = api.put(path, changed, If_Match="*").json()
    assert kept["counting_since"] == policy["counting_since"]
    changed["limits"][0]["metric"] = "calls"
    new = api.put(path, changed, If_Match="*").json()
    assert new["counting_since"] > policy["counting_since"]


def test_an_archived_policy_is_gone(api, document):
    path = f"/policies/{_write(api, document)['id']}"

    assert api.delete(path, If_Match='"1"').status_code == 204
    assert_problem(api.get(path), 404, "not_found")
    assert api.get("/policies").json()["data"] == []


def test_revisions_are_kept_and_restored(api, document):
    path = f"/policies/{_write(api, document)['id']}"
    api.patch(path, {"name": "Second"}, If_Match="*")

    revisions = api.get(f"{path}/revisions").json()["data"]
    assert [each["number"] for each in revisions] == [2, 1]
    assert revisions[0]["changes"] == [
        {"field": "name", "before": "Daily cap", "after": "Second"}
    ]
    restored = api.post(f"{path}/restore", {"revision": 1}).json()
    assert (restored["name"], restored["revision"]) == ("Daily cap", 3)
    for wrong in (9, 0, True, "1", None):
        answer = api.post(f"{path}/restore", {"revision": wrong})
        assert_problem(answer, 422, "invalid_body", "/revision")
    stale = api.post(f"{path}/restore", {"revision": 1}, If_Match='"1"')
    assert_problem(stale, 412, "stale_revision")


def test_readings_say_where_a_policy_stands(api, document):
    policy = _write(api, document)

    readings = api.get(f"/policies/{policy['id']}/usage").json()["data"]
    assert len(readings) == 1
    reading = readings[0]
    assert (reading["metric"], reading["subject"]) == ("tokens", {})
    assert (reading["threshold"], reading["used"], reading["held"]) == (1000, 0, 0)
    assert (reading["remaining"], reading["status"]) == (1000, "active")
    assert reading["resets_at"] > reading["window_start"]


def test_costs_are_decimal_dollars(api, document):
    document["limits"][0] |= {"metric": "cost", "threshold": 12.5}

    policy = _write(api, document)
    assert policy["limits"][0]["threshold"] == "12.5"
    reading = api.get(f"/policies/{policy['id']}/usage").json()["data"][0]
    assert (reading["threshold"], reading["used"]) == ("12.5", "0")


def test_a_reset_names_a_period_and_perhaps_a_subject(api, document):
    path = f"/policies/{_write(api, document, group_by=['user'])['id']}/reset"

    assert api.post(path, {"period": "day"}).status_code == 200
    by_user = api.post(path, {"period": "all", "subject": {"user": "u-1"}})
    assert by_user.json() == {"data": []}
    wrong = [
        ({}, "/period"),
        ({"period": "week"}, "/period"),
        ({"period": "day", "subject": []}, "/subject"),
        ({"period": "day", "subject": {"bot": "x"}}, "/subject"),
        ({"period": "day", "subject": {"user": 5}}, "/subject/user"),
    ]
    for body, pointer in wrong:
        assert_problem(api.post(path, body), 422, "invalid_body", pointer)


def test_lists_filter_by_what_applies_and_by_scope(api, document, bot):
    shared = _write(api, document)["id"]
    own = _write(api, document, scope={"bot": bot.public_id})["id"]
    other = api.post("/bots", {"name": "other"}).json()["id"]
    elsewhere = _write(api, document, scope={"bot": other})["id"]
    for_gpt = _write(api, document, scope={"model": "gpt-*"})["id"]

    def found(query):
        return {each["id"] for each in api.get(f"/policies?{query}").json()["data"]}

    assert found("") == {shared, own, elsewhere, for_gpt}
    assert found(f"bot={bot.public_id}") == {shared, own, for_gpt}
    assert found(f"bot={bot.public_id}&model=gpt-x") == {shared, own, for_gpt}
    assert found(f"bot={bot.public_id}&model=other") == {shared, own}
    assert found(f"scope_bot={bot.public_id}") == {own}
    assert found("bot=nobody") == set()
    assert found("type=retention") == set()


def test_lists_filter_by_project_user_metric_rollout_and_status(
    api, acme, document, bot, project
):
    plain = _write(api, document)["id"]
    for_user = _write(api, document, scope={"user": "u-1"})["id"]
    in_project = _write(api, document, scope={"project": "europe"})["id"]
    shadow = _write(api, document, rollout_mode="shadow")["id"]
    off = _write(api, document, rollout_mode="off")["id"]
    calls = {**document["limits"][0], "metric": "calls", "threshold": 1}
    counting = _write(api, document, limits=[calls])["id"]
    kept = {"target": "decisions", "max_age_days": 3}
    keeping = {"type": "retention", "name": "x", "retention": kept}
    retention = api.post("/policies", keeping).json()["id"]
    event = EventIn(bot=bot.public_id)
    record_events(account=acme, events=[event], now=timezone.now())

    def found(query):
        answer = api.get(f"/policies?{query}")
        assert answer.status_code == 200, answer.content
        return [each["id"] for each in answer.json()["data"]]

    assert found("project=europe") == found(f"project={project.public_id}")
    assert found("project=europe") == [in_project]
    assert found("project=nowhere") == []
    assert found("user=u-1") == [for_user]
    assert found("metric=calls") == [counting]
    assert found("rollout=shadow") == found("rollout_mode=shadow") == [shadow]
    assert found("status=disabled") == [off]
    assert found("status=triggered") == [counting]
    active = [plain, for_user, in_project, shadow, retention]
    assert found("status=active") == active
    page = api.get("/policies?status=active&limit=2").json()
    assert [each["id"] for each in page["data"]] == active[:2]
    assert found(f"status=active&cursor={page['next_cursor']}") == active[2:]
    assert found("type=retention&status=active") == [retention]
    for name in ("status", "metric", "rollout", "type"):
        answer = api.get(f"/policies?{name}=none")
        assert_problem(answer, 422, "invalid_query", f"/{name}")


def test_readings_come_in_pages(api, acme, document, bot):
    path = f"/policies/{_write(api, document, group_by=['user'])['id']}/usage"
    users = [f"u-{number}" for number in range(5)]
    events = [EventIn(bot=bot.public_id, user=user, tokens=7) for user in users]
    record_events(account=acme, events=events, now=timezone.now())

    whole = api.get(path).json()
    assert (whole["has_more"], whole["next_cursor"]) == (False, None)
    assert {each["subject"]["user"] for each in whole["data"]} == set(users)
    seen, cursor = [], ""
    while cursor is not None:
        page = api.get(f"{path}?limit=2&cursor={cursor}").json()
        seen += page["data"]
        cursor = page["next_cursor"]
    assert seen == whole["data"]
    limits = [
        {**document["limits"][0], "metric": metric} for metric in ("tokens", "calls")
    ]
    path = f"/policies/{_write(api, document, limits=limits)['id']}/usage"
    first = api.get(f"{path}?limit=1").json()
    rest = api.get(f"{path}?limit=1&cursor={first['next_cursor']}").json()
    assert first["data"] + rest["data"] == api.get(path).json()["data"]
    assert rest["has_more"] is False


def test_history_tells_of_crossings_and_what_they_stopped(api, acme, document, bot):
    day = document["limits"]
    both = {"alert_steps": [50, 100], "actions": {"block": {}, "revoke": {}}}
    policy = _write(api, document, limits=day, **both)
    path = f"/policies/{policy['id']}/history"
    assert api.get(path).json()["data"] == []
    for tokens in (600, 500):
        event = EventIn(bot=bot.public_id, tokens=tokens)
        record_events(account=acme, events=[event], now=timezone.now())

    rows = api.get(path).json()["data"]
    told = [(each["event"], each["step"]) for each in rows]
    assert told[-1] == ("crossed", 50)
    assert sorted(told, key=str) == [
        ("blocked", None),
        ("crossed", 100),
        ("crossed", 50),
        ("revoked", None),
    ]
    assert (rows[-1]["used"], rows[-1]["threshold"]) == (600, 1000)
    assert {each["bot"] for each in rows} == {bot.public_id}
    page = api.get(f"{path}?limit=3").json()
    assert page["data"] == rows[:3]
    rest = api.get(f"{path}?limit=3&cursor={page['next_cursor']}").json()
    assert rest["data"] == rows[3:]


def test_what_is_foreign_is_absent_byte_for_byte(api, stranger, document):
    policy = _write(api, document)["id"]
    absent = "pol_01kjm3v5c0e8r9q2t4w6y8z0a3"
    for method, path, body in [
        ("GET", "", None),
        ("PUT", "", {}),
        ("PATCH", "", {}),
        ("DELETE", "", None),
        ("GET", "/usage", None),
        ("GET", "/revisions", None),
        ("GET", "/blocks", None),
        ("GET", "/history", None),
        ("POST", "/restore", {}),
        ("POST", "/reset", {}),
        ("POST", "/blocks/blk_x/clear", {}),
    ]:
        args = [] if body is None else [body]
        foreign = stranger.call(method, f"/policies/{policy}{path}", *args)
        missing = stranger.call(method, f"/policies/{absent}{path}", *args)
        assert_problem(foreign, 404, "not_found")
        assert foreign.content == missing.content
    assert stranger.get("/policies").json()["data"] == []


def test_a_project_key_writes_its_own_and_reads_the_shared_rule(
    api, project_api, project, document
):
    shared = f"/policies/{_write(api, document)['id']}"
    own = _write(project_api, document)

    assert own["project"] == own["scope"]["project"] == project.public_id
    assert (
        project_api.get(f"/policies/{own['id']}/usage").json()["data"][0]["used"] == 0
    )
    assert project_api.get(shared).json()["name"] == "Daily cap"
    reading = project_api.get(f"{shared}/usage").json()["data"][0]
    assert (reading["used"], reading["held"], reading["remaining"]) == (None,) * 3
    assert reading["exceeded"] is False
    assert reading["resets_at"]
    for answer in (
        project_api.put(shared, document, If_Match="*"),
        project_api.patch(shared, {}, If_Match="*"),
        project_api.delete(shared, If_Match="*"),
        project_api.post(f"{shared}/reset", {"period": "all"}),
        project_api.get(f"{shared}/blocks"),
    ):
        assert_problem(answer, 403, "forbidden")


def test_a_project_key_knows_nothing_of_another_project(
    api, acme, project_api, document
):
    other = api.post("/projects", {"name": "Asia"}).json()["id"]
    bot = api.post("/bots", {"name": "b", "project": other}).json()["id"]
    policies = [
        _write(api, document, scope={"project": other})["id"],
        _write(api, document, scope={"bot": bot})["id"],
    ]

    assert project_api.get("/policies").json()["data"] == []
    for policy in policies:
        assert_problem(project_api.get(f"/policies/{policy}"), 404, "not_found")
    for scope, pointer in (
        ({"project": other}, "/scope/project"),
        ({"bot": bot}, "/scope/bot"),
    ):
        answer = project_api.post("/policies", {**document, "scope": scope})
        assert_problem(answer, 422, "unknown_reference", pointer)


def test_a_key_of_a_bot_reads_what_governs_it_and_writes_nothing(
    api, acme, bot, document
):
    mine = _write(api, document, scope={"bot": bot.public_id})["id"]
    other = api.post("/bots", {"name": "other"}).json()["id"]
    theirs = _write(api, document, scope={"bot": other})["id"]
    bound = key_api(acme, bot=bot)

    assert [each["id"] for each in bound.get("/policies").json()["data"]] == [mine]
    assert_problem(bound.get(f"/policies/{theirs}"), 404, "not_found")
    assert_problem(bound.post("/policies", document), 403, "forbidden")
    answer = bound.delete(f"/policies/{mine}", If_Match="*")
    assert_problem(answer, 403, "forbidden")


def test_kavachos_form_is_taken_and_answered(api, acme, bot):
    made = api.post(
        "/policies",
        {
            "agentId": bot.public_id,
            "tenantId": acme.public_id,
            "limits": {"maxCallsPerDay": 5, "maxTokensCostPerMonth": 100},
            "action": "block",
        },
    )

    assert made.status_code == 201, made.content
    body = made.json()
    assert body["agentId"] == bot.public_id
    assert (body["userId"], body["tenantId"]) == (None, acme.public_id)
    assert body["action"] == "block"
    assert body["currentUsage"] == {
        "tokensCostToday": None,
        "tokensCostThisMonth": 0,
        "callsToday": 0,
        "callsThisMonth": None,
    }
    assert {limit["metric"] for limit in body["limits"]} == {"tokens", "calls"}
    path = f"/policies/{body['id']}"
    warned = api.patch(path, {"action": "warn"}, If_Match="*").json()
    assert (warned["action"], warned["actions"]) == ("warn", {"warn": {}})
    for name in ("agentId", "tenantId"):
        wrong = api.patch(path, {name: "nobody"}, If_Match="*")
        assert_problem(wrong, 422, "unknown_reference", f"/{name}")
