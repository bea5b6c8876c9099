"""What an admin does goes through the services, asks first, and is remembered."""

import html
import re
from datetime import timedelta

import pytest
from django.urls import reverse

from accounts import administration
from accounts.actors import SYSTEM
from accounts.models import Account, ApiKey, Bot, ChangeRecord, Member, Person, Project
from accounts.selectors import account_by_slug
from accounts.services import add_member, create_account, create_bot
from alerts.models import Alert, Delivery
from policies import rules
from policies.models import Block, Policy
from policies.selectors import bot_pause
from policies.services import block_bot
from retention.models import PruneRun
from tests.admin.conftest import NOW, write_policy
from usage import edits
from usage.models import Adjustment, Conversation, Counter

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


def url(model, page="changelist", *args) -> str:
    meta = model._meta
    return reverse(f"admin:{meta.app_label}_{meta.model_name}_{page}", args=args)


def act(client, action: str, *rows, confirmed=True, reason="because"):
    sent = {"action": action, "_selected_action": [str(row.pk) for row in rows]}
    if confirmed:
        sent |= {"confirmed": "yes", "reason": reason}
    return client.post(url(type(rows[0])), sent, follow=True)


def retention_policy(account: Account) -> Policy:
    document = {
        "type": "retention",
        "name": "Keep 30 days",
        "retention": {"target": "conversations", "max_age_days": 30},
    }
    return edits.create_policy(
        account=account, document=rules.parse(document), actor=SYSTEM, now=NOW
    )


def said(answer) -> str:
    return " ".join(str(message) for message in answer.context["messages"])


def changed(target: str) -> ChangeRecord:
    """The newest change of a row, which names the admin."""
    record = ChangeRecord.objects.filter(target=target).order_by("-id").first()
    assert record.actor_label == "root@example.com"
    return record


class TestBots:
    def test_block_asks_first(self, admin_client, bot):
        answer = act(admin_client, "block", bot, confirmed=False)
        page = answer.content.decode()
        assert "Every call of these bots is refused" in page
        assert "Desk" in page
        assert not Block.objects.exists()

    def test_block_and_unblock(self, admin_client, bot):
        answer = act(admin_client, "block", bot, reason="loops")
        assert "1 row: blocked." in said(answer)
        block = bot_pause(bot.account, bot, NOW + timedelta(days=9_999))
        assert block.reason == "loops"
        record = changed(bot.public_id)
        assert (record.action, record.reason) == ("bot.blocked", "loops")
        assert "blocked" in admin_client.get(url(Bot)).content.decode()
        act(admin_client, "unblock", bot, confirmed=False)
        assert bot_pause(bot.account, bot, NOW + timedelta(days=9_999)) is None
        assert changed(bot.public_id).action == "bot.unblocked"

    def test_a_shared_block_is_named(self, admin_client, account, crossed, bot):
        shared = write_policy(account, name="Everybody")
        Block.objects.all().delete()
        Block.objects.create(
            account=account,
            kind="policy",
            policy=shared,
            cover=shared.id,
            counter=shared.id,
            starts_at=NOW,
        )
        assert "Everybody" in said(act(admin_client, "unblock", bot))

    def test_nothing_to_unblock_is_said(self, admin_client, bot):
        assert "Nothing" in said(act(admin_client, "unblock", bot))

    def test_revoke_takes_the_keys_and_restore_does_not_give_them(
        self, admin_client, crossed, bot
    ):
        act(admin_client, "revoke", bot)
        bot.refresh_from_db()
        assert bot.state == Bot.State.REVOKED
        assert ApiKey.objects.get().revoked_at is not None
        act(admin_client, "restore", bot)
        bot.refresh_from_db()
        assert bot.state == Bot.State.ACTIVE
        assert ApiKey.objects.get().revoked_at is not None

    def test_an_archived_bot_is_refused_and_the_others_go_on(
        self, admin_client, account, bot
    ):
        gone = create_bot(account=account, name="Gone", actor=SYSTEM, now=NOW)
        Bot.objects.filter(pk=gone.pk).update(archived_at=NOW)
        text = said(act(admin_client, "block", gone, bot))
        assert "Gone: It is archived" in text
        assert "1 row: blocked." in text

    def test_a_form_edits_by_the_service(self, admin_client, bot):
        sent = {"name": "Front desk", "owner": "", "description": "", "external_id": ""}
        answer = admin_client.post(url(Bot, "change", bot.pk), sent)
        assert answer.status_code == 302
        version = bot.account.version
        bot.refresh_from_db()
        assert (bot.name, bot.revision) == ("Front desk", 2)
        assert bot.external_id is None
        assert Account.objects.get(pk=bot.account_id).version > version
        record = changed(bot.public_id)
        assert record.changes == [
            {"field": "name", "before": "Desk", "after": "Front desk"}
        ]

    def test_a_taken_external_id_is_refused(self, admin_client, account, bot):
        create_bot(
            account=account, name="Other", external_id="x", actor=SYSTEM, now=NOW
        )
        sent = {"name": "Desk", "external_id": "x", "owner": "", "description": ""}
        answer = admin_client.post(url(Bot, "change", bot.pk), sent, follow=True)
        assert answer.status_code == 200
        bot.refresh_from_db()
        assert bot.external_id is None


class TestPolicies:
    @pytest.mark.parametrize(
        ("action", "left"), [("reset_day", 0), ("reset_month", 1200), ("reset_all", 0)]
    )
    def test_reset(self, admin_client, crossed, action, left):
        act(admin_client, action, crossed, confirmed=False)
        assert Counter.objects.get().used == 1200
        act(admin_client, action, crossed)
        assert Counter.objects.get().used == left
        assert Adjustment.objects.exists() == (left == 0)

    def test_only_usage_policies_are_reset(self, admin_client, account):
        policy = retention_policy(account)
        assert "Only a usage policy" in said(act(admin_client, "reset_all", policy))

    def test_prune_now(self, admin_client, account, bot):
        policy = retention_policy(account)
        for age in (40, 1, 1, 1, 1, 1, 1):
            moment = NOW.replace(microsecond=0) - age * DAY
            Conversation.objects.create(
                account=account, bot=bot, started_at=moment, last_activity_at=moment
            )
        act(admin_client, "prune_now", policy, confirmed=False)
        assert Conversation.objects.count() == 7
        act(admin_client, "prune_now", policy)
        assert Conversation.objects.count() == 6
        assert "root@example.com" in PruneRun.objects.get().trigger

    def test_only_retention_policies_prune(self, admin_client, crossed):
        assert "Only a retention" in said(act(admin_client, "prune_now", crossed))

    def test_clear_lifts_the_block_and_resets_its_counter(self, admin_client, crossed):
        block = Block.objects.get()
        act(admin_client, "clear", block)
        block.refresh_from_db()
        assert block.lifted_at is not None
        assert Counter.objects.get().used == 0

    def test_a_persons_block_is_not_cleared(self, admin_client, bot):
        block = block_bot(bot=bot, reason="", actor=SYSTEM, now=NOW)
        assert "Unblock or restore" in said(act(admin_client, "clear", block))


class TestTheRest:
    def test_resend(self, admin_client, crossed):
        delivery = Delivery.objects.get()
        Delivery.objects.update(state="sent", sent_at=NOW)
        act(admin_client, "resend", delivery)
        delivery.refresh_from_db()
        assert delivery.state == Delivery.State.PENDING
        assert changed(delivery.public_id).action == "delivery.resent"

    def test_acknowledge(self, admin_client, crossed):
        alert = Alert.objects.get()
        act(admin_client, "acknowledge", alert, confirmed=False)
        alert.refresh_from_db()
        assert alert.acknowledged_by == "root@example.com"

    def test_revoke_a_key(self, admin_client, crossed):
        key = ApiKey.objects.get()
        act(admin_client, "revoke", key, confirmed=False)
        assert ApiKey.objects.get().revoked_at is None
        act(admin_client, "revoke", key, reason="leaked")
        assert ApiKey.objects.get().revoked_at is not None
        assert changed(key.public_id).reason == "leaked"

    def test_archive_a_project(self, admin_client, account, bot):
        project = Project.objects.get()
        assert "still has bots" in said(act(admin_client, "archive", project))
        Bot.objects.filter(pk=bot.pk).update(project=None)
        act(admin_client, "archive", project)
        project.refresh_from_db()
        assert project.archived_at is not None

    def test_an_accounts_plan(self, admin_client, account):
        sent = {"name": "Acme", "plan": "plus", "timezone": "UTC", "week_start": 1}
        admin_client.post(url(Account, "change", account.pk), sent)
        fresh = account_by_slug("acme")
        assert (fresh.plan, fresh.version) == ("plus", account.version + 1)
        assert changed(account.public_id).action == "account.updated"

    def test_a_time_zone_is_checked(self, admin_client, account):
        sent = {"name": "Acme", "plan": "plus", "timezone": "Mars", "week_start": 1}
        answer = admin_client.post(
            url(Account, "change", account.pk), sent, follow=True
        )
        assert "/timezone: is not a time zone" in said(answer)
        assert account_by_slug("acme").timezone == "UTC"

    def test_add_a_person_and_a_member(self, admin_client, account):
        sent = {"email": "bob@example.com", "name": "Bob", "is_active": "on"}
        answer = admin_client.post(url(Person, "add"), sent)
        assert answer.status_code == 302
        bob = Person.objects.get(email="bob@example.com")
        assert not bob.has_usable_password()
        assert not bob.is_staff
        sent = {"account": account.pk, "person": bob.pk, "role": "viewer"}
        assert admin_client.post(url(Member, "add"), sent).status_code == 302
        member = Member.objects.get(person=bob)
        assert changed(member.public_id).action == "member.added"
        admin_client.post(url(Member, "change", member.pk), {"role": "operator"})
        member.refresh_from_db()
        assert member.role == "operator"
        act(admin_client, "remove", member)
        assert not Member.objects.filter(person=bob).exists()
        assert changed(member.public_id).action == "member.removed"

    def test_the_last_owner_stays(self, admin_client, account):
        member = Member.objects.get(account=account)
        assert "at least one owner" in said(act(admin_client, "remove", member))
        answer = admin_client.post(
            url(Member, "change", member.pk), {"role": "viewer"}, follow=True
        )
        assert "at least one owner" in said(answer)
        member.refresh_from_db()
        assert member.role == "owner"

    def test_the_last_admin_stays(self, admin_client, account):
        root = Person.objects.get(email="root@example.com")
        sent = {"name": "Root", "is_active": "on"}
        answer = admin_client.post(url(Person, "change", root.pk), sent, follow=True)
        assert "at least one active admin" in said(answer)
        assert Person.objects.get(pk=root.pk).is_superuser

    def test_a_change_of_a_person_is_told_to_their_accounts(
        self, admin_client, account
    ):
        alice = Person.objects.get(email="alice@example.com")
        other = create_account(slug="other", owner_email="o@example.com", now=NOW)
        add_member(account=other, person=alice, role="viewer", actor=SYSTEM, now=NOW)
        admin_client.post(url(Person, "change", alice.pk), {"name": "Alice"})
        records = ChangeRecord.objects.filter(target=alice.public_id)
        assert {record.account for record in records} == {account, other}
        alice.refresh_from_db()
        assert (alice.is_active, alice.name) == (False, "Alice")


def test_nobody_acts_without_the_permission(client, crossed, bot):
    staff = Person.objects.create_user("s@example.com", "pw", is_staff=True)
    client.force_login(staff, backend="django.contrib.auth.backends.ModelBackend")
    assert client.post(url(Bot), {"action": "block"}).status_code == 403
    assert not Block.objects.filter(kind="person").exists()


class TestManyRows:
    def test_are_done_a_stretch_at_a_time(
        self, admin_client, account, bot, monkeypatch
    ):
        monkeypatch.setattr(administration, "STRETCH_SECONDS", -1)
        others = [
            create_bot(account=account, name=f"Bot {n}", actor=SYSTEM, now=NOW)
            for n in range(2)
        ]
        answer = act(admin_client, "block", bot, *others, reason="all of them")
        for seen in (1, 2):
            page = answer.content.decode()
            assert f"{seen} of 3 rows are through" in page
            assert f'value="{seen}" max="3"' in page
            assert Block.objects.count() == seen
            sent = dict(re.findall(r'type="hidden" name="(\w+)" value="(.*?)"', page))
            del sent["csrfmiddlewaretoken"]
            answer = admin_client.post(url(Bot), unescaped(sent), follow=True)
        assert "3 rows: blocked." in said(answer)
        assert set(Block.objects.values_list("reason", flat=True)) == {"all of them"}

    def test_nonsense_of_what_is_left_does_nothing(self, admin_client, bot):
        for left in ("{", "3", '[1, null, "x"]', "[]"):
            sent = {"action": "block", "_selected_action": str(bot.pk)}
            sent |= {"confirmed": "yes", "remaining": left, "count": "-1"}
            answer = admin_client.post(url(Bot), sent, follow=True)
            assert answer.status_code == 200
        assert not Block.objects.exists()


def unescaped(sent: dict[str, str]) -> dict[str, str]:
    return {name: html.unescape(text) for name, text in sent.items()}
