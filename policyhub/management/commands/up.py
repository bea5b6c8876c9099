"""Start PolicyHub: database, broker, pages, lane, worker; stop with Ctrl-C."""

import os
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from policyhub.parts import environment
from policyhub.start import ONE_PART


class Command(BaseCommand):
    help = "Start all parts of PolicyHub and watch them, or one part with --only."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--only", choices=ONE_PART)

    def handle(self, *args: Any, **options: Any) -> None:
        arguments = ["--only", options["only"]] if options["only"] else []
        # The same process goes on without Django: it only has to watch.
        command = [sys.executable, "-m", "policyhub.start", *arguments]
        os.execve(sys.executable, command, environment())  # noqa: S606
