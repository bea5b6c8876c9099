"""What others wrote is what they wrote, and comes with its licence."""

import hashlib

import pytest
from django.conf import settings

VENDOR = settings.BASE_DIR / "static" / "vendor"


@pytest.mark.parametrize(
    "folder", sorted(VENDOR.glob("*/")), ids=lambda each: each.name
)
def test_vendored_files_are_unchanged(folder):
    sums = dict(
        reversed(line.split("  ", 1))
        for line in (folder / "SHA256SUMS").read_text().splitlines()
    )
    assert "LICENSE" in sums
    for path in folder.iterdir():
        if path.name != "SHA256SUMS":
            assert hashlib.sha256(path.read_bytes()).hexdigest() == sums[path.name]
