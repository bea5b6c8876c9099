"""Prune now, or say what would be pruned."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from accounts.errors import NotFound
from accounts.models import Account
from accounts.selectors import account_by_slug
from retention.models import PruneRun
from retention.selectors import everything_due
from retention.services import prune_due


class Command(BaseCommand):
    """`prune [--dry-run] [--confirm] [--account SLUG]`."""

    help = (
        "Delete what retention policies say is due. A policy that would delete more "
        "than a fifth of an account's rows waits for --confirm."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the options."""
        either = parser.add_mutually_exclusive_group()
        either.add_argument(
            "--dry-run", action="store_true", help="say what is due, delete nothing"
        )
        either.add_argument(
            "--confirm",
            action="store_true",
            help="run everything that is due to the end, whatever its share",
        )
        parser.add_argument("--account", metavar="SLUG", help="only this account")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Read the clock, prune, print the receipts."""
        now = timezone.now()
        account = self._account(options["account"])
        if options["dry_run"]:
            for line in everything_due(account=account, now=now):
                self.stdout.write(f"{line.label}: {line.due:,} due")
            return
        confirmed = options["confirm"]
        runs = prune_due(
            now=now,
            trigger="command, confirmed" if confirmed else "command",
            to_the_end=confirmed,
            account=account,
        )
        for run in runs:
            self.stdout.write(_line(run))
        if not runs:
            self.stdout.write("Nothing is due.")

    def _account(self, slug: str | None) -> Account | None:
        if slug is None:
            return None
        try:
            return account_by_slug(slug)
        except NotFound:
            raise CommandError(f"There is no account {slug}.") from None


def _line(run: PruneRun) -> str:
    name = "the house's rule" if run.policy is None else run.policy.name
    deleted = ", ".join(f"{count:,} {table}" for table, count in run.deleted.items())
    left = f", {run.remaining:,} left" if run.remaining else ""
    return (
        f"{run.public_id} {run.account.slug}: {name} ({run.target}) {run.state}: "
        f"{deleted or 'nothing'} deleted{left}"
    )
