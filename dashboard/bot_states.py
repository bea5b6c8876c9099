"""A bot's state as people see it: its own, or paused by a block (CONTRACT C3)."""

from dataclasses import dataclass

from accounts.models import Bot
from policies.models import Block


@dataclass(frozen=True, slots=True)
class State:
    """`word` is active, paused, disabled, revoked or archived; `block` what pauses."""

    word: str
    block: Block | None = None

    @property
    def stops(self) -> bool:
        """Whether no call of the bot passes."""
        return self.word != "active"


def state_of(bot: Bot, pause: Block | None) -> State:
    """Return a bot's state; what a person has to undo comes before what ends."""
    if bot.archived_at is not None:
        return State("archived")
    if bot.state != Bot.State.ACTIVE:
        return State(bot.state, pause)
    return State("paused", pause) if pause is not None else State("active")
