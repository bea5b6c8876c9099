"""Start PolicyHub: database, broker, pages, lane, worker; stop with Ctrl-C."""

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from policyhub.start import ONE_PART, main


class Command(BaseCommand):
    help = "Start all parts of PolicyHub and watch them, or one part with --only."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--only", choices=ONE_PART)

    def handle(self, *args: Any, **options: Any) -> None:
        # `manage.py up` itself takes a shorter way to the same function.
        sys.exit(main(["--only", options["only"]] if options["only"] else []))
