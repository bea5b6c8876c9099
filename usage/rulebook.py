"""What one process remembers of an account's rules, and for how long.

A book holds what was true at one `version` of its account. Every edit that matters
bumps the version under the account's exclusive lock, and a batch compares versions
under the shared one: a stale book is thrown away before anything is decided by it
(CONTRACT C9).
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any
from uuid import UUID

import msgspec

from accounts import ids
from policies.covers import cover_of_bot, cover_of_policy
from policies.decision import BlockView, holds_required
from policies.matching import (
    Caller,
    Subject,
    enforced,
    matches,
    subject_key,
    subject_of,
)
from policies.rules import UsageRule, usage_rule
from usage.entries import ReservationInfo
from usage.pricing import Price, PriceList

NEVER = datetime.min.replace(tzinfo=UTC)
_MATCHES_KEPT = 5_000
_COUNTERS_KEPT = 200_000
# With their holds some 2 KB each; what is forgotten is read again when it settles.
_RESERVATIONS_KEPT = 8_000


@dataclass(frozen=True, slots=True)
class BotInfo:
    """A bot as the ledger needs it; `state` is active, disabled or revoked."""

    id: UUID
    public_id: str
    external_id: str | None
    name: str
    project_id: UUID | None
    owner: str | None
    state: str
    cover: UUID
    # The project's public id, if it has one.
    project: str | None = None


@dataclass(frozen=True, slots=True)
class KeyInfo:
    """Whether a key may be used, as of the book's version."""

    id: UUID
    expires_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class LiveRule:
    """A usage policy that is not off; one without a project is everybody's (G7)."""

    policy_id: UUID
    project_id: UUID | None
    rule: UsageRule


@dataclass(frozen=True, slots=True)
class Match:
    """One policy that a call falls under, with the subject it counts for."""

    rule: UsageRule
    policy_id: UUID
    subject: Subject
    subject_key: str
    cover: UUID | None
    enforced: bool
    shared: bool
    # What an enforced hold has to say of a reserving call (B6), and whether it costs.
    held_metrics: tuple[str, ...] = ()
    has_cost: bool = False
    # The places where it counts now, by limit: worked out once a window.
    latest: dict[str, Any] = field(default_factory=dict, compare=False)


@dataclass
class Book:
    """An account's compiled rules at one version."""

    account_id: UUID
    version: int
    # When a batch last saw that this version is the current one.
    verified_at: datetime = NEVER
    rules: list[LiveRule] = field(default_factory=list)
    prices: PriceList = field(default_factory=lambda: PriceList(()))
    bots: dict[str, BotInfo | None] = field(default_factory=dict)
    keys: dict[UUID, KeyInfo | None] = field(default_factory=dict)
    _matches: dict[Caller, tuple[Match, ...]] = field(default_factory=dict)
    # What is worked out once for all calls of a bot, user and model.
    plans: dict[tuple[str, str | None, str | None], Any] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)
    # Callers share what they match: there are fewer subjects than callers.
    _shared: dict[tuple[UUID, Subject, bool], Match] = field(default_factory=dict)

    @cached_property
    def name(self) -> str:
        """The account's id as text."""
        return str(self.account_id)

    def matches(self, caller: Caller) -> tuple[Match, ...]:
        """Return every live usage policy that the caller falls under, by policy id."""
        found = self._matches.get(caller)
        if found is None:
            if len(self._matches) >= _MATCHES_KEPT:
                self._matches.clear()
            found = tuple(
                [
                    self._match(live, caller)
                    for live in self.rules
                    if matches(live.rule.scope, caller)
                ]
            )
            self._matches[caller] = found
        return found

    def _match(self, live: LiveRule, caller: Caller) -> Match:
        subject = subject_of(live.rule.group_by, caller)
        key = (live.policy_id, subject, enforced(live.rule, caller))
        found = self._shared.get(key)
        if found is None:
            if len(self._shared) >= _MATCHES_KEPT:
                self._shared.clear()
            found = self._shared[key] = _match(live, caller, subject)
        return found

    def match_for(self, policy: str, caller: Caller, subject: Subject) -> Match | None:
        """Return what a live policy is to a subject that it counted before."""
        for live in self.rules:
            if live.rule.policy_id == policy:
                return _match(live, caller, subject)
        return None

    def add_bots(self, rows: Iterable[Sequence[Any]]) -> None:
        """Remember bots that were read: columns of `statements.BOTS`."""
        for row in rows:
            bot_id, _, external_id, name, project_id, owner, state = row
            public_id = ids.encode_id("bot", bot_id)
            info = BotInfo(
                bot_id,
                public_id,
                external_id,
                name,
                project_id,
                owner,
                state,
                cover_of_bot(bot_id),
                ids.encode_id("prj", project_id) if project_id else None,
            )
            self.bots[public_id] = info
            if external_id is not None:
                self.bots[external_id] = info


def _match(live: LiveRule, caller: Caller, subject: Subject) -> Match:
    rule, policy_id = live.rule, live.policy_id
    key = subject_key(subject)
    blocks = rule.actions.block is not None
    return Match(
        rule=rule,
        policy_id=policy_id,
        subject=subject,
        subject_key=key,
        cover=cover_of_policy(policy_id, key) if blocks else None,
        enforced=enforced(rule, caller),
        shared=live.project_id is None,
        held_metrics=tuple(holds_required(rule, {})),
        has_cost=any(limit.metric == "cost" for limit in rule.limits),
    )


_read_moments = msgspec.json.Decoder(dict[str, datetime]).decode


class Rulebooks:
    """The books of one process, by account."""

    def __init__(self) -> None:
        self._books: dict[UUID, Book] = {}
        # Counters that exist: they are never deleted while their window can be
        # charged, so they need not be inserted again before they are locked.
        self.known_counters: set[str] = set()
        # What this process reserved, by account and id: it never changes.
        self.reservations: OrderedDict[tuple[UUID, UUID], ReservationInfo] = (
            OrderedDict()
        )

        # The live blocks by cover, as a batch last saw them: only for calls that may
        # pass without a database (CONTRACT C10).
        self.blocks: dict[UUID, list[BlockView]] = {}

    def remember_blocks(
        self, covers: Iterable[UUID], blocks: Mapping[UUID, list[BlockView]]
    ) -> None:
        """Remember what a batch found for the covers that it read."""
        if not self.blocks and not blocks:
            return
        for cover in covers:
            if cover in blocks:
                self.blocks[cover] = blocks[cover]
            else:
                self.blocks.pop(cover, None)

    def tidy(self) -> None:
        """Keep what is only remembered for speed within bounds."""
        if len(self.known_counters) > _COUNTERS_KEPT:
            self.known_counters.clear()
        while len(self.reservations) > _RESERVATIONS_KEPT:
            self.reservations.popitem(last=False)

    def get(self, account_id: UUID) -> Book | None:
        """Return the book of an account if there is one."""
        return self._books.get(account_id)

    def forget(self, book: Book) -> None:
        """Throw a stale book away, unless a newer one has taken its place."""
        if self._books.get(book.account_id) is book:
            self._books.pop(book.account_id, None)

    def open(
        self,
        *,
        versions: Mapping[UUID, int],
        policies: Iterable[Sequence[Any]],
        prices: Iterable[Sequence[Any]],
        now: datetime,
    ) -> dict[UUID, Book]:
        """Make new books from rows of `statements.POLICIES` and `PRICES`."""
        rules: dict[UUID, list[LiveRule]] = {a: [] for a in versions}
        for policy_id, account_id, project_id, revision, document, since in policies:
            rule = usage_rule(
                policy_id=ids.encode_id("pol", policy_id),
                revision=revision,
                document=msgspec.json.decode(document),
                counting_since=_read_moments(since),
            )
            rules[account_id].append(LiveRule(policy_id, project_id, rule))
        own: dict[UUID, list[Price]] = {a: [] for a in versions}
        for account_id, model, read, written, total in prices:
            own[account_id].append(Price(model, read, written, total))
        opened = {
            account_id: Book(
                account_id=account_id,
                version=version,
                verified_at=now,
                rules=rules[account_id],
                prices=PriceList(own[account_id]),
            )
            for account_id, version in versions.items()
        }
        self._books |= opened
        return opened
