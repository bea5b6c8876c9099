"""What a policy is, in one place to import from: its values, its JSON and its words.

Pure: nothing here reads a clock, a database or the network.
"""

from policies.compiling import limit_key, usage_rule
from policies.money import MAX_INTEGER, MICROS, cost_to_micros, micros_to_cost
from policies.rule_parsing import parse, timezones
from policies.rule_types import (
    ACTION_NAMES,
    CALENDAR_UNITS,
    METRICS,
    POLICY_TYPES,
    ROLLOUT_MODES,
    SCOPE_FIELDS,
    WINDOW_KINDS,
    Actions,
    BlockAction,
    InvalidPolicy,
    Limit,
    Problem,
    Scope,
    UsageRule,
    Window,
)
from policies.wording import diff, sentence

__all__ = [
    "ACTION_NAMES",
    "CALENDAR_UNITS",
    "MAX_INTEGER",
    "METRICS",
    "MICROS",
    "POLICY_TYPES",
    "ROLLOUT_MODES",
    "SCOPE_FIELDS",
    "WINDOW_KINDS",
    "Actions",
    "BlockAction",
    "InvalidPolicy",
    "Limit",
    "Problem",
    "Scope",
    "UsageRule",
    "Window",
    "cost_to_micros",
    "diff",
    "limit_key",
    "micros_to_cost",
    "parse",
    "sentence",
    "timezones",
    "usage_rule",
]
