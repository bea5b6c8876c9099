"""Export an account's receipts, signed."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from accounts.errors import NotFound
from accounts.selectors import account_by_slug
from retention.exports import export


class Command(BaseCommand):
    """`export_receipts SLUG > receipts.jsonl`."""

    help = "Write an account's retention receipts as signed JSON lines."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the account."""
        parser.add_argument("account", metavar="SLUG")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Print the lines."""
        try:
            account = account_by_slug(options["account"])
        except NotFound:
            raise CommandError(f"There is no account {options['account']}.") from None
        for line in export(account=account, now=timezone.now()):
            self.stdout.write(line)
