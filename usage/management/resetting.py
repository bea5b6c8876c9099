"""What the commands that reset counters have in common."""

from argparse import ArgumentParser
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils.timezone import now

from accounts.actors import Actor
from accounts.errors import DomainError, NotFound
from accounts.models import Account
from accounts.selectors import account_by_slug
from policies.models import Policy
from policies.selectors import policies, policy_of
from usage.resets import PERIODS, reset_policy


class ResetCommand(BaseCommand):
    """Set what policies have used to 0, by adjustments, and lift their blocks.

    Nobody needs it for a window to end: windows end by themselves.
    """

    # Checks read every page of the installation; `check` and the start run them.
    requires_system_checks = []
    period: str | None = None

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare what the command takes."""
        if self.period is None:
            parser.add_argument("--period", choices=PERIODS, required=True)
        parser.add_argument("--account", required=True, help="the account's slug")
        parser.add_argument("--policy", help="one policy's id; else all that count")
        parser.add_argument(
            "--subject",
            action="append",
            metavar="FIELD=VALUE",
            help="with --policy: one combination of its group_by",
        )
        parser.add_argument("--reason", default="", help="kept with the adjustments")

    def handle(self, *args: Any, **options: Any) -> None:
        """Translate in, call once for each policy, print."""
        period = self.period or options["period"]
        named = {"reason": options["reason"], "period": period}
        try:
            account = account_by_slug(options["account"])
            found = _named(account, options["policy"])
            subject = _subject(found, options["subject"])
            for policy in found:
                _reset(policy, subject, now(), **named)
        except NotFound:
            raise CommandError("There is no such account or policy.") from None
        except DomainError as error:
            raise CommandError(error.detail) from None
        many = "policy" if len(found) == 1 else "policies"
        self.stdout.write(f"Reset {period} counters of {len(found)} {many}.")


def _named(account: Account, public_id: str | None) -> list[Policy]:
    if public_id is None:
        return list(policies(account, type=Policy.Type.USAGE))
    policy = policy_of(account, public_id)
    if policy.type != Policy.Type.USAGE:
        raise CommandError("Only a usage policy counts.")
    return [policy]


def _subject(
    found: list[Policy], given: list[str] | None
) -> list[tuple[str, str]] | None:
    if given is None:
        return None
    pairs = dict(each.partition("=")[::2] for each in given)
    group_by = found[0].document["group_by"] if len(found) == 1 else None
    if group_by is None or set(pairs) != set(group_by):
        raise CommandError("--subject names every field of one policy's group_by.")
    return [(field, pairs[field]) for field in group_by]


def _reset(
    policy: Policy,
    subject: list[tuple[str, str]] | None,
    moment: datetime,
    *,
    period: str,
    reason: str,
) -> None:
    reset_policy(
        policy=policy,
        period=period,
        subject=subject,
        actor=Actor("system", "", "reset command"),
        now=moment,
        reason=reason,
    )
