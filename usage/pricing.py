"""What a call costs: the account's own prices, else the maintained price library.

Costs are whole micro-USD, rounded up (CONTRACT A1, A3). The library is genai-prices.
"""

from collections.abc import Iterable
from datetime import datetime
from decimal import ROUND_CEILING, Decimal
from functools import lru_cache
from typing import NamedTuple

from policies.rules import MAX_INTEGER

_MILLION = 1_000_000


class Price(NamedTuple):
    """An account's own price in micro-USD per million tokens: split or one flat."""

    model: str
    input: int | None
    output: int | None
    total: int | None


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


def _library_cost(model: str, read: int, written: int, now: datetime) -> int | None:
    if not _listed(model):
        return None
    # Loaded on first use: 0.4 s and 20 MB, which jobs and most pages never need.
    from genai_prices import Usage, calc_price

    usage = Usage(input_tokens=read, output_tokens=written)
    price = calc_price(usage, model_ref=model, genai_request_timestamp=now)
    micros = Decimal(price.total_price) * _MILLION
    return int(micros.to_integral_value(rounding=ROUND_CEILING))


@lru_cache(maxsize=4096)
def _listed(model: str) -> bool:
    """Whether the library has the model: a miss costs it a long search."""
    from genai_prices import Usage, calc_price

    try:
        calc_price(Usage(input_tokens=1, output_tokens=1), model_ref=model)
    except LookupError:
        return False
    return True
