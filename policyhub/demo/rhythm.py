"""What a bot would do in one hour: the same for the same seed, bot and hour.

Pure: no clock, no I/O. An hour depends on no other, so any hour can be made again.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

from policyhub.demo.story import DemoBot

HOUR = timedelta(hours=1)
# Conversations were recorded from the last month on, so few are due for pruning; a
# decision is kept 30 days, so older calls did not ask.
TALKING_DAYS = 29
ASKING_DAYS = 28
_EARLIER_TALKS = 0.08
_ASKS = 0.25
_SUNRISE = 0.3


@dataclass(frozen=True, slots=True)
class Moment:
    """One event of a bot. `asks`: the bot asks before it acts."""

    number: int
    at: datetime
    user: str | None
    model: str
    input_tokens: int
    output_tokens: int
    messages: int
    conversation: str | None
    asks: bool


def _office(moment: datetime) -> float:
    if moment.weekday() >= 5:
        return 0.06
    lunch = 0.55 if moment.hour == 12 else 1.0
    return lunch * math.exp(-(((moment.hour - 12.5) / 3.6) ** 2))


def _shop(moment: datetime) -> float:
    weekend = 1.35 if moment.weekday() >= 5 else 1.0
    evening = math.exp(-(((moment.hour - 19.5) / 3.0) ** 2))
    noon = 0.45 * math.exp(-(((moment.hour - 12.0) / 2.0) ** 2))
    return weekend * min(evening + noon, 1.0)


def _night(moment: datetime) -> float:
    return 1.0 if 1 <= moment.hour <= 3 else 0.0


def _steady(moment: datetime) -> float:
    return 0.65 + 0.35 * math.sin((moment.hour - 8) * math.pi / 12)


def _monday(moment: datetime) -> float:
    busy = moment.weekday() == 0 and 5 <= moment.hour <= 9
    return 1.0 if busy else 0.04


_RHYTHMS = {
    "office": _office,
    "shop": _shop,
    "night": _night,
    "steady": _steady,
    "monday": _monday,
}


def hour_of(
    bot: DemoBot, *, seed: int, start: datetime, end: datetime, hour: datetime
) -> Iterator[Moment]:
    """Yield what a bot does in the hour that begins at `hour`, in order of time.

    `start` and `end` bound the whole history: bots grow busier towards its end.
    """
    index = round((hour - start) / HOUR)
    # A seed for random play, not for anything secret.
    random = Random(f"{seed}:{bot.external_id}:{index}")  # noqa: S311
    count = _count(bot, random, hour, grown=(hour - start) / (end - start))
    offsets = sorted(random.uniform(1, 3_500) for _ in range(count))
    for number, offset in enumerate(offsets):
        moment = _moment(bot, random, number, hour + timedelta(seconds=offset), end)
        if moment.at < end:
            yield moment


def _count(bot: DemoBot, random: Random, hour: datetime, *, grown: float) -> int:
    busy = _RHYTHMS[bot.rhythm](hour)
    growth = _SUNRISE + (1 - _SUNRISE) * min(grown, 1.0)
    expected = bot.peak * busy * growth * random.uniform(0.6, 1.4)
    whole = int(expected)
    count = whole + (random.random() < expected - whole)
    # Somebody is always on the phone: no hour of the history is empty.
    return max(count, 1) if bot.rhythm == "steady" else count


def _moment(
    bot: DemoBot, random: Random, number: int, at: datetime, end: datetime
) -> Moment:
    user = _user(bot, random)
    read, written = (
        max(1, round(random.lognormvariate(math.log(usual), 0.45)))
        for usual in bot.tokens
    )
    share = bot.talks
    if end - at > timedelta(days=TALKING_DAYS):
        share *= _EARLIER_TALKS
    talks = random.random() < share
    asks = random.random() < _ASKS and end - at < timedelta(days=ASKING_DAYS)
    return Moment(
        number=number,
        at=at,
        user=user,
        model=random.choice(bot.models),
        input_tokens=read,
        output_tokens=written,
        messages=2 if user else 0,
        conversation=f"{bot.external_id}-{user}-{at:%Y%m%d}" if talks else None,
        asks=asks,
    )


def _user(bot: DemoBot, random: Random) -> str | None:
    if not bot.users:
        return None
    # A few people write a lot, most of them seldom.
    return f"u-{1000 + min(int(random.paretovariate(0.9)), bot.users)}"
