"""Content policies at work on one call: what they find, and what follows (H4, C7).

A policy that redacts or denies, and is enforced for this caller, acts: its finds never
leave. One that only warns, or is in shadow or not rolled out to this caller, watches
the same text without holding anything back.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

from gateway.categories import DETECTORS
from gateway.detectors import TermsDetector, folded, pattern
from gateway.metrics import REDACTIONS
from gateway.redaction import Detector, Redactor, Rule
from policies.matching import Caller, in_rollout, matches
from policies.patterns import entry
from policies.rules import Scope

# How many policies stay compiled; one takes about 50 KB, long lists more.
KEPT: Final = 512


@dataclass(frozen=True, slots=True)
class ContentPolicy:
    """A content policy's revision, compiled for looking."""

    policy_id: str
    revision: int
    name: str
    scope: Scope
    rollout_mode: str
    rollout_percent: int
    direction: str
    action: str
    rule: Rule


@dataclass(slots=True)
class Findings:
    """What the policies found in one direction of one call; no text of it.

    `denied` and `redacted` name the enforced policies that did so; `policies` names
    every policy with a find, and whether it is enforced.
    """

    categories: set[str] = field(default_factory=set)
    denylist_hits: set[str] = field(default_factory=set)
    allowlist_hits: set[str] = field(default_factory=set)
    policies: dict[str, bool] = field(default_factory=dict)
    denied: ContentPolicy | None = None
    redacted: ContentPolicy | None = None


class Screen:
    """The content policies that look at one direction of one call.

    Each text (a choice's content, a tool call's arguments) is screened by a stream of
    its own; what all of them found is in `findings`.
    """

    def __init__(
        self, policies: Sequence[ContentPolicy], caller: Caller, direction: str
    ) -> None:
        wanted = [
            each
            for each in policies
            if each.rollout_mode != "off"
            and each.direction in (direction, "both")
            and matches(each.scope, caller)
        ]
        self._by_key = {each.policy_id: each for each in wanted}
        acting = {
            each.policy_id
            for each in wanted
            if each.action != "warn" and _is_enforced(each, caller)
        }
        self._enforced = {
            each.policy_id for each in wanted if _is_enforced(each, caller)
        }
        self._acting = [each.rule for each in wanted if each.policy_id in acting]
        self._watching = [each.rule for each in wanted if each.policy_id not in acting]
        self._direction = direction
        self.findings = Findings()

    def __bool__(self) -> bool:
        return bool(self._by_key)

    @property
    def denied(self) -> ContentPolicy | None:
        """The enforced policy that refuses what has been seen so far."""
        return self.findings.denied

    def stream(self, *, source: bool = False) -> "ScreenedText":
        """Begin another text; `source` if it is JSON source."""
        return ScreenedText(self, self._acting, self._watching, source=source)

    def whole(self, text: str, *, source: bool = False) -> str:
        """Return a whole text without what is taken out of it."""
        stream = self.stream(source=source)
        return stream.feed(text) + stream.close()

    def note(self, redactor: Redactor) -> None:
        """Take over what a text's redactor has found by now, and forget it there."""
        for (key, label), count in redactor.hits.items():
            self._note_hit(self._by_key[key], label, count)
        for _, label in redactor.spared:
            self.findings.allowlist_hits.add(label.partition(":")[2])
        redactor.hits.clear()
        redactor.spared.clear()

    def _note_hit(self, policy: ContentPolicy, label: str, count: int) -> None:
        found = self.findings
        kind, _, name = label.partition(":")
        (found.categories if kind == "category" else found.denylist_hits).add(name)
        is_enforced = policy.policy_id in self._enforced
        found.policies[policy.policy_id] = is_enforced
        if is_enforced and policy.action == "deny":
            found.denied = found.denied or policy
        elif is_enforced and policy.action == "redact":
            found.redacted = found.redacted or policy
            category = name if kind == "category" else kind
            REDACTIONS.labels(self._direction, category).inc(count)


class ScreenedText:
    """One text on its way: give it chunks, pass on what comes back.

    Once the screen's `denied` is set, nothing more of the call may be passed on.
    """

    def __init__(
        self,
        screen: Screen,
        acting: Sequence[Rule],
        watching: Sequence[Rule],
        *,
        source: bool,
    ) -> None:
        self._screen = screen
        self._acting = Redactor(acting, source=source) if acting else None
        self._watching = Redactor(watching) if watching else None

    def feed(self, text: str) -> str:
        """Return what may leave now."""
        if self._watching is not None:
            self._watching.feed(text)
            self._told(self._watching)
        if self._acting is None:
            return text
        left = self._acting.feed(text)
        self._told(self._acting)
        return left

    def close(self) -> str:
        """Return the rest: the text has ended."""
        if self._watching is not None:
            self._watching.close()
            self._told(self._watching)
        if self._acting is None:
            return ""
        left = self._acting.close()
        self._told(self._acting)
        return left

    def _told(self, redactor: Redactor) -> None:
        if redactor.hits or redactor.spared:
            self._screen.note(redactor)


def content_policy(
    *, policy_id: str, revision: int, document: Mapping[str, Any]
) -> ContentPolicy:
    """Return a canonical content document compiled; a revision is compiled once."""
    content = document["content"]
    rule = _rule(
        policy_id,
        revision,
        tuple(content["categories"]),
        tuple(content["denylist"]),
        tuple(content["allowlist"]),
    )
    return ContentPolicy(
        policy_id=policy_id,
        revision=revision,
        name=document["name"],
        scope=Scope(**document["scope"]),
        rollout_mode=document["rollout_mode"],
        rollout_percent=document.get("rollout_percent", 100),
        direction=content["direction"],
        action=content["action"],
        rule=rule,
    )


@lru_cache(maxsize=KEPT)
def _rule(
    policy_id: str,
    revision: int,
    categories: tuple[str, ...],
    denylist: tuple[str, ...],
    allowlist: tuple[str, ...],
) -> Rule:
    seeks = [each for name in categories for each in DETECTORS[name]()]
    return Rule(
        key=policy_id,
        seeks=(*seeks, *_listed("denylist", denylist)),
        spares=_listed("allowlist", allowlist),
    )


def _listed(kind: str, written: Sequence[str]) -> tuple[Detector, ...]:
    """Return what looks for a list's entries; hits are named as they were written."""
    entries = [(each, *entry(each)) for each in written]
    phrases = {
        name: text
        for name, text, is_pattern in entries
        if not is_pattern and folded(text).strip()
    }
    found: list[Detector] = []
    if phrases:
        found.append(TermsDetector(kind, phrases))
    for name, text, is_pattern in entries:
        if is_pattern:
            found.append(pattern(f"{kind}:{name}", text))
    return tuple(found)


def _is_enforced(policy: ContentPolicy, caller: Caller) -> bool:
    return policy.rollout_mode == "enforce" and in_rollout(
        policy.policy_id, caller, policy.rollout_percent
    )
