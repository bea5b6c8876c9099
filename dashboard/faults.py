"""What services say of a fault, as people read it beside a field."""

import re
from typing import Final

from django.utils.translation import gettext

from accounts.saying import say

_ENTRY: Final = re.compile(r"/(to|alert_steps)/(\d+)$")


def told(pointer: str, detail: str) -> str:
    """Say beside the field that a JSON pointer names what is wrong with it."""
    entry = _ENTRY.search(pointer)
    said = say(detail)
    if entry:
        number = int(entry[2]) + 1
        return gettext("Entry %(number)s %(detail)s.") % {
            "number": number,
            "detail": said,
        }
    if pointer.endswith("seconds"):
        return gettext("This %(detail)s seconds.") % {"detail": said}
    return gettext("This %(detail)s.") % {"detail": said}
