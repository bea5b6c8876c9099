"""Erasing one user: conversations go, records lose the name, no cap is refunded."""

from datetime import timedelta

import pytest

from accounts.actors import SYSTEM
from accounts.models import Account, ChangeRecord
from alerts.models import Alert, Notice
from audit.models import DecisionRecord
from policies.models import Block
from retention import erasure
from retention.erasure import erase_user, pseudonym_of
from retention.holding import Held, place_hold, release_hold
from retention.models import PruneRun
from tests.retention.house import House, left
from usage.models import (
    Conversation,
    Counter,
    HourlyRollup,
    Message,
    Reservation,
    UsageEvent,
    UsageSummary,
)
from usage.rollups import roll_up

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def house():
    return House()


def erase(house, user="bob", **how):
    given = {"actor": SYSTEM, "now": house.now, **how}
    return erase_user(account=house.account, user=user, **given)


def test_conversations_go_and_records_name_a_pseudonym(house):
    Account.objects.update(stores_text=True)
    owned = house.add_bot("owned", owner="bob")
    house.conversation(1, user="bob", messages=3)
    house.conversation(1, bot=owned)
    other = house.conversation(1, user="eve", messages=1)
    events = [house.event(1, user="bob", tokens=5), house.event(1, user="eve")]
    for user in ("bob", "eve"):
        house.decision(1, policy_user=user, subject={"user": user, "reserve": True})

    run = erase(house)

    name = pseudonym_of(house.account, "bob")
    assert run.state == "completed"
    assert run.deleted == {
        "usage_conversation": 2,
        "usage_message": 3,
        "usage_usageevent.user": 1,
        "usage_hourlyrollup.user": 1,
        "usage_usagesummary.user": 6,
        "audit_decisionrecord.user": 1,
    }
    assert (run.subject, run.erasing, run.policy) == (name, "", None)
    assert left(Conversation) == {other.id}
    assert Message.objects.count() == 1
    users = dict(UsageEvent.objects.values_list("id", "user"))
    assert users == {events[0].id: name, events[1].id: "eve"}
    found = DecisionRecord.objects.order_by("policy_user")
    assert [(d.policy_user, d.subject["user"]) for d in found] == [
        (name, name),
        ("eve", "eve"),
    ]
    record = ChangeRecord.objects.get(action="user.erased")
    assert "bob" not in str(record.changes)


def test_what_endpoints_were_told_loses_the_name_too(house):
    def told(key, **data):
        return Notice.objects.create(
            account=house.account, type="t", key=key, data=data, happened_at=house.now
        ).id

    refused, counted = told("1", user="bob"), told("2", subject={"user": "bob"})
    other = told("3", user="eve", message="bob")

    erase(house)

    name = pseudonym_of(house.account, "bob")
    data = dict(Notice.objects.values_list("id", "data"))
    assert data[refused] == {"user": name}
    assert data[counted] == {"subject": {"user": name}}
    assert data[other]["user"] == "eve"


def test_another_accounts_user_of_that_name_stays(house):
    other = House("charlie")
    theirs = other.conversation(1, user="bob")
    event = other.event(1, user="bob")

    erase(house)

    assert left(Conversation) == {theirs.id}
    assert UsageEvent.objects.get(id=event.id).user == "bob"
    assert pseudonym_of(house.account, "bob") != pseudonym_of(other.account, "bob")


def test_rollups_of_before_and_after_become_one(house):
    house.event(1, user="bob", tokens=5)
    erase(house)
    house.event(1, user="bob", tokens=7)
    roll_up(now=house.now)
    erase(house)

    row = HourlyRollup.objects.get()
    assert (row.user, row.tokens, row.events) == (
        pseudonym_of(house.account, "bob"),
        12,
        2,
    )
    sums = UsageSummary.objects.filter(dimension="user")
    assert {(s.value, s.tokens) for s in sums.filter(grain="month")} == {(row.user, 12)}
    assert not sums.filter(value="bob").exists()


def test_what_is_over_loses_the_name_and_what_still_counts_keeps_it(house):
    usage = house.usage_policy()
    subject = [["user", "bob"]]
    common = {"account": house.account, "policy": usage}
    counter = Counter.objects.create(
        id=usage.id,
        limit_key="k",
        metric="tokens",
        kind="lifetime",
        subject=subject,
        subject_key="user=bob",
        used=9,
        **common,
    )
    blocks = [
        Block.objects.create(
            kind="policy",
            cover=usage.id,
            counter=counter.id,
            subject=[["bot", "x"], *subject],
            lifted_at=lifted,
            **common,
        )
        for lifted in (None, house.now)
    ]
    Alert.objects.create(account=house.account, subject=subject, window_start=house.now)
    for state, ended in (("open", None), ("settled", house.now)):
        Reservation.objects.create(
            account=house.account,
            bot=house.bot,
            user="bob",
            state=state,
            ended_at=ended,
            expires_at=house.now + timedelta(minutes=10),
            answer={"policy_user": "bob"},
        )

    run = erase(house)

    name = pseudonym_of(house.account, "bob")
    counter.refresh_from_db()
    assert (counter.used, counter.subject) == (9, subject)
    shown = [Block.objects.get(id=block.id).subject for block in blocks]
    assert shown == [[["bot", "x"], ["user", "bob"]], [["bot", "x"], ["user", name]]]
    assert Alert.objects.get().subject == [["user", name]]
    found = Reservation.objects.order_by("state")
    assert [(r.user, r.answer["policy_user"]) for r in found] == [
        ("bob", "bob"),
        (name, name),
    ]
    # It goes on until the reservation has ended.
    assert (run.state, run.skipped) == ("paused", {"open reservations": 1})
    assert erase(house).id == run.id
    Reservation.objects.filter(state="open").update(state="expired", ended_at=house.now)
    assert erasure.go_on_with_all(now=house.now) == 1
    run.refresh_from_db()
    assert (run.state, run.erasing) == ("completed", "")
    assert not Reservation.objects.filter(user="bob").exists()


@pytest.mark.parametrize(
    "kind", ["account", "user", "bot", "conversation", "event", "decision"]
)
def test_a_hold_refuses(house, kind):
    bot = house.add_bot("held")
    at = {"bot": bot} if kind == "bot" else {}
    row = house.conversation(1, user="bob", **at)
    what = {
        "account": house.account,
        "user": "bob",
        "conversation": row,
    }.get(kind, bot)
    if kind == "event":
        house.event(1, bot=bot, user="bob")
    if kind == "decision":
        house.decision(1, policy_target=bot.public_id, policy_user="bob")
    hold = place_hold(
        account=house.account, what=what, reason="r", actor=SYSTEM, now=house.now
    )

    with pytest.raises(Held, match=hold.public_id):
        erase(house)
    assert left(Conversation) == {row.id}
    assert not PruneRun.objects.exists()

    release_hold(hold=hold, actor=SYSTEM, now=house.now)
    assert erase(house).state == "completed"


def test_a_hold_on_something_else_does_not(house):
    house.conversation(1, user="bob")
    place_hold(
        account=house.account, what="eve", reason="r", actor=SYSTEM, now=house.now
    )

    assert erase(house).state == "completed"


def test_a_large_one_goes_on_in_the_worker(house, monkeypatch):
    monkeypatch.setattr(erasure, "_BATCH", 2)
    for _ in range(5):
        house.conversation(1, user="bob", messages=1)
        house.event(1, user="bob")

    run = erase(house, budget_seconds=0)
    assert (run.state, run.deleted, run.erasing) == ("paused", {}, "bob")
    erasure.go_on_with_all(now=house.now)

    run.refresh_from_db()
    assert run.state == "completed"
    assert run.deleted["usage_conversation"] == run.deleted["usage_message"] == 5
    assert run.deleted["usage_usageevent.user"] == 5


def test_a_hold_that_comes_meanwhile_stops_it(house):
    house.conversation(1, user="bob")
    run = erase(house, budget_seconds=0)
    place_hold(
        account=house.account, what="bob", reason="r", actor=SYSTEM, now=house.now
    )

    erasure.go_on_with_all(now=house.now)

    run.refresh_from_db()
    assert (run.state, run.erasing) == ("stopped", "")
    assert Conversation.objects.count() == 1


def test_nobody_is_erased_as_well(house):
    run = erase(house, user="nobody")

    assert (run.state, run.deleted) == ("completed", {})
