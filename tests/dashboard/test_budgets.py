"""What a browser has to load stays small, compressed as it travels."""

import gzip
from pathlib import Path

import allauth
import django_htmx
from django.conf import settings

KB = 1024
OURS = settings.BASE_DIR / "static"
HTMX = Path(django_htmx.__file__).parent / "static/django_htmx/htmx-2.min.js"
LOG_IN = Path(allauth.__file__).parent


def weight(*files: Path) -> int:
    return sum(len(gzip.compress(path.read_bytes(), 9)) for path in files)


def test_the_stylesheet():
    """All there are: the pages' own, the admin's, and what a vendored part brings."""
    assert weight(*OURS.rglob("*.css")) <= 25 * KB


def test_the_scripts():
    """All there are, although no page loads all of them."""
    scripts = [*OURS.rglob("*.js"), HTMX]
    for app in ("account", "mfa"):
        scripts += LOG_IN.glob(f"{app}/static/**/*.js")
    assert weight(*scripts) <= 60 * KB
