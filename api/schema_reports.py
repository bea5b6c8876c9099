"""The OpenAPI schemas of reports: usage over time, who used how much, simulations."""

from collections.abc import Mapping
from typing import Final

from api.schema_components import (
    AMOUNT,
    AMOUNT_OR_NULL,
    BOOLEAN,
    COUNT,
    MOMENT,
    MOMENT_OR_NULL,
    TEXT,
    TEXT_OR_NULL,
    Schema,
    answer,
    array,
    body,
    ref,
    words,
)
from policies.rules import METRICS
from usage.reports import BUCKETS, GROUPS

_FIGURES: Final[dict[str, Schema]] = {
    **{name: COUNT for name in METRICS if name != "cost"},
    "cost": {
        "type": ["string", "null"],
        "description": "decimal US dollars; null if no price of anything was known",
    },
    "unpriced": {**COUNT, "description": "events of which no price was known"},
}
_SOME: Final[Schema] = {"type": "object", "properties": _FIGURES}
_LABEL: Final[dict[str, Schema]] = {
    "group": {
        **TEXT_OR_NULL,
        "description": "an id or the text; null: none, or others",
    },
    "name": TEXT_OR_NULL,
    "other": {**BOOLEAN, "description": "all groups that are not named, together"},
}
_BUCKET: Final[Schema] = {
    "type": "object",
    "properties": {"start": MOMENT, "end": MOMENT, **_LABEL, **_FIGURES},
    "required": ["start", "end"],
}
_PREVIOUS: Final[Schema] = {
    "type": ["object", "null"],
    "properties": {"totals": _SOME, "data": array(_BUCKET)},
}

_TALLY: Final[dict[str, Schema]] = {"calls": COUNT, "tokens": COUNT, "cost": TEXT}
_FIRE: Final[Schema] = answer(
    at=MOMENT,
    metric=words(*METRICS),
    threshold=AMOUNT,
    subject={"type": "object", "additionalProperties": TEXT_OR_NULL},
    window_start=MOMENT_OR_NULL,
)
_OUTCOME: Final[dict[str, Schema]] = {
    "fired": {**COUNT, "description": "reached limits, once a counter and window"},
    "first_fired_at": MOMENT_OR_NULL,
    "fires": array(_FIRE),
    "calls": answer(**_TALLY),
    "refused": answer(**_TALLY),
    "first_refused_at": MOMENT_OR_NULL,
    "warned": {**COUNT, "description": "calls that pass though a limit is passed"},
    "unestimated": {**COUNT, "description": "calls that would need an estimate"},
    "by_bot": array(answer(bot=TEXT, name=TEXT_OR_NULL, **_TALLY)),
    "by_user": array(answer(user=TEXT_OR_NULL, **_TALLY)),
}
_DAYS: Final[Schema] = {"type": "integer", "minimum": 1, "maximum": 90, "default": 30}
_DRAFT: Final[Schema] = body("policy", policy=ref("PolicyDocument"), days=_DAYS)

REPORT_SCHEMAS: Final[Mapping[str, Schema]] = {
    "UsageSeries": answer(
        **{"from": MOMENT, "to": MOMENT},
        bucket=words(*BUCKETS),
        timezone=TEXT,
        week_start=COUNT,
        as_of=MOMENT_OR_NULL,
        group_by={"type": ["string", "null"], "enum": [*GROUPS, None]},
        metrics=array(words(*METRICS)),
        totals=_SOME,
        data=array(_BUCKET),
        previous=_PREVIOUS,
    ),
    "SimulationDraft": {"anyOf": [_DRAFT, ref("PolicyDocument")]},
    "SimulationAsked": body(policy=ref("PolicyDocument"), days=_DAYS),
    "Simulation": answer(
        **{"from": MOMENT, "to": MOMENT},
        source=words("events", "rollups"),
        truncated=BOOLEAN,
        **_OUTCOME,
        active={"anyOf": [answer(**_OUTCOME), {"type": "null"}]},
        tighter=array(
            answer(
                policy_id=TEXT,
                name=TEXT,
                metric=words(*METRICS),
                threshold=AMOUNT,
                window=ref("Window"),
            )
        ),
    ),
    "ExplainedDecision": {
        "allOf": [
            ref("DecisionRecord"),
            answer(
                explanation=array(
                    answer(
                        policy_id=TEXT,
                        revision=COUNT,
                        name=TEXT,
                        metric=words(*METRICS),
                        needed=AMOUNT,
                        margin={
                            **AMOUNT_OR_NULL,
                            "description": "left after the call; negative: missing",
                        },
                        decisive=BOOLEAN,
                        words=TEXT,
                    )
                )
            ),
        ]
    },
    "UsageAttribution": answer(
        **{"from": MOMENT, "to": MOMENT},
        timezone=TEXT,
        as_of=MOMENT_OR_NULL,
        group_by=words(*GROUPS),
        order=words("cost", "tokens", "calls"),
        totals=answer(**_FIGURES),
        data=array(
            answer(**_LABEL, share={"type": ["number", "null"]}, **_FIGURES),
        ),
    ),
}
