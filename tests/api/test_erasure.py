"""Erasure of a user over HTTP."""

from urllib.parse import quote

from django.utils import timezone

from tests.api.client import assert_problem, key_api, person_api
from usage.models import Conversation, Reservation


def converse(api, bot, user):
    return api.post("/conversations", {"bot": bot.public_id, "user": user}).json()


def test_a_user_is_erased_and_leaves_a_receipt(api, bot):
    user = "tom/müller @x"
    converse(api, bot, user)
    other = converse(api, bot, "eve")

    answer = api.delete(f"/users/{quote(user, safe='')}/data")
    assert answer.status_code == 200, answer.content
    receipt = answer.json()
    assert (receipt["target"], receipt["state"]) == ("user_data", "completed")
    assert receipt["deleted"]["usage_conversation"] == 1
    assert receipt["subject"].startswith("erased_")
    assert user not in answer.content.decode()
    assert api.get(f"/retention/runs/{receipt['id']}").json() == receipt
    assert [c["id"] for c in api.get("/conversations").json()["data"]] == [other["id"]]
    again = api.delete(f"/users/{quote(user, safe='')}/data")
    assert (again.status_code, again.json()["deleted"]) == (200, {})


def test_an_open_reservation_makes_it_go_on(api, acme, bot):
    now = timezone.now()
    Reservation.objects.create(account=acme, bot=bot, user="bob", expires_at=now)

    answer = api.delete("/users/bob/data")

    assert answer.status_code == 202
    assert answer.json()["skipped"] == {"open reservations": 1}


def test_a_hold_refuses_it(api, bot):
    converse(api, bot, "bob")
    hold = api.post("/retention/holds", {"user": "bob", "reason": "r"}).json()

    refused = api.delete("/users/bob/data")
    assert_problem(refused, 409, "held")
    assert hold["id"] in refused.json()["detail"]


def test_what_cannot_be_a_user_is_absent(api):
    for name in ("x" * 257, "%00"):
        assert_problem(api.delete(f"/users/{name}/data"), 404, "not_found")


def test_a_strangers_erasure_touches_nothing(api, stranger, bot):
    converse(api, bot, "bob")

    assert stranger.delete("/users/bob/data").json()["deleted"] == {}
    assert Conversation.objects.count() == 1


def test_who_may_erase(acme, alice, bob, bot, project_api):
    for scopes in (["conversations:read"], ["retention:write"]):
        answer = key_api(acme, scopes).delete("/users/u/data")
        assert_problem(answer, 403, "missing_scope")
    assert key_api(acme, ["conversations:write"]).delete(
        "/users/u/data"
    ).status_code == (200)
    for bound in (project_api, key_api(acme, bot=bot)):
        assert_problem(bound.delete("/users/u/data"), 403, "forbidden")
    assert person_api(alice).delete("/users/u/data").status_code == 200
    assert_problem(person_api(bob).delete("/users/u/data"), 403, "forbidden")
    member = bob.memberships.get()
    for role in ("auditor", "viewer"):
        member.role = role
        member.save()
        answer = person_api(bob).delete("/users/u/data")
        assert_problem(answer, 403, "missing_scope")
