"""ChatBotKit's routes for policies, over the services that all others use (F3)."""

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Final

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import ids
from accounts.errors import NotFound
from api import chatbotkit_schema as described
from api.callers import Caller, queried_bot, referred_bot
from api.chatbotkit_endpoint import CompatEndpoint, JsonLines, PlainJson
from api.endpoint import invalid_query
from api.json import MAX_DEPTH
from api.policies import may_write, visible_policies
from policies import compat_chatbotkit as compat
from policies.models import Policy
from policies.rules import parse
from policies.services import label_policy
from usage import edits

_MOST: Final = 100
_CHUNK: Final = 200
_LISTS: Final = frozenset(
    {"format", "cursor", "order", "take", "type", "botId", "blueprintId"}
)
_META: Final = re.compile(r"meta(?:\.(.+)|\[(.+)\])", re.DOTALL)
_MODES: Final = tuple(compat.MODES.values())


def told_policies(caller: Caller) -> QuerySet[Policy]:
    """Return the policies that may be tellable in their form; `tell` has the last word.

    One of a project is told to the project's keys, and to all if its bot says as much.
    """
    own = Q(scope_project=None) | Q(scope_bot__project_id=F("scope_project_id"))
    if caller.project is not None:
        own |= Q(scope_project=caller.project)
    return visible_policies(caller).filter(
        own,
        type__in=compat.TYPES,
        rollout_mode__in=_MODES,
        scope_user=None,
        scope_model=None,
    )


def tell(policy: Policy) -> dict[str, Any] | None:
    """Return a policy in their form; None if it says more than that form can."""
    config = compat.config_of(policy.document)
    if config is None:
        return None
    given = policy.foreign_form
    if "config" in given and compat.same_config(given["config"], policy.document):
        config = given["config"]
    named = given.get("made_name") != policy.name
    return {
        "id": policy.public_id,
        "alias": policy.alias,
        "name": policy.name if named else "",
        "description": policy.description,
        "blueprintId": given.get("blueprintId"),
        "botId": None if policy.scope_bot is None else policy.scope_bot.public_id,
        "type": policy.type,
        "state": "disabled" if policy.rollout_mode == "off" else "enabled",
        "config": config,
        "meta": policy.meta,
        "createdAt": _milliseconds(policy.created_at),
        "updatedAt": _milliseconds(policy.updated_at),
    }


def told_policy(caller: Caller, ref: str) -> Policy:
    """Return the policy with this id, `@alias` or alias. Raises NotFound."""
    found = told_policies(caller)
    try:
        policy = found.filter(id=ids.decode_id("pol", ref)).first()
    except ids.InvalidId:
        if "\x00" in ref:
            raise NotFound from None
        named = found.filter(alias=ref.removeprefix("@"))
        policy = named.order_by(_own_first(caller)).first()
    if policy is None or tell(policy) is None:
        raise NotFound
    return policy


class ListPolicies(CompatEndpoint):
    """The policies that can be told in their form."""

    scopes = {"GET": "policies:read"}
    renderer_classes = [PlainJson, JsonLines]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Take any filter on meta, besides the ones that have a name."""
        named = filter(_meta_path, request.query_params)
        vars(self)["queries"] = _LISTS.union(named)
        super().initial(request, *args, **kwargs)

    @described.listing
    def get(self, request: Request) -> Response:
        """List policies: a page as JSON, or all of them as lines of JSON."""
        streaming = isinstance(request.accepted_renderer, JsonLines)
        take = self._take(None if streaming else _MOST)
        items: list[dict[str, Any]] = []
        for item in self._items():
            if len(items) == take:
                return Response({"items": items, "cursor": items[-1]["id"]})
            items.append(item)
        return Response({"items": items})

    def _items(self) -> Iterator[dict[str, Any]]:
        rows = self._ordered(self._filtered())
        for policy in rows.iterator(chunk_size=_CHUNK):
            item = tell(policy)
            if item is not None:
                yield item

    def _filtered(self) -> QuerySet[Policy]:
        rows = told_policies(self.caller)
        if (kind := self.query("type")) is not None:
            rows = rows.filter(type=kind)
        if (ref := self.query("botId")) is not None:
            bot = queried_bot(self.caller, ref)
            rows = rows.none() if bot is None else rows.filter(scope_bot=bot)
        if (blueprint := self.query("blueprintId")) is not None:
            rows = rows.filter(foreign_form__blueprintId=blueprint)
        for name in self.request.query_params:
            path = _meta_path(name)
            if path:
                value = self.query(name)
                wanted = {"true": True, "false": False}.get(value or "", value)
                rows = rows.filter(meta__contains=_nested(path, wanted))
        return rows

    def _ordered(self, rows: QuerySet[Policy]) -> QuerySet[Policy]:
        order = self.query("order") or "desc"
        if order not in ("asc", "desc"):
            raise invalid_query("order", "must be asc or desc")
        cursor = self.query("cursor")
        if cursor:
            try:
                last = ids.decode_id("pol", cursor)
            except ids.InvalidId:
                raise invalid_query("cursor", "is not one that a list gave") from None
            rows = rows.filter(
                **{"id__gt" if order == "asc" else "id__lt": last},
            )
        return rows.order_by("id" if order == "asc" else "-id")

    def _take(self, most: int | None) -> int | None:
        """Return how many to take; as they do, no more than 100 as a page."""
        text = self.query("take")
        if not text:
            return most
        digits = text.isascii() and text.isdigit() and len(text) < 16
        if not digits or int(text) < 1:
            raise invalid_query("take", "must be a whole number from 1")
        return int(text) if most is None else min(int(text), most)


class CreatePolicy(CompatEndpoint):
    """A new policy in their form."""

    scopes = {"POST": "policies:write"}

    @described.create
    def post(self, request: Request) -> Response:
        """Write a policy; answers its id."""
        now, caller = timezone.now(), self.caller
        caller.need_unbound()
        read = compat.read_body(request.data)
        document = parse(compat.document_of(_with_bot(caller, read)))
        with transaction.atomic():
            policy = edits.create_policy(
                account=caller.account,
                document=document,
                actor=caller.actor,
                now=now,
                project=caller.project,
            )
            _label(caller, policy, read, now, created=True)
        return Response({"id": policy.public_id})


class FetchPolicy(CompatEndpoint):
    """One policy in their form."""

    scopes = {"GET": "policies:read"}

    @described.fetch
    def get(self, request: Request, policy_id: str) -> Response:
        """Read a policy by its id or `@alias`."""
        return Response(tell(told_policy(self.caller, policy_id)))


class UpdatePolicy(CompatEndpoint):
    """An update in their form."""

    scopes = {"POST": "policies:write"}

    @described.update
    def post(self, request: Request, policy_id: str) -> Response:
        """Change what the body names; its config is replaced whole."""
        now, caller = timezone.now(), self.caller
        policy = may_write(caller, told_policy(caller, policy_id))
        read = compat.read_body(request.data, type_now=policy.type)
        read = _with_bot(caller, read)
        with transaction.atomic():
            policy = edits.rewrite_policy(
                policy=policy,
                rewrite=partial(compat.document_of, read),
                actor=caller.actor,
                now=now,
            )
            _label(caller, policy, read, now)
        return Response({"id": policy.public_id})


class DeletePolicy(CompatEndpoint):
    """The end of a policy in their form."""

    scopes = {"POST": "policies:write"}

    @described.delete
    def post(self, request: Request, policy_id: str) -> Response:
        """Archive a policy and lift its blocks."""
        caller = self.caller
        policy = may_write(caller, told_policy(caller, policy_id))
        self.empty_body()
        edits.archive_policy(policy=policy, actor=caller.actor, now=timezone.now())
        return Response({"id": policy.public_id})


def _with_bot(caller: Caller, read: dict[str, Any]) -> dict[str, Any]:
    """Add the id of the bot that a body names. Raises UnknownReference."""
    if "botId" not in read:
        return read
    ref = read["botId"]
    bot = referred_bot(caller, ref, "/botId").public_id if ref else None
    return {**read, "bot": bot}


def _label(
    caller: Caller,
    policy: Policy,
    read: dict[str, Any],
    now: datetime,
    *,
    created: bool = False,
) -> None:
    form = dict(policy.foreign_form)
    if "blueprintId" in read:
        form["blueprintId"] = read["blueprintId"] or None
    if "config" in read:
        form["config"] = read["config"]
    if created or "name" in read:
        form["made_name"] = None if read.get("name") else policy.name
    labels: dict[str, Any] = {"foreign_form": form}
    if "alias" in read:
        labels["alias"] = read["alias"]
    if "meta" in read:
        labels["meta"] = compat.updated_meta(read["meta"], policy.meta)
    label_policy(policy=policy, labels=labels, actor=caller.actor, now=now)


def _own_first(caller: Caller) -> Any:
    project = F("project_id")
    return project.asc(nulls_first=True) if caller.project is None else project.asc()


def _meta_path(name: str) -> Sequence[str]:
    """Return the path in meta that `meta.a.b` or `meta[a]` names; empty if none."""
    found = _META.fullmatch(name)
    path = tuple((found[1] or found[2]).split(".")) if found else ()
    return path if len(path) <= MAX_DEPTH and "\x00" not in name else ()


def _nested(path: Sequence[str], value: Any) -> dict[str, Any]:
    for name in reversed(path):
        value = {name: value}
    return dict(value)


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
