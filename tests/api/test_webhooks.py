"""Webhooks over HTTP: made, rotated, tested and asked again, by their account alone."""

import pytest
from django.utils import timezone

from accounts.models import ChangeRecord
from accounts.sealing import unseal
from alerts.models import Delivery, Webhook
from tests.api.client import assert_problem, key_api, person_api

URL = "https://hooks.example.com/policyhub"
DOCUMENT = {"url": URL, "event_types": ["policy.triggered"], "description": "on call"}


@pytest.fixture
def webhook(api):
    return api.post("/webhooks", DOCUMENT).json()


def test_a_webhook_is_made_and_its_secret_shown_once(api):
    made = api.post("/webhooks", DOCUMENT)

    assert made.status_code == 201
    body = made.json()
    secret = body.pop("secret")
    assert secret.startswith("whsec_")
    assert body["id"].startswith("whk_")
    assert (body["url"], body["enabled"]) == (URL, True)
    assert body["event_types"] == ["policy.triggered"]
    assert api.get(f"/webhooks/{body['id']}").json() == body
    assert api.get("/webhooks").json()["data"] == [body]
    stored = Webhook.objects.get().secrets[0]["sealed"]
    assert secret not in stored
    assert unseal(stored) == secret
    assert ChangeRecord.objects.filter(action="webhook.created").count() == 1


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"url": "http://hooks.example.com/"}, "/url"),
        ({"url": "https://127.0.0.1/"}, "/url"),
        ({"url": "https://169.254.169.254/latest"}, "/url"),
        ({"url": "https://hooks.example.com:22/"}, "/url"),
        ({"url": 7}, "/url"),
        ({"url": ""}, "/url"),
        ({"event_types": ["policy.exploded"]}, "/event_types/0"),
        ({"event_types": ["webhook.test"]}, "/event_types/0"),
        ({"event_types": "policy.triggered"}, "/event_types"),
        ({"enabled": 1}, "/enabled"),
        ({"enabled": None}, "/enabled"),
        ({"description": "a\x07"}, "/description"),
        ({"secret": "whsec_AAAA"}, "/secret"),
    ],
)
def test_a_bad_body_is_refused_with_its_pointer(api, webhook, change, pointer):
    made = api.post("/webhooks", {**DOCUMENT, **change})
    assert_problem(made, 422, "invalid_body", pointer)
    path = f"/webhooks/{webhook['id']}"
    assert_problem(api.patch(path, change), 422, "invalid_body", pointer)
    assert_problem(api.put(path, {**DOCUMENT, **change}), 422, "invalid_body", pointer)


def test_a_webhook_is_changed_and_deleted(api, webhook):
    path = f"/webhooks/{webhook['id']}"

    changed = api.patch(path, {"event_types": ["*"], "enabled": False}).json()
    assert (changed["event_types"], changed["enabled"]) == (["*"], False)
    assert changed["disabled_at"] is not None
    assert changed["url"] == URL
    replaced = api.put(path, {"url": "https://other.example.com"}).json()
    assert replaced["url"] == "https://other.example.com/"
    assert (replaced["event_types"], replaced["enabled"]) == ([], True)
    assert replaced["disabled_at"] is None
    assert api.delete(path).status_code == 204
    assert_problem(api.get(path), 404, "not_found")


def test_rotation_shows_a_new_secret_and_keeps_the_old_one_for_the_overlap(
    api, webhook
):
    path = f"/webhooks/{webhook['id']}/rotate"

    first = api.post(path, {"overlap_seconds": 3600})
    assert first.status_code == 200
    assert first.json()["secret"] != webhook["secret"]
    row = Webhook.objects.get()
    assert [unseal(held["sealed"]) for held in row.secrets] == [
        first.json()["secret"],
        webhook["secret"],
    ]
    api.post(path, {"overlap_seconds": 0})
    assert len(Webhook.objects.get().secrets) == 1
    wrong = api.post(path, {"overlap_seconds": -1})
    assert_problem(wrong, 422, "invalid_body", "/overlap_seconds")


def test_a_test_message_is_logged_and_sent_again(api, webhook):
    path = f"/webhooks/{webhook['id']}"

    sent = api.post(f"{path}/test")
    assert sent.status_code == 202
    body = sent.json()
    assert (body["type"], body["state"]) == ("webhook.test", "pending")
    assert body["payload"]["data"]["webhook"] == webhook["id"]
    assert api.get(f"{path}/deliveries").json()["data"] == [body]
    assert api.get(f"{path}/deliveries/{body['id']}").json() == body
    for query in ("state=pending", "type=webhook.test"):
        assert len(api.get(f"{path}/deliveries?{query}").json()["data"]) == 1
    for query in ("state=failed", "type=bot.blocked"):
        assert api.get(f"{path}/deliveries?{query}").json()["data"] == []
    for name in ("state", "type"):
        wrong = api.get(f"{path}/deliveries?{name}=lost")
        assert_problem(wrong, 422, "invalid_query", f"/{name}")

    Delivery.objects.update(state="failed", attempts=8, last_error="answered 500")
    again = api.post(f"{path}/deliveries/{body['id']}/redeliver")
    assert again.status_code == 202
    assert (again.json()["id"], again.json()["state"]) == (body["id"], "pending")
    assert again.json()["attempts"] == 0


def test_what_failed_is_sent_again_together(api, webhook):
    path = f"/webhooks/{webhook['id']}"
    one = api.post(f"{path}/test").json()
    api.post(f"{path}/test")
    Delivery.objects.update(state="failed")

    later = timezone.now().isoformat()
    assert api.post(f"{path}/redeliver", {"since": later}).json() == {"redelivered": 0}
    named = api.post(f"{path}/redeliver", {"delivery": one["id"]})
    assert (named.status_code, named.json()) == (202, {"redelivered": 1})
    assert api.post(f"{path}/redeliver").json() == {"redelivered": 1}
    absent = api.post(f"{path}/redeliver", {"delivery": "dlv_x"})
    assert_problem(absent, 422, "unknown_reference", "/delivery")
    both = api.post(f"{path}/redeliver", {"delivery": one["id"], "since": later})
    assert_problem(both, 422, "invalid_body", "/delivery")
    api.patch(path, {"enabled": False})
    assert_problem(api.post(f"{path}/redeliver"), 409, "conflict")


def test_what_is_foreign_is_absent_byte_for_byte(api, stranger, webhook):
    mine = f"/webhooks/{webhook['id']}"
    delivery = api.post(f"{mine}/test").json()["id"]
    for method, path, absent in [
        ("GET", mine, "/webhooks/x"),
        ("PATCH", mine, "/webhooks/x"),
        ("PUT", mine, "/webhooks/x"),
        ("DELETE", mine, "/webhooks/x"),
        ("POST", f"{mine}/rotate", "/webhooks/x/rotate"),
        ("POST", f"{mine}/test", "/webhooks/x/test"),
        ("POST", f"{mine}/redeliver", "/webhooks/x/redeliver"),
        ("GET", f"{mine}/deliveries", "/webhooks/x/deliveries"),
        (
            "GET",
            f"{mine}/deliveries/{delivery}",
            f"/webhooks/x/deliveries/{delivery}",
        ),
        (
            "POST",
            f"{mine}/deliveries/{delivery}/redeliver",
            f"/webhooks/x/deliveries/{delivery}/redeliver",
        ),
    ]:
        foreign = stranger.call(method, path)
        assert_problem(foreign, 404, "not_found")
        assert foreign.content == stranger.call(method, absent).content
    assert stranger.get("/webhooks").json()["data"] == []
    own = stranger.post("/webhooks", DOCUMENT).json()["id"]
    crossed = stranger.get(f"/webhooks/{own}/deliveries/{delivery}")
    assert_problem(crossed, 404, "not_found")


def test_scopes_and_bindings_are_asked_for(acme, project, bot, webhook):
    path = f"/webhooks/{webhook['id']}"
    reader = key_api(acme, ["webhooks:read"])
    assert reader.get(path).status_code == 200
    for call in (
        reader.post("/webhooks", DOCUMENT),
        reader.patch(path, {}),
        reader.delete(path),
        reader.post(f"{path}/rotate"),
        reader.post(f"{path}/test"),
        reader.post(f"{path}/redeliver"),
        key_api(acme, ["alerts:read"]).get("/webhooks"),
    ):
        assert_problem(call, 403, "missing_scope")
    for bound in (key_api(acme, project=project), key_api(acme, bot=bot)):
        assert_problem(bound.get("/webhooks"), 403, "forbidden")
        assert_problem(bound.get(path), 403, "forbidden")
        assert_problem(bound.post("/webhooks", DOCUMENT), 403, "forbidden")


def test_an_operator_writes_and_a_viewer_reads(acme, bob, webhook):
    operator = person_api(bob)
    assert operator.post("/webhooks", DOCUMENT).status_code == 201
    acme.members.filter(person=bob).update(role="viewer")
    viewer = person_api(bob)
    assert viewer.get("/webhooks").status_code == 200
    assert_problem(viewer.post("/webhooks", DOCUMENT), 403, "missing_scope")


def test_a_policy_names_webhooks_of_its_account_alone(api, stranger, document, webhook):
    foreign = stranger.post("/webhooks", DOCUMENT).json()["id"]
    document["actions"] = {"webhook": {"to": [webhook["id"]]}}
    assert api.post("/policies", document).status_code == 201

    answers = []
    for unknown in (foreign, "whk_0123456789abcdefghjkmnpqrs", "whk_none"):
        document["actions"] = {"webhook": {"to": [webhook["id"], unknown]}}
        answers.append(api.post("/policies", document))
        pointer = "/actions/webhook/to/1"
        assert_problem(answers[-1], 422, "unknown_reference", pointer)
    assert len({answer.content for answer in answers}) == 1
