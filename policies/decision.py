"""Decide whether a call may go ahead, and why: one pure function for everyone.

The ledger, the gateway, the dashboard's preview and the simulation all call `decide`.
The rules B1, B6, C1, C3, C6, C7 and C8 of the contract are kept here and nowhere else.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from policies.decision_types import (
    BlockView,
    Call,
    Decision,
    Finding,
    PolicyReading,
    Reading,
)
from policies.estimates import (
    HELD_METRICS,
    amount_of,
    holds_required,
    with_default_hold,
)
from policies.matching import Caller, in_rollout
from policies.messages import (
    PLAIN_MESSAGES,
    block_message,
    message_without_figures,
    reading_message,
)
from policies.rules import UsageRule
from policies.thresholds import (
    block_end,
    covers_bot_wholly,
    crossed_steps,
    crossing,
    settle_split,
    status,
    triggered,
)

__all__ = [
    "HELD_METRICS",
    "SEVERITY",
    "BlockView",
    "Call",
    "Decision",
    "Finding",
    "PolicyReading",
    "Reading",
    "amount_of",
    "block_end",
    "covers_bot_wholly",
    "crossed_steps",
    "crossing",
    "decide",
    "holds_required",
    "message_without_figures",
    "over",
    "retry_after",
    "settle_split",
    "status",
    "triggered",
    "with_default_hold",
]

# How severe each reason is (C6); the most severe enforced outcome wins.
SEVERITY: Final[Mapping[str, int]] = {
    "revoked": 8,
    "bot_disabled": 7,
    "blocked": 6,
    "denylist": 5,
    "model_not_allowed": 5,
    "throttled": 4,
    "limit_exceeded": 3,
    "unpriced_model": 3,
    "redacted": 2,
    "warned": 1,
    "ok": 0,
}
_SECOND: Final = timedelta(seconds=1)


class _Outcome(NamedTuple):
    """One reason to refuse or warn.

    `rank` orders outcomes; `severity` is that of the reason it has, or would have if
    it were enforced. At most one of `reading` and `block` says where it comes from.
    """

    rank: int
    severity: int
    policy_id: str | None
    reason: str
    enforced: bool
    denies: bool
    rollout_mode: str | None
    retry_at: datetime | None
    rule: UsageRule | None = None
    reading: Reading | None = None
    block: BlockView | None = None
    finding: Finding | None = None


# Among what lets the call pass, an enforced warning says more than a refusal that is
# not enforced, and that more than a warning that is not enforced.
_WARNED, _WOULD_REFUSE, _WOULD_WARN = 2, 1, 0


def decide(
    *,
    call: Call,
    readings: Sequence[Reading],
    blocks: Sequence[BlockView],
    unpriced: Sequence[UsageRule] = (),
    findings: Sequence[Finding] = (),
    now: datetime,
) -> Decision:
    """Decide on a call from all readings of all policies that match it.

    Every reading is evaluated and listed, also when another one already refuses.
    `blocks` are live and cover the call; `unpriced` are the rules with a cost limit
    for whose call no price is known; `findings` are what was found in its content.
    `now` only words the message.
    """
    caller = call.caller
    costs: Mapping[str, int] | None = None
    policies: list[PolicyReading] = []
    refusals: list[int] = []
    outcomes: list[_Outcome] = []
    for index, reading in enumerate(readings):
        rule = reading.rule
        limit = reading.limit
        remaining = limit.threshold - reading.used - reading.held
        cost = reading.cost
        if cost is None:
            costs = costs or _costs(call.amounts)
            cost = costs[limit.metric]
        exceeded = remaining <= 0 or cost > remaining
        binding = rule.rollout_mode == "enforce" and (
            rule.rollout_percent >= 100
            or in_rollout(rule.policy_id, caller, rule.rollout_percent)
        )
        policies.append(_told(reading, remaining, exceeded=exceeded, binding=binding))
        if exceeded and rule.rollout_mode != "off":
            if binding and rule.actions.refuses:
                refusals.append(index)
            outcomes.append(_limit_outcome(reading, binding))
    if blocks:
        outcomes += [_block_outcome(block) for block in blocks]
    if unpriced:
        outcomes += _unpriced_outcomes(unpriced, caller)
    if findings:
        outcomes += [_finding_outcome(finding) for finding in findings]
    if call.bot_state != "active":
        outcomes.append(_state_outcome(call.bot_state))
    return _decision(outcomes, call, tuple(policies), tuple(refusals), now)


def over(reading: Reading, cost: int | None) -> bool:
    """Say whether a call of this cost is over the limit (B1).

    Exactly the remainder passes; an exhausted limit refuses even an unknown cost.
    """
    remaining = reading.remaining
    return remaining <= 0 or (cost or 0) > remaining


def retry_after(decision: Decision, now: datetime) -> int | None:
    """Return the whole seconds until a retry makes sense, rounded up and at least 1."""
    if decision.retry_at is None:
        return None
    return max(1, -((now - decision.retry_at) // _SECOND))


def _costs(amounts: Mapping[str, int | None]) -> Mapping[str, int]:
    return {
        "tokens": amount_of(amounts, "tokens") or 0,
        "input_tokens": amounts.get("input_tokens") or 0,
        "output_tokens": amounts.get("output_tokens") or 0,
        "messages": amounts.get("messages") or 0,
        "conversations": amounts.get("conversations") or 0,
        "calls": amounts.get("calls") or 0,
        "cost": amounts.get("cost") or 0,
    }


def _told(
    reading: Reading, remaining: int, *, exceeded: bool, binding: bool
) -> PolicyReading:
    rule, limit = reading.rule, reading.limit
    return PolicyReading(
        rule.policy_id,
        rule.revision,
        rule.actions.strongest,
        limit.metric,
        limit.threshold,
        reading.used,
        reading.held,
        max(0, remaining),
        reading.resets_at,
        exceeded,
        binding,
        limit.window,
        reading.subject,
    )


def _limit_outcome(reading: Reading, binding: bool) -> _Outcome:
    rule = reading.rule
    refuses = rule.actions.refuses
    if refuses:
        would = "throttled" if rule.actions.throttle else "limit_exceeded"
    else:
        would = "warned"
    return _policy_outcome(
        rule, would, binding, retry_at=reading.retry_at, reading=reading
    )


def _policy_outcome(
    rule: UsageRule,
    would: str,
    binding: bool,
    *,
    retry_at: datetime | None,
    reading: Reading | None,
) -> _Outcome:
    severity = SEVERITY[would]
    denies = would != "warned"
    if binding:
        rank = severity if denies else _WARNED
    else:
        rank = _WOULD_REFUSE if denies else _WOULD_WARN
    return _Outcome(
        rank=rank,
        severity=severity,
        policy_id=rule.policy_id,
        reason=would if binding else "warned",
        enforced=binding,
        denies=denies,
        rollout_mode=rule.rollout_mode,
        retry_at=retry_at,
        rule=rule,
        reading=reading,
    )


def _block_outcome(block: BlockView) -> _Outcome:
    would = "revoked" if block.kind == "revoke" else "blocked"
    severity = SEVERITY[would]
    mode = "enforce" if block.enforced else "shadow"
    return _Outcome(
        rank=severity if block.enforced else _WOULD_REFUSE,
        severity=severity,
        policy_id=block.policy_id,
        reason=would if block.enforced else "warned",
        enforced=block.enforced,
        denies=True,
        rollout_mode=None if block.policy_id is None else mode,
        retry_at=None if would == "revoked" else block.ends_at,
        block=block,
    )


def _unpriced_outcomes(rules: Sequence[UsageRule], caller: Caller) -> list[_Outcome]:
    outcomes = []
    for rule in rules:
        if rule.on_unpriced != "deny" or not rule.actions.refuses:
            continue
        if rule.rollout_mode == "off":
            continue
        binding = rule.rollout_mode == "enforce" and in_rollout(
            rule.policy_id, caller, rule.rollout_percent
        )
        outcomes.append(
            _policy_outcome(
                rule, "unpriced_model", binding, retry_at=None, reading=None
            )
        )
    return outcomes


def _finding_outcome(finding: Finding) -> _Outcome:
    severity = SEVERITY[finding.reason]
    if finding.enforced:
        rank = severity if finding.denies else _WARNED
    else:
        rank = _WOULD_REFUSE if finding.denies else _WOULD_WARN
    return _Outcome(
        rank=rank,
        severity=severity,
        policy_id=finding.policy_id,
        reason=finding.reason if finding.enforced else "warned",
        enforced=finding.enforced,
        denies=finding.denies,
        rollout_mode=finding.rollout_mode,
        retry_at=None,
        finding=finding,
    )


def _state_outcome(state: str) -> _Outcome:
    reason = "revoked" if state == "revoked" else "bot_disabled"
    severity = SEVERITY[reason]
    return _Outcome(
        rank=severity,
        severity=severity,
        policy_id=None,
        reason=reason,
        enforced=True,
        denies=True,
        rollout_mode=None,
        retry_at=None,
    )


def _decision(
    outcomes: list[_Outcome],
    call: Call,
    policies: tuple[PolicyReading, ...],
    refusals: tuple[int, ...],
    now: datetime,
) -> Decision:
    if not outcomes:
        text = "Within all limits" if policies else "No policy applies"
        return Decision(
            True, "allow", "ok", text, True, None, None, None, policies, refusals
        )
    first = min(outcomes, key=_precedence)
    refused = first.enforced and first.denies
    return Decision(
        allowed=not refused,
        decision="deny" if first.denies else "allow",
        reason_code=first.reason,
        message=_message(first, call, now),
        enforced=first.enforced,
        rollout_mode=first.rollout_mode,
        policy_id=first.policy_id,
        retry_at=_retry_at(outcomes, first.rank) if refused else None,
        policies=policies,
        refusals=refusals,
    )


def _precedence(outcome: _Outcome) -> tuple[int, int, bool, str, bool, float]:
    """Return a key by which the outcome that wins sorts first (C6).

    Then the policy's own readings: the one that is over for longest. A bot's state
    comes after a block of the same rank, which can say more.
    """
    retry_at = outcome.retry_at
    return (
        -outcome.rank,
        -outcome.severity,
        outcome.policy_id is None and outcome.block is None,
        outcome.policy_id or "",
        retry_at is not None,
        0.0 if retry_at is None else -retry_at.timestamp(),
    )


def _retry_at(outcomes: list[_Outcome], rank: int) -> datetime | None:
    """Return when the last of the refusals that won ends, None if one is unknown."""
    latest: datetime | None = None
    for outcome in outcomes:
        if outcome.rank != rank:
            continue
        if outcome.retry_at is None:
            return None
        if latest is None or outcome.retry_at > latest:
            latest = outcome.retry_at
    return latest


def _message(first: _Outcome, call: Call, now: datetime) -> str:
    lead = "" if first.enforced or not first.denies else "Would be refused: "
    if first.reading is not None:
        return lead + reading_message(first.reading, call, now)
    if first.block is not None:
        return lead + block_message(first.block, now)
    if first.finding is not None:
        text = PLAIN_MESSAGES[first.finding.reason]
        name = first.finding.name
        return f"{lead}{name}: {text}" if name else lead + text
    if first.rule is not None:
        return f"{lead}{first.rule.name}: no price is known for this model"
    return PLAIN_MESSAGES[first.reason]
