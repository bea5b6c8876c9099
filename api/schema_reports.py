"""The OpenAPI schemas of reports: usage over time, who used how much, simulations."""

from collections.abc import Mapping
from typing import Final

from api.schema_components import (
    BOOLEAN,
    COUNT,
    MOMENT,
    MOMENT_OR_NULL,
    TEXT,
    TEXT_OR_NULL,
    Schema,
    answer,
    array,
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
