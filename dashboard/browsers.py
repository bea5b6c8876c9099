"""What browser and system a session's `User-Agent` means, as people call them."""

import re
from typing import Final

from django.utils.translation import gettext

# In this order: most of them also say the names of those after them.
_BROWSERS: Final = (
    ("Edge", re.compile(r"\bEdg(?:e|A|iOS)?/(\d+)")),
    ("Opera", re.compile(r"\bOPR/(\d+)")),
    ("Samsung Internet", re.compile(r"\bSamsungBrowser/(\d+)")),
    ("Firefox", re.compile(r"\b(?:Firefox|FxiOS)/(\d+)")),
    ("Chrome", re.compile(r"(?:\b|Headless)(?:Chrome|CriOS)/(\d+)")),
    ("Safari", re.compile(r"\bVersion/(\d+)\S* .*\bSafari/")),
)
_SYSTEMS: Final = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("ChromeOS", "CrOS"),
    ("Windows", "Windows"),
    ("macOS", "Mac OS X"),
    ("Linux", "Linux"),
)


def browser_name(user_agent: str) -> str:
    """Return such as `Chrome 156 on Linux`; what is not known stays as it is."""
    found = ((each, pattern.search(user_agent)) for each, pattern in _BROWSERS)
    name = next((f"{each} {match[1]}" for each, match in found if match), "")
    if not name:
        return user_agent
    for system, sign in _SYSTEMS:
        if sign in user_agent:
            # Translators: a browser and the system it runs on: Chrome 156 on Linux.
            form = gettext("%(browser)s on %(system)s")
            return form % {"browser": name, "system": system}
    return name
