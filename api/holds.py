"""Legal holds: place, list, read, release."""

from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.errors import (
    FieldError,
    Forbidden,
    InvalidBody,
    NotFound,
    UnknownReference,
)
from accounts.models import Account, Bot, Project
from accounts.selectors import bot_by_reference, project_by_reference
from api.callers import Caller
from api.endpoint import Endpoint, invalid_query
from api.fields import Body, Moment, Text
from api.listing import PAGING, listed
from api.moments import moment_text
from api.retention_examples import HOLD, HOLD_RELEASED, HOLD_SENT
from api.schema import filters, operation, page, page_of
from retention.holding import MAX_REASON, place_hold, release_hold
from retention.models import LegalHold
from retention.selectors import hold_of, hold_state, holds, live_at
from usage.conversations import conversation_by_reference
from usage.models import Conversation

KINDS = ("account", "project", "bot", "user", "conversation")
STATES = ("active", "ended", "released")


@extend_schema_field({"oneOf": [{"type": "boolean"}, {"type": "string"}]})
class AccountMark(serializers.Field[Any, Any, Any, Any]):
    """`true`, or the account's own id or slug."""

    default_error_messages = {"invalid": "must be true or the account's id"}

    def to_internal_value(self, data: Any) -> bool | str:
        """Return the value itself."""
        if not isinstance(data, bool | str):
            self.fail("invalid")
        return data

    def to_representation(self, value: Any) -> Any:
        """Return the value itself."""
        return value


class HoldBody(Body):
    """What is held (exactly one of five), why, by whom and until when."""

    account = AccountMark(allow_null=True, default=None)
    project = Text(max_length=200, allow_null=True, default=None)
    bot = Text(max_length=200, allow_null=True, default=None)
    user = Text(max_length=256, allow_null=True, default=None)
    conversation = Text(max_length=200, allow_null=True, default=None)
    reason = Text(max_length=MAX_REASON, lines=True)
    owner = Text(max_length=300, allow_null=True, default=None)
    until = Moment(allow_null=True, default=None)


class ReleaseBody(Body):
    """Why a hold is released."""

    reason = Text(max_length=MAX_REASON, allow_blank=True, default="", lines=True)


class HoldAnswer(serializers.Serializer[LegalHold]):
    """A legal hold; of the five names of what it holds, four are null."""

    id = serializers.CharField()
    state = serializers.ChoiceField(choices=list(STATES))
    account = serializers.BooleanField(allow_null=True)
    project = serializers.CharField(allow_null=True)
    bot = serializers.CharField(allow_null=True)
    user = serializers.CharField(allow_null=True)
    conversation = serializers.CharField(allow_null=True)
    reason = serializers.CharField()
    owner = serializers.CharField()
    until = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()
    created_by = serializers.CharField()
    released_at = serializers.DateTimeField(allow_null=True)
    released_by = serializers.CharField(allow_null=True)
    release_reason = serializers.CharField(allow_null=True)


def show_hold(hold: LegalHold, now: Any) -> dict[str, Any]:
    """Return a hold as it is answered."""
    named: dict[str, Any] = dict.fromkeys(KINDS)
    named[hold.kind] = True if hold.kind == LegalHold.Kind.ACCOUNT else hold.ref
    released = hold.released_at is not None
    return {
        "id": hold.public_id,
        "state": hold_state(hold, now),
        **named,
        "reason": hold.reason,
        "owner": hold.owner,
        "until": moment_text(hold.until),
        "created_at": moment_text(hold.created_at),
        "created_by": hold.created_by,
        "released_at": moment_text(hold.released_at),
        "released_by": hold.released_by if released else None,
        "release_reason": hold.release_reason if released else None,
    }


def need_account(caller: Caller) -> None:
    """Raise Forbidden for a key that is bound to a project or a bot."""
    if caller.project is not None:
        raise Forbidden("A key of a project may not do this.")
    caller.need_unbound()


def _held(
    caller: Caller, values: dict[str, Any]
) -> Account | Project | Bot | Conversation | str:
    """Return the one thing that a body names. Raises InvalidBody, UnknownReference."""
    given = [
        name for name in KINDS if values[name] is not None and values[name] is not False
    ]
    if len(given) != 1:
        detail = f"must name exactly one of {', '.join(KINDS)}"
        raise InvalidBody(errors=[{"pointer": "", "detail": detail}])
    (kind,) = given
    ref, pointer = values[kind], f"/{kind}"
    try:
        return _found(caller.account, kind, ref)
    except NotFound:
        missing: FieldError = {"pointer": pointer, "detail": "does not exist"}
        raise UnknownReference(errors=[missing]) from None


def _found(
    account: Account, kind: str, ref: Any
) -> Account | Project | Bot | Conversation | str:
    """Return what is named; an archived project or bot too, for its rows are there."""
    if kind == "project":
        return project_by_reference(account, ref, include_archived=True)
    if kind == "bot":
        return bot_by_reference(account, ref, include_archived=True)
    if kind == "conversation":
        return conversation_by_reference(account, ref)
    if kind == "user":
        return str(ref)
    if ref not in (True, account.public_id, account.slug):
        raise NotFound
    return account


class Holds(Endpoint):
    """The legal holds of an account."""

    scopes = {"GET": "retention:read", "POST": "retention:write"}
    # `account` says whose holds, as everywhere; those on the whole have a kind.
    queries = PAGING | set(KINDS) - {"account"} | {"state", "kind"}

    @operation(
        "retention_list_holds",
        "List legal holds",
        answer=page_of(HoldAnswer, "HoldPage"),
        shows=page(HOLD),
        parameters=filters(
            state="active, ended (its `until` has come) or released",
            kind="of the account, of a project, bot, user or conversation",
            project="on this project id",
            bot="on this bot id",
            user="on this user",
            conversation="on this conversation id",
        ),
    )
    def get(self, request: Request) -> Response:
        """List holds, the newest first."""
        need_account(self.caller)
        now = timezone.now()
        rows = self._in_state(holds(self.caller.account), now)
        kind = self.query("kind")
        if kind is not None:
            if kind not in KINDS:
                raise invalid_query("kind", f"must be one of: {', '.join(KINDS)}")
            rows = rows.filter(kind=kind)
        for name in KINDS[1:]:
            value = self.query(name)
            if value is not None:
                rows = rows.filter(kind=name, ref=value)
        return listed(
            request,
            rows,
            show=lambda found: [show_hold(each, now) for each in found],
            newest_first=True,
        )

    def _in_state(self, rows: QuerySet[LegalHold], now: Any) -> QuerySet[LegalHold]:
        state = self.query("state")
        if state is None:
            return rows
        if state not in STATES:
            raise invalid_query("state", f"must be one of: {', '.join(STATES)}")
        if state == "released":
            return rows.exclude(released_at=None)
        if state == "active":
            return rows.filter(live_at(now))
        return rows.filter(released_at=None, until__lte=now)

    @operation(
        "retention_place_hold",
        "Place a legal hold",
        request=HoldBody,
        sends=HOLD_SENT,
        answer=HoldAnswer,
        shows=HOLD,
        status=201,
    )
    def post(self, request: Request) -> Response:
        """Hold what is named: from now on no rule deletes it (CONTRACT E1)."""
        now, caller = timezone.now(), self.caller
        need_account(caller)
        values = self.body(HoldBody)
        hold = place_hold(
            account=caller.account,
            what=_held(caller, values),
            reason=values["reason"],
            owner=values["owner"] or "",
            until=values["until"],
            actor=caller.actor,
            now=now,
        )
        return Response(show_hold(hold, now), status=201)


class OneHold(Endpoint):
    """One legal hold."""

    scopes = {"GET": "retention:read"}

    @operation(
        "retention_read_hold", "Read a legal hold", answer=HoldAnswer, shows=HOLD
    )
    def get(self, request: Request, hold_id: str) -> Response:
        """Read a hold."""
        need_account(self.caller)
        hold = hold_of(self.caller.account, hold_id)
        return Response(show_hold(hold, timezone.now()))


class ReleaseHold(Endpoint):
    """Release of a legal hold."""

    scopes = {"POST": "retention:write"}

    @operation(
        "retention_release_hold",
        "Release a legal hold",
        request=ReleaseBody,
        sends={"reason": "Settled"},
        answer=HoldAnswer,
        shows=HOLD_RELEASED,
    )
    def post(self, request: Request, hold_id: str) -> Response:
        """Release a hold: what is due by the rules goes with their next run."""
        now, caller = timezone.now(), self.caller
        need_account(caller)
        hold = hold_of(caller.account, hold_id)
        reason = self.body(ReleaseBody)["reason"]
        release_hold(hold=hold, actor=caller.actor, reason=reason, now=now)
        return Response(show_hold(hold, now))
