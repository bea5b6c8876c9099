"""Codes as people read them: of targets, and of why a decision came out as it did."""

from typing import Final

from django.utils.translation import gettext
from django.utils.translation import gettext_noop as _

WORDS: Final = {
    _("usage events"),
    _("message text"),
    _("conversations"),
    _("decisions"),
    _("limit exceeded"),
    _("warned"),
    _("throttled"),
    _("blocked"),
    _("revoked"),
    _("bot disabled"),
    _("denylist"),
    _("redacted"),
    _("model not allowed"),
    _("unpriced model"),
    _("fail open"),
    _("enforcement unavailable"),
    _("usage"),
    _("retention"),
    _("content"),
}


def words(code: str) -> str:
    """Write a code as words: limit_exceeded as limit exceeded."""
    plain = code.replace("_", " ")
    return gettext(plain) if plain in WORDS else plain
