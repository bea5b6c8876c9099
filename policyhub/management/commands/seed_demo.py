"""`manage.py seed_demo`: the demo's log-in, and some weeks of history behind it."""

import sys
from argparse import ArgumentParser, ArgumentTypeError
from datetime import datetime
from typing import Any, TextIO

from django.conf import settings
from django.core.management.base import BaseCommand
from django.utils.timezone import now

from policyhub.demo.history import AlreadySeeding, make_history
from policyhub.demo.login import ensure_login

MAX_DAYS = 365
_WIDTH = 30


def _days(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= MAX_DAYS:
        raise ArgumentTypeError(f"must be 1 to {MAX_DAYS} days, not {text!r}")
    return int(text)


class Bar:
    """Shows how far a work came: a bar on a terminal, else a line now and then."""

    def __init__(self, stream: TextIO, label: str) -> None:
        self._stream = stream
        self._label = label
        self._shown = -1

    def show(self, done: int, total: int) -> None:
        """Show that `done` of `total` is done, if it looks different from before."""
        percent = 100 * done // total
        if not self._stream.isatty():
            percent -= percent % 10
        if percent == self._shown:
            return
        self._shown = percent
        filled = _WIDTH * percent // 100
        bar = "#" * filled + "." * (_WIDTH - filled)
        start, end = ("\r", "") if self._stream.isatty() else ("", "\n")
        if percent == 100:
            end = "\n"
        self._stream.write(f"{start}{self._label} [{bar}] {percent} %{end}")
        self._stream.flush()


class Command(BaseCommand):
    """Make the demo. Started again, it goes on where it was interrupted."""

    help = "Make the demo: an account with its log-in, and a history behind it."
    # Checks read every page of the installation; `check` and the start run them.
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare what the command takes."""
        parser.add_argument("--days", type=_days, default=60, help="length, 1 to 365")
        parser.add_argument(
            "--seed", type=int, default=7, help="another seed, another demo"
        )
        parser.add_argument(
            "--account-only", action="store_true", help="make only account and log-in"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Translate in, call once, show the progress."""
        moment: datetime = now()
        state_dir = settings.POLICYHUB_STATE_DIR
        account = ensure_login(state_dir=state_dir, now=moment)
        if options["account_only"]:
            return
        try:
            make_history(
                account=account,
                days=options["days"],
                seed=options["seed"],
                now=moment,
                mail=state_dir / "mail",
                progress=Bar(sys.stderr, "seeding the demo").show,
            )
        except AlreadySeeding:
            self.stderr.write("The demo is being seeded by another process.")
        except KeyboardInterrupt:
            self.stderr.write("\nInterrupted; the next start goes on from here.")
            sys.exit(130)
