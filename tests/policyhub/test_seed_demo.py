"""`seed_demo`: the log-in it makes, and a history that is made once."""

import io
import stat
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.contrib.auth import authenticate
from django.core.management import CommandError, call_command
from django.db import connection, transaction

from accounts.models import Account, Bot, ChangeRecord, Member, Person
from accounts.selectors import account_by_slug, bot_by_reference
from alerts.models import Alert, Delivery
from audit.models import DecisionRecord
from policies.models import Block, Policy
from policies.selectors import applying_to, bot_pause
from policyhub.demo.history import AlreadySeeding, make_history
from policyhub.demo.login import FILE, ensure_login
from policyhub.demo.rhythm import hour_of
from policyhub.demo.stage import is_complete
from policyhub.demo.story import ACCOUNTS, DEMO, RUNAWAY
from policyhub.management.commands.seed_demo import Bar
from usage.models import Conversation, Message, UsageEvent

NOW = datetime(2026, 3, 18, 15, 42, tzinfo=UTC)


@pytest.fixture
def state_dir(tmp_path, settings) -> Path:
    settings.POLICYHUB_STATE_DIR = tmp_path
    return tmp_path


def seed(state_dir, *, days=2, number=7, progress=lambda done, total: None) -> None:
    account = ensure_login(state_dir=state_dir, now=NOW)
    make_history(
        account=account,
        days=days,
        seed=number,
        now=NOW,
        mail=state_dir / "mail",
        progress=progress,
    )


def fingerprint() -> tuple[list[tuple], Counter, int, int]:
    """Everything that was made, without the ids that are different each time."""
    events = UsageEvent.objects.order_by("account__slug", "client_id", "source")
    decisions = DecisionRecord.objects.values_list(
        "account__slug", "reason_code", "created_at", "model"
    )
    return (
        list(
            events.values_list(
                *("account__slug", "client_id", "bot__external_id", "user", "model"),
                *("tokens", "messages", "conversations", "cost", "occurred_at"),
            )
        ),
        Counter(decisions),
        Message.objects.count(),
        Alert.objects.count(),
    )


def made_apart(tmp_path, **options) -> tuple:
    """Seed, take the fingerprint, and take it all back."""
    with transaction.atomic():
        seed(tmp_path, **options)
        found = fingerprint()
        transaction.set_rollback(True)
    return found


@pytest.mark.django_db
class TestLogin:
    def test_makes_account_owner_and_password(self, state_dir):
        call_command("seed_demo", "--account-only")
        file = state_dir / FILE
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        email, password = file.read_text().split()
        person = authenticate(username=email, password=password)
        assert person is not None
        assert person.is_superuser
        assert person.is_staff
        account = account_by_slug("demo")
        assert account.members.get().role == Member.Role.OWNER
        assert not UsageEvent.objects.exists()

    def test_changes_nothing_the_second_time(self, state_dir):
        call_command("seed_demo", "--account-only")
        login = (state_dir / FILE).read_text()
        hashed = Person.objects.get().password
        call_command("seed_demo", "--account-only")
        assert (state_dir / FILE).read_text() == login
        assert Person.objects.get().password == hashed
        assert Account.objects.count() == 1

    def test_finishes_what_was_interrupted_after_the_file(self, state_dir):
        (state_dir / FILE).write_text("demo@example.com from-before\n")
        call_command("seed_demo", "--account-only")
        assert authenticate(username="demo@example.com", password="from-before")

    def test_leaves_a_person_alone_who_threw_the_file_away(self, state_dir):
        call_command("seed_demo", "--account-only")
        hashed = Person.objects.get().password
        (state_dir / FILE).unlink()
        call_command("seed_demo", "--account-only")
        assert Person.objects.get().password == hashed
        assert not (state_dir / FILE).exists()


@pytest.mark.django_db
class TestHistory:
    def test_tells_a_story(self, state_dir):
        seed(state_dir)
        assert is_complete(account_by_slug("demo"))
        assert {account.slug for account in Account.objects.all()} == {
            story.slug for story in ACCOUNTS
        }
        assert Bot.objects.count() == 12
        assert Policy.objects.filter(type="retention").count() == 4
        working = UsageEvent.objects.values("bot").distinct().count()
        assert working == 12
        assert Conversation.objects.exists()
        assert Message.objects.exists()
        assert not Message.objects.exclude(text=None).exists()
        assert UsageEvent.objects.filter(cost=None).exists()
        assert UsageEvent.objects.filter(cost__gt=0).exists()
        newest = UsageEvent.objects.order_by("-created_at").first()
        assert NOW - timedelta(hours=1) < newest.created_at <= NOW

    def test_ends_with_a_runaway_that_is_blocked(self, state_dir):
        seed(state_dir)
        account = account_by_slug("demo")
        bot = bot_by_reference(account, RUNAWAY)
        block = bot_pause(account, bot, NOW)
        assert block is not None
        assert block.kind == Block.Kind.POLICY
        assert block.ends_at > NOW + timedelta(hours=23)
        refused = DecisionRecord.objects.filter(policy_target=bot.public_id)
        assert refused.filter(reason_code="blocked", allowed=False).exists()
        steps = Alert.objects.filter(policy_id=block.policy.public_id)
        assert sorted(steps.values_list("step", flat=True)) == [80, 100]

    def test_writes_to_nobody(self, state_dir, mailoutbox):
        seed(state_dir)
        deliveries = Delivery.objects.all()
        assert deliveries.exists()
        assert not deliveries.exclude(state=Delivery.State.SENT).exists()
        assert mailoutbox == []
        kept = b"".join(path.read_bytes() for path in (state_dir / "mail").iterdir())
        for delivery in deliveries:
            assert f"<{delivery.message_id}@policyhub>".encode() in kept

    def test_leaves_a_new_bot_free(self, state_dir):
        seed(state_dir)
        account = account_by_slug("demo")
        bot = Bot.objects.create(account=account, name="New")
        assert not applying_to(account, bot=bot).exists()
        assert not Policy.objects.filter(scope_bot=None).exists()

    def test_is_the_same_for_the_same_seed(self, state_dir, tmp_path):
        first = made_apart(tmp_path, days=1)
        assert made_apart(tmp_path, days=1) == first
        assert made_apart(tmp_path, days=1, number=8) != first

    @pytest.mark.parametrize("hours", [1, 17, 40])
    def test_goes_on_where_it_was_interrupted(self, state_dir, tmp_path, hours):
        whole = made_apart(tmp_path)

        def interrupt(done: int, total: int) -> None:
            if done == hours:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            seed(state_dir, progress=interrupt)
        assert not is_complete(account_by_slug("demo"))
        assert len(fingerprint()[0]) < len(whole[0])
        # Whatever is asked for now: the plan that was begun is the one to finish.
        seed(state_dir, days=5, number=8)
        assert fingerprint() == whole

    def test_makes_nothing_twice(self, state_dir):
        seed(state_dir)
        before = fingerprint()
        changes = ChangeRecord.objects.count()
        seed(state_dir)
        assert fingerprint() == before
        assert ChangeRecord.objects.count() == changes

    def test_is_made_by_one_at_a_time(self, state_dir, monkeypatch):
        account = ensure_login(state_dir=state_dir, now=NOW)

        class Taken:
            def __enter__(self):
                return self

            def __exit__(self, *raised):
                return None

            def execute(self, sql, parameters):
                assert "pg_try_advisory_lock" in sql

            def fetchone(self):
                return (False,)

        monkeypatch.setattr(connection, "cursor", Taken)
        with pytest.raises(AlreadySeeding):
            make_history(
                account=account,
                days=1,
                seed=7,
                now=NOW,
                mail=state_dir / "mail",
                progress=lambda done, total: None,
            )

    @pytest.mark.parametrize("days", ["0", "366", "-3", "many"])
    def test_refuses_other_lengths(self, state_dir, days):
        with pytest.raises(CommandError, match="days"):
            call_command("seed_demo", f"--days={days}")

    def test_shows_its_progress(self, state_dir, capsys):
        call_command("seed_demo", "--days", "1", stdout=io.StringIO())
        shown = capsys.readouterr()
        assert shown.out == ""
        assert "100 %" in shown.err

    def test_says_that_it_goes_on_when_it_is_interrupted(
        self, state_dir, monkeypatch, capsys
    ):
        def interrupt(self, done, total):
            raise KeyboardInterrupt

        monkeypatch.setattr(Bar, "show", interrupt)
        with pytest.raises(SystemExit) as stopped:
            call_command("seed_demo", "--days", "1")
        assert stopped.value.code == 130
        assert "goes on from here" in capsys.readouterr().err
        assert not is_complete(account_by_slug("demo"))


class TestRhythm:
    def test_few_conversations_are_old(self):
        """Under a fifth are over 30 days old, so a rule of 30 days may prune them."""
        end = NOW
        start = end - timedelta(days=60)
        for story in ACCOUNTS:
            old, total = set(), set()
            for bot in story.bots:
                hour = start.replace(minute=0)
                while hour < end:
                    for moment in hour_of(bot, seed=7, start=start, end=end, hour=hour):
                        total.add(moment.conversation)
                        if moment.at < end - timedelta(days=30):
                            old.add(moment.conversation)
                    hour += timedelta(hours=1)
            old.discard(None)
            total.discard(None)
            assert 0 < len(old) < 0.2 * len(total), story.slug

    def test_an_hour_depends_on_no_other(self):
        bot = DEMO.bots[0]
        start = NOW.replace(minute=0) - timedelta(days=60)
        hour = start + timedelta(days=50)
        options = {"seed": 7, "start": start, "end": NOW, "hour": hour}
        assert list(hour_of(bot, **options)) == list(hour_of(bot, **options))
