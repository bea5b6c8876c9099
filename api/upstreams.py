"""Upstreams: where the gateway's calls go. Secrets go in and never come out."""

from typing import Any, Final

from django.utils import timezone
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from api import examples
from api.callers import Caller, referred_project
from api.endpoint import Endpoint, tagged
from api.fields import Body, Count, Text
from api.listing import PAGING, each, listed
from api.schema import filters, operation, page, page_of
from gateway.models import LONGEST_SECONDS, Upstream
from gateway.selectors import upstream_of, upstreams
from gateway.services import (
    SECRET_MAX,
    archive_upstream,
    create_upstream,
    update_upstream,
)

_SENT: Final = {
    "name": "OpenAI",
    "base_url": "https://api.openai.com/v1",
    "secret": "sk-example",
    "chat_models": {"gpt-4o-mini": "gpt-4o-mini-2024-07-18"},
    "embedding_models": {"small": "text-embedding-3-small"},
}
_UPSTREAM: Final = {
    "id": "ups_01kjm3v5c0e8r9q2t4w6y8z0b7",
    "name": "OpenAI",
    "project": None,
    "base_url": "https://api.openai.com/v1",
    "has_secret": True,
    "secret_last4": "",
    "chat_models": {"gpt-4o-mini": "gpt-4o-mini-2024-07-18"},
    "embedding_models": {"small": "text-embedding-3-small"},
    "connect_seconds": 5,
    "first_byte_seconds": 60,
    "idle_seconds": 30,
    "total_seconds": 600,
    "position": 0,
    "enabled": True,
    "revision": 1,
    "created_at": examples.MORNING,
    "updated_at": examples.MORNING,
}


@extend_schema_field({"type": "object", "additionalProperties": {"type": "string"}})
class Models(serializers.JSONField):
    """The name that clients use for a model, and the upstream's own name for it."""


class YesNo(serializers.BooleanField):
    """True or false, as JSON writes them."""

    def to_internal_value(self, data: Any) -> bool:
        """Return the value itself."""
        if not isinstance(data, bool):
            raise serializers.ValidationError("must be true or false")
        return data


class UpstreamBody(Body):
    """What an upstream is told to be."""

    name = Text(max_length=200)
    project = Text(max_length=200, allow_null=True, default=None)
    base_url = Text(max_length=2000)
    secret = Text(max_length=SECRET_MAX, allow_blank=True, default="")
    chat_models = Models(default=dict)
    embedding_models = Models(default=dict)
    connect_seconds = Count(least=1, most=LONGEST_SECONDS, default=5)
    first_byte_seconds = Count(least=1, most=LONGEST_SECONDS, default=60)
    idle_seconds = Count(least=1, most=LONGEST_SECONDS, default=30)
    total_seconds = Count(least=1, most=LONGEST_SECONDS, default=600)
    position = Count(most=32_767, default=0)
    enabled = YesNo(default=True)


class UpstreamAnswer(serializers.Serializer[Upstream]):
    """An upstream, without its secret."""

    id = serializers.CharField(source="public_id")
    name = serializers.CharField()
    project = serializers.CharField(
        source="project.public_id", allow_null=True, default=None
    )
    base_url = serializers.CharField()
    has_secret = serializers.SerializerMethodField()
    secret_last4 = serializers.CharField()
    chat_models = Models()
    embedding_models = Models()
    connect_seconds = serializers.IntegerField()
    first_byte_seconds = serializers.IntegerField()
    idle_seconds = serializers.IntegerField()
    total_seconds = serializers.IntegerField()
    position = serializers.IntegerField()
    enabled = serializers.BooleanField()
    revision = serializers.IntegerField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()

    def get_has_secret(self, upstream: Upstream) -> bool:
        """Whether there is a secret at all."""
        return bool(upstream.secret)


def _resolved(caller: Caller, values: dict[str, Any]) -> dict[str, Any]:
    if "project" in values:
        values["project"] = referred_project(caller, values["project"], "/project")
    return values


class Upstreams(Endpoint):
    """The upstreams of an account, the oldest first."""

    scopes = {"GET": "upstreams:read", "POST": "upstreams:write"}
    queries = PAGING | {"project"}

    @operation(
        "upstreams_list",
        "List upstreams",
        answer=page_of(UpstreamAnswer, "UpstreamPage"),
        shows=page(_UPSTREAM),
        parameters=filters(project="id or external id of a project"),
    )
    def get(self, request: Request) -> Response:
        """List upstreams. A key of a project sees its own."""
        rows = upstreams(self.caller.account, project=self.caller.project)
        rows = self.of_project(rows, "project")
        return listed(request, rows, show=each(UpstreamAnswer))

    @operation(
        "upstreams_create",
        "Add an upstream",
        request=UpstreamBody,
        sends=_SENT,
        answer=UpstreamAnswer,
        shows=_UPSTREAM,
        status=201,
    )
    def post(self, request: Request) -> Response:
        """Add an upstream; calls go to it from the next one on."""
        now, caller = timezone.now(), self.caller
        caller.need_unbound()
        values = _resolved(caller, self.body(UpstreamBody))
        upstream = create_upstream(
            account=caller.account, values=values, actor=caller.actor, now=now
        )
        return tagged(dict(UpstreamAnswer(upstream).data), status=201)


class OneUpstream(Endpoint):
    """One upstream."""

    scopes = {
        "GET": "upstreams:read",
        "PUT": "upstreams:write",
        "PATCH": "upstreams:write",
        "DELETE": "upstreams:write",
    }

    @operation(
        "upstreams_read", "Read an upstream", answer=UpstreamAnswer, shows=_UPSTREAM
    )
    def get(self, request: Request, upstream_id: str) -> Response:
        """Read an upstream."""
        return tagged(dict(UpstreamAnswer(self._found(upstream_id)).data))

    @operation(
        "upstreams_replace",
        "Replace an upstream",
        request=UpstreamBody,
        sends=_SENT,
        answer=UpstreamAnswer,
        shows=_UPSTREAM,
    )
    def put(self, request: Request, upstream_id: str) -> Response:
        """Replace all that an upstream is told to be, its secret included."""
        return self._change(upstream_id, partial=False)

    @operation(
        "upstreams_update",
        "Change an upstream",
        request=UpstreamBody,
        sends={"enabled": False},
        answer=UpstreamAnswer,
        shows={**_UPSTREAM, "enabled": False, "revision": 2},
    )
    def patch(self, request: Request, upstream_id: str) -> Response:
        """Change what is named. A new host needs the secret anew."""
        return self._change(upstream_id, partial=True)

    @operation(
        "upstreams_archive",
        "Remove an upstream",
        answer=None,
        shows=None,
        status=204,
    )
    def delete(self, request: Request, upstream_id: str) -> Response:
        """Take an upstream out of use and forget its secret."""
        caller = self.caller
        caller.need_unbound()
        upstream = self._found(upstream_id)
        archive_upstream(
            upstream=upstream,
            actor=caller.actor,
            now=timezone.now(),
            expected_revision=self._expected(upstream),
        )
        return Response(status=204)

    def _found(self, upstream_id: str) -> Upstream:
        return upstream_of(
            self.caller.account, upstream_id, project=self.caller.project
        )

    def _expected(self, upstream: Upstream) -> int | None:
        if "HTTP_IF_MATCH" not in self.request.META:
            return None
        return self.expected_revision(upstream.revision)

    def _change(self, upstream_id: str, *, partial: bool) -> Response:
        caller = self.caller
        caller.need_unbound()
        upstream = self._found(upstream_id)
        expected = self._expected(upstream)
        values = _resolved(caller, self.body(UpstreamBody, partial=partial))
        changed = update_upstream(
            upstream=upstream,
            values=values,
            actor=caller.actor,
            now=timezone.now(),
            expected_revision=expected,
        )
        return tagged(dict(UpstreamAnswer(changed).data))
