"""Prune now, or say what would be pruned."""

import json
from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.core.serializers.json import DjangoJSONEncoder
from django.utils import timezone

from accounts.errors import NotFound
from accounts.models import Account
from accounts.selectors import account_by_slug
from retention import clocks, guard
from retention.jobs import Job
from retention.models import PruneRun
from retention.pace import FULL, GENTLE
from retention.previews import preview_of
from retention.selectors import everything_due
from retention.services import prune_due

_WAITS = {
    PruneRun.Waiting.SHARE: "more than a fifth of the account's rows would go at once",
    PruneRun.Waiting.CLOCK: "the clock is over an hour from where it should be",
}


class Command(BaseCommand):
    """`prune [--dry-run [--json]] [--confirm] [--full-speed] [--account SLUG]`."""

    help = (
        "Delete what retention policies say is due. A policy that would delete more "
        "than a fifth of an account's rows waits for --confirm, and so does everything "
        "while the clock cannot be trusted."
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
        parser.add_argument(
            "--full-speed",
            action="store_true",
            help="do not go easy on calls that are served meanwhile",
        )
        parser.add_argument(
            "--json", action="store_true", help="with --dry-run: a JSON object a line"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Read the clocks, prune, print the receipts."""
        now = timezone.now()
        account = self._account(options["account"])
        if options["dry_run"]:
            for job in everything_due(account=account, now=now):
                for line in _previewed(job, as_json=options["json"]):
                    self.stdout.write(line)
            return
        confirmed = options["confirm"]
        witnesses = clocks.witnesses(now)
        if confirmed or guard.trusted(now, witnesses):
            clocks.remember(now)
        runs = prune_due(
            now=now,
            trigger="command, confirmed" if confirmed else "command",
            to_the_end=confirmed,
            account=account,
            witnesses=witnesses,
            manner=FULL if options["full_speed"] else GENTLE,
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


def _previewed(job: Job, *, as_json: bool) -> Iterator[str]:
    """Yield what the API's preview says of a rule, as lines."""
    shown = preview_of(job)
    kept = [
        {"id": held["hold"].public_id, "reason": held["hold"].reason} | held
        for held in shown["holds"]
    ]
    shown["holds"] = [{n: v for n, v in hold.items() if n != "hold"} for hold in kept]
    if as_json:
        named = {"account": job.account.slug, "policy": job.name, **shown}
        yield json.dumps(named, cls=DjangoJSONEncoder)
        return
    yield (
        f"{job.account.slug}: {job.name} ({job.target_name}): {shown['due']:,} due,"
        f" {shown['held']:,} held, of {shown['total']:,};"
        f" older than {job.cutoff:%Y-%m-%d %H:%M} UTC"
    )
    if shown["waits"]:
        yield f"  waits for --confirm: {_WAITS[shown['waits']]}"
    if shown["due"]:
        yield f"  oldest {shown['oldest']:%Y-%m-%d %H:%M} UTC"
        ages = (
            f"{row['from_days']}-{row['to_days'] or ''}: {row['count']:,}"
            for row in shown["histogram"]
            if row["count"]
        )
        yield f"  by age in days: {', '.join(ages)}"
        yield f"  such as {', '.join(shown['sample'])}"
    for hold in shown["holds"]:
        yield f"  {hold['rows']:,} held by {hold['id']}: {hold['reason']}"


def _line(run: PruneRun) -> str:
    name = "the house's rule" if run.policy is None else run.policy.name
    said = f"{run.public_id} {run.account.slug}: {name} ({run.target}) "
    if run.state == PruneRun.State.WAITING:
        why = _WAITS[PruneRun.Waiting(run.waiting_for)]
        return (
            f"{said}waits: nothing deleted, {run.due:,} due of {run.total:,}; {why}."
            " Run `manage.py prune --confirm` to delete them."
        )
    if run.is_put_aside:
        return f"{said}was paused by a person: nothing deleted until one resumes it."
    deleted = ", ".join(f"{count:,} {table}" for table, count in run.deleted.items())
    left = f", {run.remaining:,} left" if run.remaining else ""
    held = f", {run.held:,} held" if run.held else ""
    return f"{said}{run.state}: {deleted or 'nothing'} deleted{left}{held}"
