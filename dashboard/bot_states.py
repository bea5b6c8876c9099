"""A bot's state as people see it: its own, paused (C3) or throttled (C2)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from accounts.models import Account, Bot
from dashboard.gauges import Dial
from policies.models import Block, Policy
from policies.selectors import bot_pauses, pause_among, rule_of
from usage.throttled import covers, throttled_bots, throttles

WORDS: Final = ("active", "paused", "throttled", "revoked", "disabled")


@dataclass(frozen=True, slots=True)
class State:
    """`word` is one of WORDS or archived; `block` what pauses, `policy` what throttles.

    A throttled bot's calls are refused as long as its limit is used up.
    """

    word: str
    block: Block | None = None
    policy: Policy | None = None

    @property
    def stops(self) -> bool:
        """Whether no call of the bot passes."""
        return self.word != "active"


def state_of(bot: Bot, pause: Block | None, throttle: Policy | None = None) -> State:
    """Return a bot's state; what a person has to undo comes before what ends."""
    if bot.archived_at is not None:
        return State("archived")
    if bot.state != Bot.State.ACTIVE:
        return State(bot.state, pause)
    if pause is not None:
        return State("paused", pause)
    return State("active") if throttle is None else State("throttled", policy=throttle)


def state_among(bot: Bot, blocks: Sequence[Block], dials: Sequence[Dial]) -> State:
    """Return a bot's state from its live blocks and its readings, without a query."""
    full = (
        dial.policy for dial in dials if dial.fullness >= 1 and _throttles(dial, bot)
    )
    return state_of(bot, pause_among(blocks), next(full, None))


def _throttles(dial: Dial, bot: Bot) -> bool:
    rule = rule_of(dial.policy)
    return throttles(rule) and covers(rule, dial.reading.subject, bot)


def states_of(
    account: Account, bots: Sequence[Bot], now: datetime
) -> dict[UUID, State]:
    """Return the states of several bots, by the bot's key."""
    pauses = bot_pauses(account, bots, now)
    throttled = throttled_bots(account, bots, now)
    return {
        bot.id: state_of(bot, pauses.get(bot.id), throttled.get(bot.id)) for bot in bots
    }
