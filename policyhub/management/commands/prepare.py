"""Bring database, static files and timetable up to date. Safe to repeat."""

import hashlib
import shutil
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from policyhub import schedules
from retention import partitions

STAMP = ".made-from"


class Command(BaseCommand):
    help = "Migrate, collect static files if stale, set up the timetable."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--demo", action="store_true", help="also make the demo account"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        call_command("migrate", interactive=False, verbosity=0)
        partitions.maintain_partitions(now=timezone.now())
        schedules.sync()
        if options["demo"]:
            call_command("seed_demo", account_only=True)
        self._collect_static(Path(settings.STATIC_ROOT))

    def _collect_static(self, root: Path) -> None:
        """Collect when a source differs from what the folder was made from."""
        digest = _sources()
        stamp = root / STAMP
        if stamp.exists() and stamp.read_text(encoding="ascii") == digest:
            return
        if root.exists():
            shutil.rmtree(root)
        call_command("collectstatic", interactive=False, verbosity=0)
        stamp.write_text(digest, encoding="ascii")


def _sources() -> str:
    """Return a digest of the names, sizes and times of all static sources."""
    digest = hashlib.blake2b(digest_size=16)
    for finder in get_finders():
        for path, storage in finder.list([]):
            status = Path(storage.path(path)).stat()
            line = f"{path} {status.st_size} {status.st_mtime_ns}\n"
            digest.update(line.encode())
    return digest.hexdigest()
