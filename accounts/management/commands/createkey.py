"""`manage.py createkey --account SLUG --scopes '*'`: make a key, print it once."""

from argparse import ArgumentParser
from datetime import UTC, datetime, timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils.dateparse import parse_datetime
from django.utils.timezone import now

from accounts import keys
from accounts.actors import Actor
from accounts.errors import DomainError, NotFound
from accounts.models import Account, Bot, Project
from accounts.selectors import account_by_slug, bot_by_reference, project_by_reference
from accounts.services import create_key

_MAX_DAYS = 36_500


def parse_expiry(text: str, *, now: datetime) -> datetime:
    """Read a moment (RFC 3339) or a number of days from `now`.

    Raises ValueError for anything else, and for a moment that has passed.
    """
    if text.isascii() and text.isdigit():
        days = int(text)
        if not 1 <= days <= _MAX_DAYS:
            raise ValueError(f"--expires takes 1 to {_MAX_DAYS} days, not {days}")
        return now + timedelta(days=days)
    moment = parse_datetime(text)
    if moment is None or moment.tzinfo is None:
        raise ValueError(
            f"--expires takes days (30) or a moment (2030-01-31T12:00:00Z): {text!r}"
        )
    if moment <= now:
        raise ValueError(f"--expires names a moment that has passed: {text}")
    return moment.astimezone(UTC)


class Command(BaseCommand):
    """Make an API key. Its text is printed here and can never be read again."""

    help = "Make an API key and print it, alone."
    # Checks read every page of the installation; `check` and the start run them.
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare what the command takes."""
        parser.add_argument("--account", required=True, help="the account's slug")
        parser.add_argument(
            "--scopes",
            required=True,
            help="'*' for everything, or some of: " + ", ".join(sorted(keys.SCOPES)),
        )
        parser.add_argument(
            "--project", help="bind it to a project (prj_… or external id)"
        )
        parser.add_argument("--bot", help="bind it to a bot (bot_… or external id)")
        parser.add_argument("--name", default="", help="what people read")
        parser.add_argument("--expires", help="days from now, or an RFC 3339 moment")

    def handle(self, *args: Any, **options: Any) -> None:
        """Translate in, call once, print."""
        moment = now()
        try:
            scopes = keys.parse_scopes(_listed(options["scopes"]))
            if not scopes:
                raise CommandError("--scopes names no scope")
            account = _account(options["account"])
            _, text = create_key(
                account=account,
                name=options["name"],
                scopes=list(scopes),
                project=_project(account, options["project"]),
                bot=_bot(account, options["bot"]),
                expires_at=_expiry(options["expires"], moment),
                actor=Actor("system", "", "createkey"),
                now=moment,
            )
        except ValueError as error:
            raise CommandError(str(error)) from error
        except DomainError as error:
            raise CommandError(error.detail) from error
        self.stdout.write(text)


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _expiry(text: str | None, moment: datetime) -> datetime | None:
    return parse_expiry(text, now=moment) if text else None


def _account(slug: str) -> Account:
    try:
        return account_by_slug(slug)
    except NotFound as error:
        raise CommandError(f"There is no account {slug!r}.") from error


def _project(account: Account, reference: str | None) -> Project | None:
    if not reference:
        return None
    try:
        return project_by_reference(account, reference)
    except NotFound as error:
        raise CommandError(f"The account has no project {reference!r}.") from error


def _bot(account: Account, reference: str | None) -> Bot | None:
    if not reference:
        return None
    try:
        return bot_by_reference(account, reference)
    except NotFound as error:
        raise CommandError(f"The account has no bot {reference!r}.") from error
