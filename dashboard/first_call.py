"""A call as a bot makes it, for somebody who has none at hand: asked, held, reported.

It goes through the one door and counts like any other; the decision is tagged and the
event bears a source of its own, so that both can be told from real ones.
"""

from datetime import datetime
from typing import Final

from accounts.models import Account, Bot
from usage import ledger
from usage.entries import CallIn, EventIn, Gate

SOURCE: Final = "simulated"
MODEL: Final = "gpt-4o-mini"
INPUT_TOKENS, OUTPUT_TOKENS = 320, 100


def simulate(*, account: Account, bot: Bot, now: datetime) -> str:
    """Make one call of a bot; return why it was refused, empty if it was not.

    Raises what makes the ledger refuse to decide, such as an estimate that lacks what
    a policy needs.
    """
    call = CallIn(
        bot=bot.public_id,
        user=SOURCE,
        model=MODEL,
        estimate={"input_tokens": INPUT_TOKENS, "output_tokens": OUTPUT_TOKENS},
        reserve=True,
        gate=Gate(tags={"source": SOURCE}),
    )
    decision = ledger.authorize(account=account, call=call, now=now).body or {}
    if not decision["allowed"]:
        return str(decision["message"])
    held = decision["reservation"]
    event = EventIn(
        bot=bot.public_id,
        user=SOURCE,
        model=MODEL,
        input_tokens=INPUT_TOKENS,
        output_tokens=OUTPUT_TOKENS,
        reservation=None if held is None else held["id"],
        source=SOURCE,
    )
    (result,) = ledger.record_events(account=account, events=[event], now=now)
    if result.error is not None:
        raise result.error
    return ""
