"""`createaccount` and `createkey`: what they print, and how they refuse."""

import io
from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import CommandError, call_command

from accounts import keys
from accounts.actors import SYSTEM
from accounts.management.commands.createkey import parse_expiry
from accounts.models import Account, ApiKey, Member
from accounts.selectors import authenticate_key
from accounts.services import create_account, create_bot, create_project

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def output(*arguments: str) -> str:
    stdout = io.StringIO()
    call_command(*arguments, stdout=stdout)
    return stdout.getvalue()


@pytest.fixture
def account(db) -> Account:
    return create_account(slug="acme", owner_email="alice@example.com", now=NOW)


@pytest.mark.django_db
class TestCreateAccount:
    def test_prints_the_id_alone(self):
        printed = output("createaccount", "acme", "--email", "alice@example.com")
        account = Account.objects.get(slug="acme")
        assert printed == f"{account.public_id}\n"
        owner = account.members.get()
        assert owner.role == Member.Role.OWNER
        assert owner.person.email == "alice@example.com"

    def test_again_prints_the_same_id(self):
        arguments = ("createaccount", "acme", "--email", "alice@example.com")
        assert output(*arguments) == output(*arguments)
        assert Account.objects.count() == 1
        assert Member.objects.count() == 1

    @pytest.mark.parametrize(
        ("slug", "email"), [("a c", "alice@example.com"), ("acme", "alice")]
    )
    def test_refuses_what_is_no_slug_or_address(self, slug, email):
        with pytest.raises(CommandError):
            output("createaccount", slug, "--email", email)
        assert not Account.objects.exists()


class TestCreateKey:
    def test_prints_a_good_key_alone(self, account):
        text = output("createkey", "--account", "acme", "--scopes", "*")
        assert keys.well_formed(text.removesuffix("\n"))
        key = authenticate_key(text.strip(), datetime.now(UTC))
        assert key.account == account
        assert key.scopes == ["*"]

    def test_binds_and_names_it(self, account):
        project = create_project(account=account, name="Care", actor=SYSTEM, now=NOW)
        bot = create_bot(
            account=account, name="Desk", external_id="desk", actor=SYSTEM, now=NOW
        )
        output(
            *("createkey", "--account", "acme", "--scopes", "decide, usage:write"),
            *("--project", project.public_id, "--bot", "desk", "--name", "CI"),
            *("--expires", "30"),
        )
        key = ApiKey.objects.get()
        assert key.scopes == ["decide", "usage:write"]
        assert (key.project, key.bot, key.name) == (project, bot, "CI")
        assert key.expires_at - key.created_at == timedelta(days=30)

    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            (("--account", "nobody", "--scopes", "*"), "no account 'nobody'"),
            (("--account", "acme", "--scopes", "everything"), "everything"),
            (("--account", "acme", "--scopes", ","), "no scope"),
            (("--account", "acme", "--scopes", "*", "--bot", "x"), "no bot 'x'"),
            (("--account", "acme", "--scopes", "*", "--project", "x"), "no project"),
            (("--account", "acme", "--scopes", "*", "--expires", "soon"), "--expires"),
        ],
    )
    def test_refuses_and_makes_none(self, account, arguments, says):
        with pytest.raises(CommandError, match=says):
            output("createkey", *arguments)
        assert not ApiKey.objects.exists()

    def test_knows_no_bot_of_another_account(self, account):
        other = create_account(slug="other", owner_email="c@example.com", now=NOW)
        bot = create_bot(account=other, name="Theirs", actor=SYSTEM, now=NOW)
        with pytest.raises(CommandError, match="no bot"):
            output(
                *("createkey", "--account", "acme", "--scopes", "*"),
                *("--bot", bot.public_id),
            )


class TestExpiry:
    def test_reads_days_and_moments(self):
        assert parse_expiry("1", now=NOW) == NOW + timedelta(days=1)
        assert parse_expiry("2026-04-01T02:00:00+02:00", now=NOW) == datetime(
            2026, 4, 1, tzinfo=UTC
        )

    @pytest.mark.parametrize(
        "text", ["0", "-1", "40000", "2026-04-01", "2026-04-01T00:00", "2026-02-30T0Z"]
    )
    def test_refuses_the_rest(self, text):
        with pytest.raises(ValueError, match=r"."):
            parse_expiry(text, now=NOW)

    def test_refuses_the_past(self):
        with pytest.raises(ValueError, match="passed"):
            parse_expiry("2026-02-28T00:00:00Z", now=NOW)
