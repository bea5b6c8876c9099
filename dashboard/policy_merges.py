"""Two people edited one policy: what each of them changed, part by part.

A part is a field of the document. Where only one of the two changed it, theirs is
taken; where both did, the person who comes later chooses, and sees both.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.utils.translation import gettext_lazy as _

Document = Mapping[str, Any]
_PARTS: Final = {
    "name": _("Name"),
    "description": _("Description"),
    "scope": _("Whom it is about"),
    "group_by": _("Counted apart for each"),
    "limits": _("Limits"),
    "actions": _("What happens then"),
    "alert_steps": _("Tell at (per cent)"),
    "rollout_mode": _("Mode"),
    "rollout_percent": _("Share of users (per cent)"),
    "notify_in_shadow": _("E-mails while it is only evaluated"),
    "fail_mode": _("If nothing can be decided"),
    "on_unpriced": _("A model without a price"),
    "default_hold": _("Held by default"),
    "retention": _("What is let go of"),
    "content": _("What must not pass"),
}


@dataclass(frozen=True, slots=True)
class Part:
    """A part in which two versions differ, as lines; `both` changed it.

    Of the lines of the two versions each says whether the other one lacks it.
    """

    field: str
    label: Any
    before: tuple[str, ...]
    theirs: tuple[tuple[str, bool], ...]
    mine: tuple[tuple[str, bool], ...]
    both: bool
    takes_mine: bool


def parts(*, before: Document | None, theirs: Document, mine: Document) -> list[Part]:
    """Return where two versions differ. `before` is what both began with, if known."""
    found = []
    for field, label in _PARTS.items():
        old = None if before is None else before.get(field)
        here, there = mine.get(field), theirs.get(field)
        if here == there:
            continue
        yours, others = list(_lines(here)), list(_lines(there))
        i_did, they_did = before is None or here != old, before is None or there != old
        found.append(
            Part(
                field=field,
                label=label,
                before=tuple(_lines(old)),
                theirs=tuple((line, line not in yours) for line in others),
                mine=tuple((line, line not in others) for line in yours),
                both=i_did and they_did,
                takes_mine=i_did,
            )
        )
    return found


def merged(
    *, theirs: Document, mine: Document, taken: Collection[str]
) -> dict[str, Any]:
    """Return my version with those parts of theirs that are to be taken."""
    document = dict(mine)
    for field in taken:
        if field not in _PARTS:
            continue
        document.pop(field, None)
        if field in theirs:
            document[field] = theirs[field]
    return document


def _lines(value: object, path: str = "") -> Iterator[str]:
    if isinstance(value, Mapping):
        start = f"{path}." if path and not path.endswith(" ") else path
        # By name, so that the lines of both versions stand beside each other.
        inner = [(f"{start}{key}", each) for key, each in sorted(value.items())]
    elif isinstance(value, list) and any(isinstance(each, Mapping) for each in value):
        inner = [(f"{path}{n}. ", each) for n, each in enumerate(value, start=1)]
    else:
        yield f"{path}: {_said(value)}" if path else _said(value)
        return
    if not inner:
        yield f"{path}: ✓" if path else "—"
    for name, each in inner:
        yield from _lines(each, name)


def _said(value: object) -> str:
    if value is None or value == []:
        return "—"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, bool):
        return "✓" if value else "—"
    return str(value)
