"""Policies are listed and read, by those who may."""

from django.utils import timezone

from tests.api.client import assert_problem, key_api, write_policy
from usage.entries import EventIn
from usage.ledger import record_events


def test_lists_filter_by_what_applies_and_by_scope(api, document, bot):
    shared = write_policy(api, document)["id"]
    own = write_policy(api, document, scope={"bot": bot.public_id})["id"]
    other = api.post("/bots", {"name": "other"}).json()["id"]
    elsewhere = write_policy(api, document, scope={"bot": other})["id"]
    for_gpt = write_policy(api, document, scope={"model": "gpt-*"})["id"]

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
    plain = write_policy(api, document)["id"]
    for_user = write_policy(api, document, scope={"user": "u-1"})["id"]
    in_project = write_policy(api, document, scope={"project": "europe"})["id"]
    shadow = write_policy(api, document, rollout_mode="shadow")["id"]
    off = write_policy(api, document, rollout_mode="off")["id"]
    calls = {**document["limits"][0], "metric": "calls", "threshold": 1}
    counting = write_policy(api, document, limits=[calls])["id"]
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
    path = f"/policies/{write_policy(api, document, group_by=['user'])['id']}/usage"
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
    path = f"/policies/{write_policy(api, document, limits=limits)['id']}/usage"
    first = api.get(f"{path}?limit=1").json()
    rest = api.get(f"{path}?limit=1&cursor={first['next_cursor']}").json()
    assert first["data"] + rest["data"] == api.get(path).json()["data"]
    assert rest["has_more"] is False


def test_history_tells_of_crossings_and_what_they_stopped(api, acme, document, bot):
    day = document["limits"]
    both = {"alert_steps": [50, 100], "actions": {"block": {}, "revoke": {}}}
    policy = write_policy(api, document, limits=day, **both)
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
    policy = write_policy(api, document)["id"]
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
    shared = f"/policies/{write_policy(api, document)['id']}"
    own = write_policy(project_api, document)

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
        write_policy(api, document, scope={"project": other})["id"],
        write_policy(api, document, scope={"bot": bot})["id"],
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
    mine = write_policy(api, document, scope={"bot": bot.public_id})["id"]
    other = api.post("/bots", {"name": "other"}).json()["id"]
    theirs = write_policy(api, document, scope={"bot": other})["id"]
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
        "tokensCostToday": 0,
        "tokensCostThisMonth": 0,
        "callsToday": 0,
        "callsThisMonth": 0,
    }
    assert {limit["metric"] for limit in body["limits"]} == {"tokens", "calls"}
    path = f"/policies/{body['id']}"
    warned = api.patch(path, {"action": "warn"}, If_Match="*").json()
    assert (warned["action"], warned["actions"]) == ("warn", {"warn": {}})
    for name in ("agentId", "tenantId"):
        wrong = api.patch(path, {name: "nobody"}, If_Match="*")
        assert_problem(wrong, 422, "unknown_reference", f"/{name}")
