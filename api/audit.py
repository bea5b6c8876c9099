"""What was decided and who changed what."""

from datetime import datetime
from typing import Any, Final

from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import ChangeRecord
from accounts.selectors import changes, narrowed_changes
from api import examples
from api.callers import Caller
from api.decisions import DECISION_REF, show_decisions
from api.endpoint import Endpoint, invalid_query
from api.explanations import EXPLANATION, explained
from api.fields import instant
from api.listing import PAGING, each, listed
from api.schema import filters, operation, page, page_of, raw_page_of
from api.schema_components import ref
from audit.models import DecisionRecord
from audit.selectors import FACETS, decision_of, decisions, narrowed

FILTER_TEXTS: Final = {
    "bot": "decisions about this bot id",
    "user": "about this user",
    "policy": "that this policy id made",
    "project": "about this project id",
    "reason_code": "with this reason code",
    "decision": "allow or deny",
    "rollout_mode": "that a policy in this mode made: enforce or shadow",
    "model": "about this model",
    "kind": "authorize or gateway",
    "key": "that this key id asked for",
    "category": "in which this category was found",
    "tag": "with this tag, as name=value",
    "since": "made at or after this moment",
    "until": "made before this moment",
}

CHANGE_TEXTS: Final = {
    "target": "changes of this id",
    "action": "of this kind, such as policy.updated",
    "area": "of all kinds that begin so, such as policy",
    "actor": "made by a person, a key or the system",
    "since": "made at or after this moment",
    "until": "made before this moment",
}
ACTORS: Final = ("person", "key", "system")


class ActorAnswer(serializers.Serializer[Any]):
    """Who did something."""

    kind = serializers.ChoiceField(source="actor_kind", choices=list(ACTORS))
    id = serializers.CharField(source="actor_id")
    label = serializers.CharField(source="actor_label")  # type: ignore[assignment]


class ChangeAnswer(serializers.Serializer[ChangeRecord]):
    """One edit by somebody."""

    id = serializers.CharField(source="public_id")
    action = serializers.CharField()
    target = serializers.CharField()
    actor = ActorAnswer(source="*")
    changes = serializers.ListField(child=serializers.DictField())
    reason = serializers.CharField()
    created_at = serializers.DateTimeField()


def _bindings(caller: Caller) -> dict[str, str | None]:
    """Return the project and the bot that a caller's reads are kept to."""
    return {
        "project": None if caller.project is None else caller.project.public_id,
        "bot": None if caller.bot is None else caller.bot.public_id,
    }


class AuditEndpoint(Endpoint):
    """Answers about what was kept."""

    scopes = {"GET": "audit:read"}

    def moment(self, name: str) -> datetime | None:
        """Return a moment of the query. Raises InvalidQuery."""
        text = self.query(name)
        moment = None if text is None else instant(text)
        if text is not None and moment is None:
            raise invalid_query(name, "must be a moment such as 2026-01-31T12:00:00Z")
        return moment


class DecisionEndpoint(AuditEndpoint):
    """Answers about the decisions that a filter finds."""

    def chosen(self) -> QuerySet[DecisionRecord]:
        """Return the decisions that the query names. Raises InvalidQuery."""
        caller = self.caller
        rows = decisions(caller.account, **_bindings(caller))
        given = {name: self.query(name) for name in FACETS}
        facets = {name: value for name, value in given.items() if value is not None}
        since, until = self.moment("since"), self.moment("until")
        rows = narrowed(rows, facets, since=since, until=until)
        tag = self.query("tag")
        if tag is not None:
            name, _, value = tag.partition("=")
            rows = rows.filter(subject__contains={"tags": {name: value}})
        return rows


class ChangeEndpoint(AuditEndpoint):
    """Answers about the changes that a filter finds."""

    def chosen(self) -> QuerySet[ChangeRecord]:
        """Return the changes that the query names. Raises InvalidQuery.

        Keys of a project or bot see their own.
        """
        caller = self.caller
        actor = self.query("actor")
        if actor not in (None, *ACTORS):
            raise invalid_query("actor", "must be person, key or system")
        rows = narrowed_changes(
            changes(caller.account, target=self.query("target")),
            action=self.query("action"),
            area=self.query("area"),
            actor=actor,
            since=self.moment("since"),
            until=self.moment("until"),
        )
        if caller.project is not None or caller.bot is not None:
            rows = rows.filter(actor_kind="key", actor_id=caller.actor.id)
        return rows


class Decisions(DecisionEndpoint):
    """The decisions of an account."""

    queries = PAGING | set(FILTER_TEXTS)

    @operation(
        "audit_list_decisions",
        "List decisions",
        answer=raw_page_of(DECISION_REF),
        shows=page(examples.DECISION_ROW),
        parameters=filters(**FILTER_TEXTS),
    )
    def get(self, request: Request) -> Response:
        """List decisions, the newest first."""
        caller = self.caller
        return listed(
            request,
            self.chosen(),
            show=lambda found: show_decisions(caller, found),
            newest_first=True,
        )


class OneDecision(Endpoint):
    """One decision."""

    scopes = {"GET": "audit:read"}

    @operation(
        "audit_read_decision",
        "Read a decision, and why it came out so",
        answer=ref("ExplainedDecision"),
        shows={**examples.DECISION_ROW, "explanation": EXPLANATION},
    )
    def get(self, request: Request, decision_id: str) -> Response:
        """Read a decision, with a sentence for each limit that it looked at."""
        caller = self.caller
        found = decision_of(caller.account, decision_id, **_bindings(caller))
        shown = show_decisions(caller, [found])[0]
        return Response({**shown, "explanation": explained(caller, found)})


class Changes(ChangeEndpoint):
    """The change history of an account."""

    queries = PAGING | set(CHANGE_TEXTS)

    @operation(
        "audit_list_changes",
        "List changes",
        answer=page_of(ChangeAnswer, "ChangePage"),
        shows=page(examples.CHANGE),
        parameters=filters(**CHANGE_TEXTS),
    )
    def get(self, request: Request) -> Response:
        """List changes, the newest first. Keys of a project or bot see their own."""
        return listed(
            request,
            self.chosen(),
            show=each(ChangeAnswer),
            newest_first=True,
        )
