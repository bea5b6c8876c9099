"""`manage.py reconcile_usage`: recount what counters say, and repair what is proven."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils.timezone import now

from accounts import ids
from accounts.actors import Actor
from accounts.models import Account
from usage.reconciling import DIFFERS, FIXED, OK, UNVERIFIABLE, Finding, reconcile


class Command(BaseCommand):
    """Compare every counter with its events, adjustments and open holds.

    Ends with status 1 if a difference is proven and not repaired. A counter whose
    events were pruned is `unverifiable` and stays as it is (CONTRACT A7).
    """

    help = "Recount usage counters from events and adjustments, and report."
    # Checks read every page of the installation; `check` and the start run them.
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare what the command takes."""
        parser.add_argument("--account", help="the slug of one account; else all")
        parser.add_argument(
            "--fix", action="store_true", help="repair what can be verified"
        )
        parser.add_argument("--all", action="store_true", help="show what is right too")

    def handle(self, *args: Any, **options: Any) -> None:
        """Translate in, call once for each account, print."""
        accounts = Account.objects.order_by("slug")
        if options["account"]:
            accounts = accounts.filter(slug=options["account"])
            if not accounts.exists():
                raise CommandError(f"There is no account {options['account']}.")
        counts = dict.fromkeys((OK, FIXED, UNVERIFIABLE, DIFFERS), 0)
        actor = Actor("system", "", "reconcile_usage")
        for account in accounts:
            for found in reconcile(
                account=account, actor=actor, now=now(), fix=options["fix"]
            ):
                counts[found.status] += 1
                if options["all"] or found.status != OK:
                    self.stdout.write(line(account, found))
        self.stdout.write(", ".join(f"{n} {status}" for status, n in counts.items()))
        if counts[DIFFERS]:
            raise CommandError("Some counters differ; --fix repairs them.")


def line(account: Account, found: Finding) -> str:
    """Return one counter in words; cost is in micro-USD."""
    counter = found.counter
    start = counter.window_start
    words = [
        f"{found.status:<12}",
        account.slug,
        ids.encode_id("pol", counter.policy_id),
        counter.metric,
        counter.subject_key or "all",
        f"from {start.isoformat()}" if start else "never opened",
        f"used {counter.used}, recounted {found.used};",
        f"held {counter.held}, recounted {found.held}",
    ]
    if found.is_lost:
        words.append("(there was no row)")
    return " ".join(words)
