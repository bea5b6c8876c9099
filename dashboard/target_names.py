"""What people call the things that changes are about, found by their ids."""

from collections.abc import Callable, Collection, Iterator
from typing import Any, Final

from django.db.models import QuerySet, TextField, Value
from django.db.models.functions import Cast

from accounts import ids
from accounts.models import Account
from accounts.selectors import bots, keys, members, projects
from alerts.selectors import webhooks
from gateway.selectors import upstreams
from policies.selectors import policies
from usage.conversations import conversations

# By the prefix of an id: where its rows are and what they are called.
_KINDS: Final[dict[str, tuple[Callable[[Account], QuerySet[Any]], str]]] = {
    "cnv": (conversations, "title"),
    "bot": (lambda account: bots(account, include_archived=True), "name"),
    "key": (keys, "name"),
    "mem": (members, "person__email"),
    "pol": (lambda account: policies(account, include_archived=True), "name"),
    "prj": (projects, "name"),
    "ups": (upstreams, "name"),
    "whk": (webhooks, "url"),
}


def target_names(account: Account, targets: Collection[str]) -> dict[str, str]:
    """Return the names of those that are still there, by their public ids.

    One query, of whatever kinds they are.
    """
    parts = [
        rows_of(account)
        .filter(id__in=wanted)
        .order_by()
        .values_list(Value(prefix), "id", Cast(called, TextField()))
        for prefix, (rows_of, called) in _KINDS.items()
        if (wanted := list(_keys(prefix, targets)))
    ]
    if not parts:
        return {}
    found = parts[0].union(*parts[1:], all=True)
    return {ids.encode_id(prefix, key): name for prefix, key, name in found}


def _keys(prefix: str, targets: Collection[str]) -> Iterator[Any]:
    for target in {each for each in targets if each.startswith(f"{prefix}_")}:
        try:
            yield ids.decode_id(prefix, target)
        except ids.InvalidId:
            continue
