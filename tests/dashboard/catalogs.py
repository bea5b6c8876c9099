"""What the sources want translated, and what a catalog says; read without gettext."""

import ast
import re
from pathlib import Path

from django.conf import settings
from django.utils.translation.template import templatize

CODE = ("accounts", "alerts", "api", "audit", "dashboard", "gateway", "policies")
CODE += ("policyhub", "retention", "usage")
MARKS = {"_", "gettext", "gettext_lazy", "gettext_noop"}
MARKS_IN_CONTEXT = {"pgettext", "pgettext_lazy"}
PLURAL_MARKS = {"ngettext", "ngettext_lazy"}
LINE = re.compile(r'(msgctxt|msgid_plural|msgid|msgstr(?:\[\d\])?) (".*")')


def wanted() -> set[str]:
    """Every text that code or a template marks for translators."""
    found: set[str] = set()
    for app in CODE:
        for path in (settings.BASE_DIR / app).rglob("*.py"):
            found |= _marked(path.read_text())
    for path in (settings.BASE_DIR / "templates").rglob("*.*"):
        # Its own statements are what `xgettext` would read: calls, one after another.
        calls = re.findall(
            r"\b([np]?gettext|_)\((.*?)\) ", templatize(path.read_text())
        )
        for name, call in calls:
            found |= set(_texts(call)[1 if name == "pgettext" else 0 :])
    return found - {""}


def _marked(code: str) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(code)):
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "id", getattr(node.func, "attr", ""))
        count = 1 if name in MARKS else 2 if name in PLURAL_MARKS else 0
        first = 1 if name in MARKS_IN_CONTEXT else 0
        for each in node.args[first : first + (count or first)]:
            if isinstance(each, ast.Constant) and isinstance(each.value, str):
                found.add(each.value)
    return found


def _texts(call: str) -> list[str]:
    tree = ast.parse(f"f({call})", mode="eval")
    values = [getattr(each, "value", None) for each in tree.body.args]
    return [each for each in values if isinstance(each, str)]


def read_po(path: Path) -> dict[str, set[str]]:
    """Return a catalog: each text, and what is said for it, in whichever context."""
    found: dict[str, set[str]] = {}
    for block in re.split(r"\n\n+", path.read_text().strip()):
        said: dict[str, str] = {}
        for line in block.split("\n"):
            match = LINE.fullmatch(line)
            if match:
                field = match[1]
                said[field] = ast.literal_eval(match[2])
            elif line.startswith('"'):
                said[field] += ast.literal_eval(line)
        one = said.get("msgstr", said.get("msgstr[0]", ""))
        found.setdefault(said["msgid"], set()).add(one)
        if "msgid_plural" in said:
            found.setdefault(said["msgid_plural"], set()).add(said["msgstr[1]"])
    return found
