"""Readings as the pages draw them: each with its policy, its gauge and its subject."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.utils.translation import gettext

from accounts.models import Account, Bot
from dashboard import charts
from policies.models import Policy
from usage.selectors import CounterReading, readings

# Of each limit: a policy counted by user has a counter for everyone who calls.
OF_A_BOT = 12

Readings = Mapping[str, Sequence[CounterReading]]


@dataclass(frozen=True, slots=True)
class Dial:
    """One reading of a policy, ready to be drawn."""

    policy: Policy
    reading: CounterReading
    drawn: charts.Gauge
    subject: str

    @property
    def fullness(self) -> float:
        """Used and held as a share of the threshold: what the tightest is sorted by."""
        taken = self.reading.used + self.reading.held
        return taken / self.reading.threshold if self.reading.threshold else 1.0


def dials_of(policies: Iterable[Policy], now_read: Readings) -> list[Dial]:
    """Return the readings of some policies, the tightest first."""
    found = [
        _dial(policy, reading)
        for policy in policies
        for reading in now_read.get(policy.public_id, ())
    ]
    return sorted(found, key=lambda dial: dial.fullness, reverse=True)


def tightest(
    account: Account, policies: Sequence[Policy], now: datetime
) -> dict[str, Dial]:
    """Return the tightest reading of each policy, by the policy's public id."""
    read = readings(account=account, policies=list(policies), now=now, most=1)
    first: dict[str, Dial] = {}
    for dial in dials_of(policies, read):
        first.setdefault(dial.policy.public_id, dial)
    return first


def dials_for_bot(
    account: Account, bot: Bot, policies: Sequence[Policy], now: datetime
) -> list[Dial]:
    """Return the fullest readings that concern a bot, the tightest first."""
    read = readings(
        account=account, policies=policies, now=now, most=OF_A_BOT, bot=bot.public_id
    )
    return dials_of(policies, read)


def names_of(policy: Policy) -> dict[str, str]:
    """Return what people call the bot and the project that a policy is about."""
    rows = (policy.scope_bot, policy.scope_project)
    return {row.public_id: row.name for row in rows if row is not None}


def subject_text(
    subject: Iterable[Sequence[str | None]], names: Mapping[str, str]
) -> str:
    """Say whom a counter is about: `user u-1, model gpt-x`; empty for everyone."""
    return ", ".join(
        f"{gettext(str(field))} {names.get(value, value)}"
        if value
        else gettext("no %(field)s") % {"field": gettext(str(field))}
        for field, value in subject
    )


def _dial(policy: Policy, reading: CounterReading) -> Dial:
    drawn = charts.gauge(
        used=reading.used, held=reading.held, threshold=reading.threshold
    )
    return Dial(policy, reading, drawn, subject_text(reading.subject, names_of(policy)))
