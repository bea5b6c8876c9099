"""The decisions and the changes as files."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any, Final

from django.http import StreamingHttpResponse
from django.utils import timezone
from rest_framework.request import Request

from accounts.models import ChangeRecord
from api.audit import (
    CHANGE_TEXTS,
    FILTER_TEXTS,
    ChangeAnswer,
    ChangeEndpoint,
    DecisionEndpoint,
)
from api.decisions import show_decisions
from api.exports import FORMATS, Export, described
from api.listing import each
from retention.cutoff import DECISION_DAYS

_DECISION_COLUMNS: Final = (
    "id",
    "created_at",
    "kind",
    "decision",
    "allowed",
    "reason_code",
    "enforced",
    "rollout_mode",
    "policy_id",
    "policy_target",
    "policy_user",
    "policy_project_id",
    "model",
    "triggered_categories",
    "allowlist_hits",
    "denylist_hits",
    "retry_after",
    "reservation_id",
    "key_id",
    "message",
)
_CHANGE_COLUMNS: Final = (
    "id",
    "created_at",
    "action",
    "target",
    "actor_kind",
    "actor_id",
    "actor_label",
    "reason",
    "changes",
)


class ExportDecisions(Export, DecisionEndpoint):
    """All decisions that a filter finds, as far back as the plan keeps them."""

    queries = frozenset({*FILTER_TEXTS, *FORMATS})

    @described(
        "audit_export",
        "Export decisions",
        columns=_DECISION_COLUMNS,
        line='{"id": "dec_…", …}\n',
        parameters={**FILTER_TEXTS, **FORMATS},
    )
    def get(self, request: Request) -> StreamingHttpResponse:
        """Export decisions, the newest first; the file is written as it is read."""
        caller = self.caller
        kept = timedelta(days=DECISION_DAYS[caller.account.plan])
        return self.file(
            request,
            self.chosen().filter(created_at__gte=timezone.now() - kept),
            name="decisions",
            columns=_DECISION_COLUMNS,
            show=lambda page: show_decisions(caller, page),
        )


class ExportChanges(Export, ChangeEndpoint):
    """All changes that a filter finds."""

    queries = frozenset({*CHANGE_TEXTS, *FORMATS})

    @described(
        "audit_export_changes",
        "Export changes",
        columns=_CHANGE_COLUMNS,
        line='{"id": "chg_…", …}\n',
        parameters={**CHANGE_TEXTS, **FORMATS},
    )
    def get(self, request: Request) -> StreamingHttpResponse:
        """Export changes, the newest first, as the list shows them.

        In CSV the actor has three columns, and what was changed is one cell of JSON.
        """
        flat = request.accepted_renderer.format == "csv"
        return self.file(
            request,
            self.chosen(),
            name="changes",
            columns=_CHANGE_COLUMNS,
            show=lambda page: _changes(page, flat=flat),
        )


def _changes(page: Sequence[ChangeRecord], *, flat: bool) -> Iterator[dict[str, Any]]:
    for row in each(ChangeAnswer)(page):
        shown = dict(row)
        if flat:
            actor = shown.pop("actor").items()
            shown |= {f"actor_{name}": value for name, value in actor}
        yield shown
