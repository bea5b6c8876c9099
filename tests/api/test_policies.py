"""Policies over HTTP."""

import copy

import pytest

from tests.api.client import assert_problem, write_policy


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
    made = write_policy(api, body)

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

    assert write_policy(api, document, scope={"bot": "ext"})["scope"] == {
        "bot": bot["id"]
    }


def test_a_webhook_that_is_not_there_cannot_be_named(api, document):
    document["actions"] = {"webhook": {"to": ["whk_01kjm3v5c0e8r9q2t4w6y8z0a3"]}}

    answer = api.post("/policies", document)
    assert_problem(answer, 422, "unknown_reference", "/actions/webhook/to/0")


def test_an_edit_needs_the_revision_that_was_read(api, document):
    policy = write_policy(api, document)
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
    # A number without an ETag's quotes says the same.
    assert api.patch(path, {"name": "Bare"}, If_Match="2")["ETag"] == '"3"'


def test_a_patch_merges_and_a_put_replaces(api, document):
    document["description"] = "for all"
    path = f"/policies/{write_policy(api, document)['id']}"

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
    path = f"/policies/{write_policy(api, document)['id']}"

    broken = api.patch(path, {"limits": []}, If_Match="*")
    assert broken.status_code == 422
    assert broken.json()["errors"][0]["pointer"] == "/limits"
    assert_problem(api.patch(path, [], If_Match="*"), 422, "invalid_body", "")
    assert api.get(path).json()["revision"] == 1


def test_what_was_read_may_be_sent_back(api, document):
    policy = write_policy(api, document)
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
    path = f"/policies/{write_policy(api, document)['id']}"
    other = {
        "type": "retention",
        "name": "x",
        "retention": {"target": "conversations", "max_age_days": 3},
    }

    answer = api.put(path, other, If_Match="*")
    assert_problem(answer, 422, "invalid_body", "/type")


def test_counting_goes_on_for_limits_that_stay(api, document):
    policy = write_policy(api, document)
    path = f"/policies/{policy['id']}"
    changed = copy.deepcopy(document)
    changed["limits"][0]["threshold"] = 5

    kept = api.put(path, changed, If_Match="*").json()
    assert kept["counting_since"] == policy["counting_since"]
    changed["limits"][0]["metric"] = "calls"
    new = api.put(path, changed, If_Match="*").json()
    assert new["counting_since"] > policy["counting_since"]


def test_an_archived_policy_is_gone(api, document):
    path = f"/policies/{write_policy(api, document)['id']}"

    assert api.delete(path, If_Match='"1"').status_code == 204
    assert_problem(api.get(path), 404, "not_found")
    assert api.get("/policies").json()["data"] == []


def test_revisions_are_kept_and_restored(api, document):
    path = f"/policies/{write_policy(api, document)['id']}"
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
    policy = write_policy(api, document)

    readings = api.get(f"/policies/{policy['id']}/usage").json()["data"]
    assert len(readings) == 1
    reading = readings[0]
    assert (reading["metric"], reading["subject"]) == ("tokens", {})
    assert (reading["threshold"], reading["used"], reading["held"]) == (1000, 0, 0)
    assert (reading["remaining"], reading["status"]) == (1000, "active")
    assert reading["resets_at"] > reading["window_start"]


def test_costs_are_decimal_dollars(api, document):
    document["limits"][0] |= {"metric": "cost", "threshold": 12.5}

    policy = write_policy(api, document)
    assert policy["limits"][0]["threshold"] == "12.5"
    reading = api.get(f"/policies/{policy['id']}/usage").json()["data"][0]
    assert (reading["threshold"], reading["used"]) == ("12.5", "0")


def test_a_reset_names_a_period_and_perhaps_a_subject(api, document):
    path = f"/policies/{write_policy(api, document, group_by=['user'])['id']}/reset"

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
