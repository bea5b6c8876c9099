"""Check an export of receipts; needs no database."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from retention import signing


class Command(BaseCommand):
    """`verify_receipts FILE [--key PUBLIC_KEY]`."""

    help = "Check a signed export of receipts, offline."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the file and the key."""
        parser.add_argument("file", type=Path)
        parser.add_argument(
            "--key",
            metavar="PUBLIC_KEY",
            help="as /api/v1/retention/signing-key answers it; else the file's own",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Say whether it is genuine; a file that is not ends with status 1."""
        try:
            with options["file"].open(encoding="utf-8") as lines:
                found = signing.verify(lines, options["key"])
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(str(error)) from None
        except signing.NotGenuine as error:
            raise CommandError(f"NOT GENUINE: {error}") from None
        head = found["head"]
        self.stdout.write(
            f"genuine: {found['receipts']} receipts of {head['account']},"
            f" signed by {head['key_id']} at {head['exported_at']}"
        )
