"""What a call costs: the account's own prices, else the maintained price library.

Costs are whole micro-USD, rounded up (CONTRACT A1, A3). The library is genai-prices.
"""

from collections.abc import Iterable
from datetime import datetime
from decimal import ROUND_CEILING, Decimal
from fractions import Fraction
from functools import lru_cache
from math import lcm
from typing import Any, NamedTuple

from policies.rules import MAX_INTEGER

_MILLION = 1_000_000


class Price(NamedTuple):
    """An account's own price in micro-USD per million tokens: split or one flat."""

    model: str
    input: int | None
    output: int | None
    total: int | None


class Quote(NamedTuple):
    """What a model costs, and who says so: `source` is account, library or None.

    Amounts are micro-USD per million tokens; `row` is the account's own price that
    holds, `tiered` says that the library asks more of longer calls.
    """

    source: str | None
    row: str | None = None
    input: int | None = None
    output: int | None = None
    total: int | None = None
    tiered: bool = False


class PriceList:
    """The prices that hold for one account."""

    def __init__(self, own: Iterable[Price]) -> None:
        rows = list(own)
        self._exact = {row.model: row for row in rows if not row.model.endswith("*")}
        # The longest pattern says most, so it is asked first.
        self._patterns = sorted(
            (row for row in rows if row.model.endswith("*")),
            key=lambda row: -len(row.model),
        )

    def cost(
        self,
        *,
        model: str | None,
        tokens: int | None,
        input_tokens: int | None,
        output_tokens: int | None,
        now: datetime,
    ) -> int | None:
        """Return the cost in micro-USD; None if there is no price or no amount.

        It is never above what an event may say of itself. Bare `tokens` are priced
        at the dearer of the input and the output price.
        """
        if model is None:
            return None
        if input_tokens is None and output_tokens is None:
            if tokens is None:
                return None
            both = (
                self._split(model, tokens, 0, now),
                self._split(model, 0, tokens, now),
            )
            return None if None in both else max(cost or 0 for cost in both)
        return self._split(model, input_tokens or 0, output_tokens or 0, now)

    def knows(self, model: str | None, now: datetime) -> bool:
        """Say whether the model has a price."""
        return model is not None and self._split(model, 1, 1, now) is not None

    def quote(self, model: str, now: datetime) -> Quote:
        """Return what a model costs now, and where that comes from."""
        own = self._own(model)
        if own is not None:
            return Quote("account", own.model, own.input, own.output, own.total)
        if not _listed(model):
            return Quote(None)
        rates = _rates(model, now.replace(second=0, microsecond=0))
        if rates is None:
            read = _ask_library(model, _MILLION, 0, now)
            written = _ask_library(model, 0, _MILLION, now)
            return Quote("library", input=read, output=written)
        return Quote(
            "library",
            input=_rounded_up(rates.input_at(1) * _MILLION),
            output=_rounded_up(rates.output_at(1) * _MILLION),
            tiered=len(rates.read) > 1 or len(rates.written) > 1,
        )

    def _split(self, model: str, read: int, written: int, now: datetime) -> int | None:
        own = self._own(model)
        if own is None:
            cost = _library_cost(model, read, written, now)
            return None if cost is None else min(cost, MAX_INTEGER)
        if own.total is not None:
            due = (read + written) * own.total
        else:
            due = read * (own.input or 0) + written * (own.output or 0)
        return min(-(-due // _MILLION), MAX_INTEGER)

    def _own(self, model: str) -> Price | None:
        exact = self._exact.get(model)
        if exact is not None:
            return exact
        for row in self._patterns:
            if model.startswith(row.model[:-1]):
                return row
        return None


def load() -> None:
    """Load the library's prices: 0.4 s and 20 MB, which no call should wait for."""
    _listed("gpt-4o")


def _library_cost(model: str, read: int, written: int, now: datetime) -> int | None:
    rates = _rates_now(model, now)
    if rates is None:
        return _ask_library(model, read, written, now) if _listed(model) else None
    if rates.flat is not None:
        due = read * rates.flat[0] + written * rates.flat[1]
        return -(-due // rates.flat[2])
    return _rounded_up(read * rates.input_at(read) + written * rates.output_at(read))


def _rounded_up(micros: Decimal) -> int:
    return int(micros.to_integral_value(rounding=ROUND_CEILING))


def _ask_library(model: str, read: int, written: int, now: datetime) -> int:
    # Loaded on first use: 0.4 s and 20 MB, which jobs and most pages never need.
    from genai_prices import Usage, calc_price

    usage = Usage(input_tokens=read, output_tokens=written)
    price = calc_price(usage, model_ref=model, genai_request_timestamp=now)
    return _rounded_up(Decimal(price.total_price) * _MILLION)


class _Rates(NamedTuple):
    """What the library asks for a token: micro-USD, by how many tokens are read.

    Each step is (more than so many tokens read, price); the first one starts below 0.
    """

    read: tuple[tuple[int, Decimal], ...]
    written: tuple[tuple[int, Decimal], ...]
    # Without steps, the same as whole numbers and what to divide them by.
    flat: tuple[int, int, int] | None = None

    def input_at(self, tokens: int) -> Decimal:
        return _step(self.read, tokens)

    def output_at(self, tokens: int) -> Decimal:
        return _step(self.written, tokens)


def _step(steps: tuple[tuple[int, Decimal], ...], tokens: int) -> Decimal:
    if len(steps) == 1:
        return steps[0][1]
    return next(price for start, price in reversed(steps) if tokens > start)


@lru_cache(maxsize=256)
def _rates_now(model: str, now: datetime) -> _Rates | None:
    """Return a model's rates; None if there are none or the library has to be asked.

    All calls of a batch ask at one moment.
    """
    if not _listed(model):
        return None
    # No price of the library changes within a minute.
    return _rates(model, now.replace(second=0, microsecond=0))


@lru_cache(maxsize=4096)
def _rates(model: str, now: datetime) -> _Rates | None:
    """Return a model's rates; None if the library has to be asked about each amount.

    It takes 0.2 ms a call, which is more than all the rest of a decision. Its rates
    are trusted where they give what it gives, on both sides of each step.
    """
    from genai_prices import Usage, calc_price

    usage = Usage(input_tokens=1, output_tokens=1)
    prices = calc_price(usage, model_ref=model, genai_request_timestamp=now).model_price
    read_at, written_at = _steps(prices.input_mtok), _steps(prices.output_mtok)
    rates = _Rates(read_at, written_at, _flat(read_at, written_at))
    starts = {max(start, 0) for start, _ in (*rates.read, *rates.written)}
    for start in starts:
        for read in (start, start + 1, start + 12_345):
            for written in (0, 54_321):
                due = read * rates.input_at(read) + written * rates.output_at(read)
                if _rounded_up(due) != _ask_library(model, read, written, now):
                    return None
    return rates


def _flat(
    read: tuple[tuple[int, Decimal], ...], written: tuple[tuple[int, Decimal], ...]
) -> tuple[int, int, int] | None:
    if len(read) > 1 or len(written) > 1:
        return None
    one, other = Fraction(read[0][1]), Fraction(written[0][1])
    whole = lcm(one.denominator, other.denominator)
    return int(one * whole), int(other * whole), whole


def _steps(price: Any) -> tuple[tuple[int, Decimal], ...]:
    """Read a price per million tokens: none, one, or one that rises in tiers."""
    if price is None or isinstance(price, Decimal | int):
        return ((-1, Decimal(price or 0)),)
    tiers = [(tier.start, Decimal(tier.price)) for tier in price.tiers]
    return ((-1, Decimal(price.base)), *tiers)


@lru_cache(maxsize=4096)
def _listed(model: str) -> bool:
    """Whether the library has the model: a miss costs it a long search."""
    from genai_prices import Usage, calc_price

    try:
        calc_price(Usage(input_tokens=1, output_tokens=1), model_ref=model)
    except LookupError:
        return False
    return True
