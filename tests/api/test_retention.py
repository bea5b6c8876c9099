"""Preview, receipts and confirmation over HTTP."""

import json
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.utils import timezone

from retention import signing
from retention.models import PruneRun
from tests.api.client import assert_problem, key_api, person_api
from usage.models import Conversation

DRAFT = {
    "type": "retention",
    "name": "Keep 30 days",
    "retention": {"target": "conversations", "max_age_days": 30},
}


def converse(api, bot, *, days, **fields):
    at = (timezone.now() - timedelta(days=days)).isoformat()
    body = {"bot": bot.public_id, "started_at": at, "last_activity_at": at, **fields}
    answer = api.post("/conversations", body)
    assert answer.status_code == 201, answer.content
    return answer.json()


@pytest.fixture
def policy(api):
    return api.post("/policies", DRAFT).json()


def prune(*arguments):
    call_command("prune", *arguments, stdout=StringIO())


def test_a_preview_counts_what_would_go_now(api, bot, policy):
    old = converse(api, bot, days=40)
    converse(api, bot, days=31, user="bob")
    converse(api, bot, days=1)
    hold = api.post("/retention/holds", {"user": "bob", "reason": "r"}).json()

    answer = api.post("/retention/preview", {"policy": policy["id"]})
    assert answer.status_code == 200, answer.content
    shown = answer.json()
    assert (shown["due"], shown["held"], shown["total"]) == (1, 1, 3)
    assert (shown["policy"], shown["sample"]) == (policy["id"], [old["id"]])
    assert shown["oldest"] == old["last_activity_at"]
    assert sum(bar["count"] for bar in shown["histogram"]) == 3
    assert shown["holds"] == [
        {"id": hold["id"], "kind": "user", "reason": "r", "rows": 1}
    ]
    assert shown["waits_for"] == "share"
    assert Conversation.objects.count() == 3


@pytest.mark.parametrize(
    "body",
    [
        DRAFT,
        {"retention": {"target": "conversations", "max_age_days": 30}},
        {"draft": DRAFT},
        {"policy": DRAFT},
    ],
)
def test_a_draft_is_previewed(api, bot, body):
    converse(api, bot, days=31)

    shown = api.post("/retention/preview", body).json()

    assert (shown["due"], shown["policy"]) == (1, None)


def test_the_plan_bounds_a_draft_about_decisions(api):
    draft = {"retention": {"target": "decisions", "max_age_days": 300}}
    assert api.post("/retention/preview", draft).json()["max_age_days"] == 30


@pytest.mark.parametrize(
    ("body", "code", "pointers"),
    [
        ([], "invalid_body", [""]),
        ({"policy": 5}, "invalid_body", ["/policy"]),
        ({"policy": "pol_x"}, "unknown_reference", ["/policy"]),
        ({"policy": "pol_x", "more": 1}, "invalid_body", ["/more"]),
        ({**DRAFT, "colour": 1}, "invalid_body", ["/colour"]),
        ({**DRAFT, "scope": {"bot": "nobody"}}, "unknown_reference", ["/scope/bot"]),
        (
            {"retention": {"target": "cats", "max_age_days": 0}},
            "invalid_body",
            ["/retention/target", "/retention/max_age_days"],
        ),
    ],
)
def test_a_preview_that_cannot_be_is_refused(api, body, code, pointers):
    assert_problem(api.post("/retention/preview", body), 422, code, *pointers)


def test_a_preview_is_of_retention_alone(api, document):
    usage = api.post("/policies", document).json()
    answer = api.post("/retention/preview", {"policy": usage["id"]})
    assert_problem(answer, 422, "invalid_body", "/policy")
    refused = api.post("/retention/preview", document)
    assert_problem(refused, 422, "invalid_body", "/type")


def test_a_large_run_waits_until_somebody_confirms_it(api, bot, policy):
    for _ in range(2):
        converse(api, bot, days=31)

    prune()

    (run,) = api.get("/retention/runs").json()["data"]
    assert (run["state"], run["waiting_for"]) == ("waiting", "share")
    assert (run["due"], run["total"], run["deleted"]) == (2, 2, {})
    assert (run["policy"], run["policy_revision"]) == (policy["id"], 1)
    kinds = [row["kind"] for row in api.get("/alerts").json()["data"]]
    assert "retention_paused" in kinds
    path = f"/retention/runs/{run['id']}"
    for typed in (3, "Keep 31 days", ""):
        refused = api.post(f"{path}/confirm", {"confirm": typed})
        assert_problem(refused, 422, "invalid_body", "/confirm")
    assert_problem(api.post(f"{path}/confirm"), 422, "invalid_body", "/confirm")
    refused = api.post(f"{path}/confirm", {"confirm": True})
    assert_problem(refused, 422, "invalid_body", "/confirm")
    assert Conversation.objects.count() == 2

    answer = api.post(f"{path}/confirm", {"confirm": 2})
    assert answer.status_code == 200, answer.content
    done = answer.json()
    assert (done["state"], done["progress"]) == ("completed", 1.0)
    assert done["deleted"]["usage_conversation"] == 2
    assert done["confirmed_by"].startswith("phk_live_")
    assert api.get(path).json() == done
    assert not Conversation.objects.exists()
    again = api.post(f"{path}/confirm", {"confirm": 2})
    assert_problem(again, 409, "not_waiting")


def test_a_run_is_paused_and_resumed(api, acme, stranger, bot, policy):
    converse(api, bot, days=31)
    prune()
    (shown,) = api.get("/retention/runs").json()["data"]
    path = f"/retention/runs/{shown['id']}"
    assert_problem(api.post(f"{path}/pause"), 409, "not_under_way")
    PruneRun.objects.update(state="running", waiting_for="")

    paused = api.post(f"{path}/pause", {"reason": "An audit is on"})
    assert paused.status_code == 200, paused.content
    told = paused.json()
    assert (told["state"], told["waiting_for"]) == ("paused", "resume")
    assert api.post(f"{path}/pause").json() == told
    prune("--confirm")
    assert api.get(path).json()["deleted"] == {}
    changed = api.get("/audit/changes").json()["data"][0]
    assert (changed["action"], changed["reason"]) == ("run.paused", "An audit is on")
    for body, pointer in (({"reason": 1}, "/reason"), ({"x": ""}, "/x")):
        assert_problem(api.post(f"{path}/resume", body), 422, "invalid_body", pointer)
    reader = key_api(acme, ["retention:read"])
    assert_problem(reader.post(f"{path}/resume"), 403, "missing_scope")
    assert_problem(stranger.post(f"{path}/resume"), 404, "not_found")

    assert api.post(f"{path}/resume").json()["waiting_for"] is None
    prune("--confirm")
    assert api.get(path).json()["state"] == "completed"
    assert_problem(api.post(f"{path}/resume"), 409, "not_under_way")
    PruneRun.objects.update(policy=None)
    assert_problem(api.post(f"{path}/pause"), 409, "not_pausable")


def test_a_name_confirms_as_well(api, bot, policy):
    converse(api, bot, days=31)
    prune()
    (run,) = api.get("/retention/runs").json()["data"]

    answer = api.post(
        f"/retention/runs/{run['id']}/confirm", {"confirm": policy["name"]}
    )

    assert answer.json()["state"] == "completed"


def test_a_command_confirms_and_deletes_exactly_what_is_due(api, bot, policy):
    young = converse(api, bot, days=29)
    converse(api, bot, days=31)

    prune("--confirm")

    assert [row["id"] for row in api.get("/conversations").json()["data"]] == [
        young["id"]
    ]
    (run,) = api.get("/retention/runs").json()["data"]
    assert (run["state"], run["confirmed_by"]) == ("completed", "command, confirmed")


def test_what_is_pending(api, bot, policy):
    converse(api, bot, days=31)
    prune()

    (row,) = api.get("/retention/pending").json()["data"]
    assert (row["policy"], row["due"], row["overdue"]) == (policy["id"], 1, False)
    assert row["open_run"]["state"] == "waiting"
    assert row["last_success_at"] is None
    prune("--confirm")
    (row,) = api.get("/retention/pending").json()["data"]
    assert (row["due"], row["open_run"]) == (0, None)
    assert row["last_success_at"] is not None


def test_pending_names_the_age_that_the_plan_bounds(api):
    rule = {"target": "decisions", "max_age_days": 300}
    api.post("/policies", {**DRAFT, "retention": rule})

    (row,) = api.get("/retention/pending").json()["data"]

    assert row["max_age_days"] == 30


def test_a_word_for_what_the_policy_says_no_more_is_refused(api, bot, policy):
    converse(api, bot, days=31)
    prune()
    (run,) = api.get("/retention/runs").json()["data"]
    rule = {"target": "conversations", "max_age_days": 20}
    path = f"/policies/{policy['id']}"
    api.patch(path, {"retention": rule}, If_Match='"1"')

    answer = api.post(f"/retention/runs/{run['id']}/confirm", {"confirm": 1})

    assert_problem(answer, 409, "not_waiting")
    assert Conversation.objects.count() == 1


def test_a_number_that_has_grown_is_asked_again(api, bot, policy):
    converse(api, bot, days=31)
    prune()
    (run,) = api.get("/retention/runs").json()["data"]
    path = f"/retention/runs/{run['id']}"
    converse(api, bot, days=40)

    answer = api.post(f"{path}/confirm", {"confirm": 1})

    assert_problem(answer, 422, "invalid_body", "/confirm")
    assert (api.get(path).json()["due"], Conversation.objects.count()) == (2, 2)
    done = api.post(f"{path}/confirm", {"confirm": 2}).json()
    assert (done["state"], Conversation.objects.count()) == ("completed", 0)


def test_what_is_pending_comes_in_pages(api, policy):
    other = api.post("/policies", DRAFT).json()
    first = api.get("/retention/pending?limit=1").json()
    assert [row["policy"] for row in first["data"]] == [policy["id"]]
    rest = api.get(f"/retention/pending?limit=1&cursor={first['next_cursor']}").json()
    assert [row["policy"] for row in rest["data"]] == [other["id"]]
    assert (first["has_more"], rest["has_more"]) == (True, False)


def test_lists_of_runs_filter(api, bot, policy):
    converse(api, bot, days=31)
    prune()
    for query, count in [
        (f"policy={policy['id']}", 1),
        ("policy=pol_x", 0),
        ("state=waiting", 1),
        ("state=completed", 0),
        ("target=conversations", 1),
        ("target=decisions", 0),
    ]:
        found = api.get(f"/retention/runs?{query}").json()["data"]
        assert len(found) == count, query
    for name in ("state", "target"):
        refused = api.get(f"/retention/runs?{name}=x")
        assert_problem(refused, 422, "invalid_query", f"/{name}")


def test_what_is_foreign_is_absent(api, stranger, bot, policy):
    converse(api, bot, days=31)
    prune()
    (run,) = api.get("/retention/runs").json()["data"]

    for path, method in (("", "GET"), ("/confirm", "POST")):
        foreign = stranger.call(method, f"/retention/runs/{run['id']}{path}")
        absent = stranger.call(method, f"/retention/runs/run_x{path}")
        assert_problem(foreign, 404, "not_found")
        assert foreign.content == absent.content
    assert stranger.get("/retention/runs").json()["data"] == []
    assert stranger.get("/retention/pending").json()["data"] == []
    foreign = stranger.post("/retention/preview", {"policy": policy["id"]})
    absent = stranger.post("/retention/preview", {"policy": "pol_x"})
    assert_problem(foreign, 422, "unknown_reference", "/policy")
    assert foreign.content == absent.content


def test_a_project_key_sees_its_own(api, acme, bot, project, project_api, policy):
    inside = api.post("/bots", {"name": "in", "project": project.public_id}).json()
    converse(api, bot, days=31)
    at = (timezone.now() - timedelta(days=31)).isoformat()
    api.post("/conversations", {"bot": inside["id"], "last_activity_at": at})
    own = project_api.post("/policies", DRAFT).json()
    prune()

    # Of a policy that all share, the rows of its own project alone.
    shown = project_api.post("/retention/preview", {"policy": policy["id"]}).json()
    assert (shown["due"], shown["total"]) == (1, None)
    assert api.post("/retention/preview", {"policy": policy["id"]}).json()["due"] == 2
    found = project_api.get("/retention/runs").json()["data"]
    assert [run["policy"] for run in found] == [own["id"]]
    (row,) = project_api.get("/retention/pending").json()["data"]
    assert row["policy"] == own["id"]
    path = f"/retention/runs/{found[0]['id']}/confirm"
    assert_problem(project_api.post(path, {"confirm": 1}), 403, "forbidden")
    theirs = {run["id"] for run in api.get("/retention/runs").json()["data"]}
    (other,) = theirs - {found[0]["id"]}
    assert_problem(project_api.get(f"/retention/runs/{other}"), 404, "not_found")


def test_who_may_do_what(acme, bob, api, bot, policy):
    converse(api, bot, days=31)
    prune()
    (run,) = api.get("/retention/runs").json()["data"]
    path = f"/retention/runs/{run['id']}/confirm"
    nobody = key_api(acme, ["policies:read"])
    for route in ("/retention/runs", "/retention/pending", f"{path[:-8]}"):
        assert_problem(nobody.get(route), 403, "missing_scope")
    assert_problem(nobody.post("/retention/preview", DRAFT), 403, "missing_scope")
    reader = key_api(acme, ["retention:read"])
    assert reader.post("/retention/preview", DRAFT).status_code == 200
    assert_problem(reader.post(path, {"confirm": 1}), 403, "missing_scope")
    bound = key_api(acme, bot=bot)
    assert_problem(bound.get("/retention/runs"), 403, "forbidden")
    member = bob.memberships.get()
    for role in ("viewer", "auditor"):
        member.role = role
        member.save()
        person = person_api(bob)
        assert person.get("/retention/runs").status_code == 200
        assert_problem(person.post(path, {"confirm": 1}), 403, "missing_scope")


def test_receipts_are_exported_signed(api, acme, stranger, bot, policy, project_api):
    converse(api, bot, days=31)
    prune("--confirm")

    answer = api.get("/retention/runs/export")
    assert answer["Content-Type"] == "application/jsonl; charset=utf-8"
    lines = b"".join(answer.streaming_content).decode().splitlines()
    key = api.get("/retention/signing-key").json()["public_key"]
    found = signing.verify(lines, key)
    assert (found["receipts"], found["head"]["account"]) == (1, acme.public_id)
    (run,) = api.get("/retention/runs").json()["data"]
    assert json.loads(lines[1])["receipt"] == run
    theirs = b"".join(stranger.get("/retention/runs/export").streaming_content)
    assert signing.verify(theirs.decode().splitlines(), key)["receipts"] == 0
    assert_problem(project_api.get("/retention/runs/export"), 403, "forbidden")
    nobody = key_api(acme, ["policies:read"])
    for path in ("runs/export", "signing-key"):
        assert_problem(nobody.get(f"/retention/{path}"), 403, "missing_scope")
