"""API keys: create (shown once), list, read, rotate, revoke."""

from typing import Any

from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.errors import Forbidden, InvalidBody
from accounts.models import ApiKey, Bot, Project
from accounts.selectors import key_of, key_status, keys
from accounts.services import create_key, revoke_key, rotate_key
from api import examples
from api.callers import Caller, referred_bot, referred_project
from api.endpoint import Endpoint
from api.fields import Body, Count, Moment, Text, Texts
from api.listing import PAGING, each, listed
from api.schema import filters, operation, page, page_of

_MAX_OVERLAP = 30 * 86_400


class KeyBody(Body):
    """What a key is told to be."""

    name = Text(max_length=200, allow_blank=True, default="")
    scopes = Texts(child=Text(max_length=40), min_length=1, max_length=40)
    project = Text(max_length=200, allow_null=True, default=None)
    bot = Text(max_length=200, allow_null=True, default=None)
    expires_at = Moment(allow_null=True, default=None)


class RotateBody(Body):
    """For how many seconds the old key stays good beside the new one."""

    overlap_seconds = Count(most=_MAX_OVERLAP, default=86_400)


class RevokeBody(Body):
    """Why a key is revoked."""

    reason = Text(max_length=500, allow_blank=True, default="", lines=True)


class KeyAnswer(serializers.Serializer[ApiKey]):
    """A key, without its text."""

    id = serializers.CharField(source="public_id")
    name = serializers.CharField()
    prefix = serializers.CharField(source="key_prefix")
    last4 = serializers.CharField()
    scopes = serializers.ListField(child=serializers.CharField())
    project = serializers.CharField(
        source="project.public_id", default=None, allow_null=True
    )
    bot = serializers.CharField(source="bot.public_id", default=None, allow_null=True)
    status = serializers.SerializerMethodField()
    replaces = serializers.CharField(
        source="replaces.public_id", default=None, allow_null=True
    )
    created_by = serializers.CharField()
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField(allow_null=True)
    last_used_at = serializers.DateTimeField(allow_null=True)
    revoked_at = serializers.DateTimeField(allow_null=True)

    def get_status(self, key: ApiKey) -> str:
        """Return active, expired or revoked."""
        return key_status(key, self.context["now"])


class NewKeyAnswer(KeyAnswer):
    """A key with its text, which is shown this once."""

    key = serializers.CharField()


def _answer(key: ApiKey, text: str | None = None, status: int = 200) -> Response:
    shown: dict[str, Any] = dict(KeyAnswer(key, context={"now": timezone.now()}).data)
    if text is not None:
        shown["key"] = text
    return Response(shown, status=status)


def _need_grant(caller: Caller, scopes: list[str]) -> None:
    caller.need_unbound()
    if not caller.may_grant(scopes):
        raise Forbidden("A key cannot give scopes that it does not have.")


def _need_same_project(bot: Bot, project: Project | None) -> None:
    """Refuse a key of a project for a bot that is not there: it could do nothing."""
    if project is not None and bot.project_id != project.id:
        detail = "is not a bot of this project"
        raise InvalidBody(errors=[{"pointer": "/bot", "detail": detail}])


class Keys(Endpoint):
    """The keys of an account, the oldest first."""

    scopes = {"GET": "keys:read", "POST": "keys:write"}
    queries = PAGING | {"project"}

    @operation(
        "keys_list",
        "List keys",
        answer=page_of(KeyAnswer, "KeyPage"),
        shows=page(examples.KEY),
        parameters=filters(project="id or external id of a project"),
    )
    def get(self, request: Request) -> Response:
        """List keys, revoked ones too."""
        rows = keys(self.caller.account, project=self.caller.project)
        rows = self.of_project(rows, "project")
        return listed(
            request,
            rows,
            show=each(KeyAnswer, now=timezone.now()),
        )

    @operation(
        "keys_create",
        "Create a key",
        request=KeyBody,
        sends=examples.KEY_SENT,
        answer=NewKeyAnswer,
        shows=examples.KEY_MADE,
        status=201,
    )
    def post(self, request: Request) -> Response:
        """Create a key; its text is in this answer and nowhere else."""
        caller = self.caller
        values = self.body(KeyBody)
        _need_grant(caller, values["scopes"])
        values["project"] = referred_project(caller, values["project"], "/project")
        if values["bot"] is not None:
            values["bot"] = referred_bot(caller, values["bot"], "/bot")
            _need_same_project(values["bot"], values["project"])
        key, text = create_key(
            account=caller.account, actor=caller.actor, now=timezone.now(), **values
        )
        return _answer(key, text, 201)


class OneKey(Endpoint):
    """One key."""

    scopes = {"GET": "keys:read"}

    @operation("keys_read", "Read a key", answer=KeyAnswer, shows=examples.KEY)
    def get(self, request: Request, key_id: str) -> Response:
        """Read a key, without its text."""
        caller = self.caller
        return _answer(key_of(caller.account, key_id, project=caller.project))


class RotateKey(Endpoint):
    """Rotation of a key."""

    scopes = {"POST": "keys:write"}

    @operation(
        "keys_rotate",
        "Rotate a key",
        request=RotateBody,
        sends={"overlap_seconds": 3600},
        answer=NewKeyAnswer,
        shows={**examples.KEY_MADE, "replaces": examples.KEY_ID},
        status=201,
    )
    def post(self, request: Request, key_id: str) -> Response:
        """Make a key that may do the same; the old one stays good for the overlap."""
        caller = self.caller
        key = key_of(caller.account, key_id, project=caller.project)
        _need_grant(caller, key.scopes)
        values = self.body(RotateBody)
        new, text = rotate_key(
            key=key, actor=caller.actor, now=timezone.now(), **values
        )
        return _answer(new, text, 201)


class RevokeKey(Endpoint):
    """Revocation of a key."""

    scopes = {"POST": "keys:write"}

    @operation(
        "keys_revoke",
        "Revoke a key",
        request=RevokeBody,
        sends={"reason": "Leaked"},
        answer=KeyAnswer,
        shows={**examples.KEY, "status": "revoked", "revoked_at": examples.MORNING},
    )
    def post(self, request: Request, key_id: str) -> Response:
        """Stop a key at once and for good."""
        caller = self.caller
        caller.need_unbound()
        key = key_of(caller.account, key_id, project=caller.project)
        reason = self.body(RevokeBody)["reason"]
        now = timezone.now()
        return _answer(revoke_key(key=key, actor=caller.actor, now=now, reason=reason))
