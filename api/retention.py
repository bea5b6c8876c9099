"""Retention: what is due and waiting, and the receipts of what was let go."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.errors import FieldError, InvalidBody, NotFound, UnknownReference
from api.callers import Caller
from api.endpoint import Endpoint, invalid_query
from api.fields import Body
from api.holds import need_account
from api.listing import PAGING, listed
from api.moments import moment_text
from api.policies import visible_policy
from api.retention_examples import CONFIRMED, PENDING, PREVIEW, RUN
from api.schema import filters, operation, page, page_of
from policies.models import Policy
from policies.rules import parse
from retention.confirming import confirm_run
from retention.erasure import TARGET as ERASURE
from retention.exports import show_receipt
from retention.models import PruneRun
from retention.previews import preview
from retention.selectors import Pending, pending, pending_policies, run_of, runs
from retention.targets import TARGETS

_RUN_TARGETS = (*TARGETS, ERASURE)
PREVIEW_SENT = {"policy": PREVIEW["policy"]}
PREVIEW_BODY = {
    "description": "`{policy}`: a policy's id, or a draft: a retention policy's JSON",
    "oneOf": [
        {
            "type": "object",
            "required": ["policy"],
            "properties": {"policy": {"type": "string"}},
        },
        {"$ref": "#/components/schemas/PolicyDocument"},
    ],
}


class HistogramAnswer(serializers.Serializer[Any]):
    """How many rows are so many days old; the last bar has no end."""

    from_days = serializers.IntegerField()
    to_days = serializers.IntegerField(allow_null=True)
    count = serializers.IntegerField()


class HoldsRowsAnswer(serializers.Serializer[Any]):
    """How many rows over their age a legal hold keeps, and why."""

    id = serializers.CharField()
    kind = serializers.CharField()
    reason = serializers.CharField()
    rows = serializers.IntegerField()


class PreviewAnswer(serializers.Serializer[Any]):
    """What a policy would delete now; `due` does not include what is held."""

    policy = serializers.CharField(allow_null=True)
    target = serializers.ChoiceField(choices=sorted(TARGETS))
    max_age_days = serializers.IntegerField()
    cutoff = serializers.DateTimeField()
    due = serializers.IntegerField()
    held = serializers.IntegerField()
    total = serializers.IntegerField(allow_null=True)
    oldest = serializers.DateTimeField(allow_null=True)
    histogram = HistogramAnswer(many=True)
    sample = serializers.ListField(child=serializers.CharField())
    holds = HoldsRowsAnswer(many=True)
    waits_for = serializers.ChoiceField(choices=["share"], allow_null=True)


class RunAnswer(serializers.Serializer[PruneRun]):
    """The receipt of a run."""

    id = serializers.CharField()
    policy = serializers.CharField(allow_null=True)
    policy_name = serializers.CharField(allow_null=True)
    policy_revision = serializers.IntegerField()
    target = serializers.CharField()
    cutoff = serializers.DateTimeField()
    state = serializers.ChoiceField(choices=PruneRun.State.values)
    waiting_for = serializers.ChoiceField(
        choices=PruneRun.Waiting.values, allow_null=True
    )
    trigger = serializers.CharField()
    due = serializers.IntegerField()
    total = serializers.IntegerField()
    deleted = serializers.DictField(child=serializers.IntegerField())
    held = serializers.IntegerField()
    skipped = serializers.DictField(child=serializers.IntegerField())
    remaining = serializers.IntegerField()
    progress = serializers.FloatField()
    subject = serializers.CharField(allow_null=True)
    confirmed_at = serializers.DateTimeField(allow_null=True)
    confirmed_by = serializers.CharField(allow_null=True)
    started_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)
    duration_seconds = serializers.FloatField()
    digest = serializers.CharField()


class PendingAnswer(serializers.Serializer[Any]):
    """Where a policy stands: what is due, and when it last succeeded."""

    policy = serializers.CharField()
    policy_name = serializers.CharField()
    target = serializers.CharField()
    max_age_days = serializers.IntegerField()
    due = serializers.IntegerField()
    held = serializers.IntegerField()
    oldest = serializers.DateTimeField(allow_null=True)
    overdue = serializers.BooleanField()
    last_run = RunAnswer(allow_null=True)
    last_success_at = serializers.DateTimeField(allow_null=True)
    open_run = RunAnswer(allow_null=True)


@extend_schema_field({"oneOf": [{"type": "string"}, {"type": "integer"}]})
class WordOrNumber(serializers.Field[Any, Any, Any, Any]):
    """A text or a whole number."""

    default_error_messages = {
        "invalid": "must be the policy's name or a number of rows",
        "required": "is required",
        "null": "must not be null",
    }

    def to_internal_value(self, data: Any) -> str | int:
        """Return the value itself."""
        if not isinstance(data, str | int) or isinstance(data, bool):
            self.fail("invalid")
        return data

    def to_representation(self, value: Any) -> Any:
        """Return the value itself."""
        return value


class ConfirmBody(Body):
    """The policy's name, or the number of rows that go, typed by a person."""

    confirm = WordOrNumber()


def _show_pending(found: Pending, now: datetime) -> dict[str, Any]:
    rule, success = found.policy.document["retention"], found.last_success
    return {
        "policy": found.policy.public_id,
        "policy_name": found.policy.name,
        "target": rule["target"],
        "max_age_days": found.max_age_days,
        "due": found.due,
        "held": found.held,
        "oldest": moment_text(found.oldest),
        "overdue": found.is_overdue(now),
        "last_run": None if found.last_run is None else show_receipt(found.last_run),
        "last_success_at": None if success is None else moment_text(success.worked_at),
        "open_run": None if found.open_run is None else show_receipt(found.open_run),
    }


def _drafted(body: object) -> dict[str, Any]:
    """Return the canonical document of a draft. Raises InvalidPolicy, InvalidBody."""
    if isinstance(body, Mapping):
        body = {"name": "Draft", "type": "retention", **body}
    document = parse(body)
    _need_retention(document["type"], "/type")
    return document


def _need_retention(type_: str, pointer: str) -> None:
    if type_ != Policy.Type.RETENTION:
        problem: FieldError = {"pointer": pointer, "detail": "must be about retention"}
        raise InvalidBody(errors=[problem])


def _previewed(caller: Caller, body: object) -> Policy | dict[str, Any]:
    """Return the policy that a body names, or the draft that it is."""
    if not isinstance(body, Mapping):
        raise InvalidBody(errors=[{"pointer": "", "detail": "must be an object"}])
    named = body.get("policy", body.get("draft"))
    if not {"policy", "draft"} & set(body):
        return _drafted(body)
    problems: list[FieldError] = [
        {"pointer": f"/{name}", "detail": "is not a known field"}
        for name in list(body)[1:20]
    ]
    if problems:
        raise InvalidBody(errors=problems)
    if isinstance(named, Mapping):
        return _drafted(named)
    if not isinstance(named, str) or "draft" in body:
        detail = "must be a policy's id or a draft"
        raise InvalidBody(
            errors=[{"pointer": f"/{next(iter(body))}", "detail": detail}]
        )
    try:
        policy = visible_policy(caller, named)
    except NotFound:
        missing: FieldError = {"pointer": "/policy", "detail": "does not exist"}
        raise UnknownReference(errors=[missing]) from None
    _need_retention(policy.type, "/policy")
    return policy


class RetentionPreview(Endpoint):
    """What a policy or a draft of one would delete now."""

    scopes = {"POST": "retention:read"}

    @operation(
        "retention_preview",
        "Preview what is due",
        request=PREVIEW_BODY,
        sends=PREVIEW_SENT,
        answer=PreviewAnswer,
        shows=PREVIEW,
    )
    def post(self, request: Request) -> Response:
        """Count what would be deleted now, and say what is held and why."""
        caller = self.caller
        policy = _previewed(caller, request.data)
        shown = preview(
            account=caller.account,
            policy=policy,
            now=timezone.now(),
            project=caller.project,
            bot=caller.bot,
        )
        shown["policy"] = policy.public_id if isinstance(policy, Policy) else None
        shown["waits_for"] = shown.pop("waits") or None
        for name in ("cutoff", "oldest"):
            shown[name] = moment_text(shown[name])
        shown["holds"] = [
            {
                "id": each["hold"].public_id,
                "kind": each["hold"].kind,
                "reason": each["hold"].reason,
                "rows": each["rows"],
            }
            for each in shown["holds"]
        ]
        return Response(shown)


class RetentionPending(Endpoint):
    """Where the retention policies stand."""

    scopes = {"GET": "retention:read"}
    queries = PAGING

    @operation(
        "retention_pending",
        "Read what is pending",
        answer=page_of(PendingAnswer, "PendingPage"),
        shows=page(PENDING),
        parameters=filters(),
    )
    def get(self, request: Request) -> Response:
        """Read what is due by each policy, and its last receipts."""
        now, caller = timezone.now(), self.caller
        caller.need_unbound()
        found = pending_policies(caller.account, project=caller.project)

        def show(shown: Sequence[Policy]) -> list[dict[str, Any]]:
            rows = pending(caller.account, shown, now)
            return [_show_pending(each, now) for each in rows]

        return listed(request, found, show=show)


class Runs(Endpoint):
    """The receipts of an account."""

    scopes = {"GET": "retention:read"}
    queries = PAGING | {"policy", "state", "target"}

    @operation(
        "retention_list_runs",
        "List receipts",
        answer=page_of(RunAnswer, "RunPage"),
        shows=page(RUN),
        parameters=filters(
            policy="of this policy id",
            state=", ".join(PruneRun.State.values),
            target=", ".join(_RUN_TARGETS),
        ),
    )
    def get(self, request: Request) -> Response:
        """List receipts, the newest first."""
        caller = self.caller
        caller.need_unbound()
        rows = runs(caller.account, project=caller.project)
        ref, state = self.query("policy"), self.query("state")
        if ref is not None:
            try:
                rows = rows.filter(policy=visible_policy(caller, ref))
            except NotFound:
                rows = rows.none()
        if state is not None:
            if state not in PruneRun.State.values:
                known = ", ".join(PruneRun.State.values)
                raise invalid_query("state", f"must be one of: {known}")
            rows = rows.filter(state=state)
        target = self.query("target")
        if target is not None:
            if target not in _RUN_TARGETS:
                raise invalid_query(
                    "target", f"must be one of: {', '.join(_RUN_TARGETS)}"
                )
            rows = rows.filter(target=target)
        return listed(
            request,
            rows,
            show=lambda found: [show_receipt(each) for each in found],
            newest_first=True,
        )


class OneRun(Endpoint):
    """One receipt."""

    scopes = {"GET": "retention:read"}

    @operation("retention_read_run", "Read a receipt", answer=RunAnswer, shows=RUN)
    def get(self, request: Request, run_id: str) -> Response:
        """Read a receipt; of a run that goes on, how far it is."""
        caller = self.caller
        caller.need_unbound()
        return Response(
            show_receipt(run_of(caller.account, run_id, project=caller.project))
        )


class ConfirmRun(Endpoint):
    """A person's word for a run that waits."""

    scopes = {"POST": "retention:write"}

    @operation(
        "retention_confirm_run",
        "Confirm a run that waits",
        request=ConfirmBody,
        sends={"confirm": "Keep 30 days"},
        answer=RunAnswer,
        shows=CONFIRMED,
    )
    def post(self, request: Request, run_id: str) -> Response:
        """Let a run go on that waits; a large one is finished by the worker."""
        caller = self.caller
        need_account(caller)
        run = run_of(caller.account, run_id)
        typed = self.body(ConfirmBody)["confirm"]
        confirmed = confirm_run(
            run=run, typed=typed, actor=caller.actor, now=timezone.now()
        )
        return Response(show_receipt(confirmed))
