"""Amounts and spans of time as people write them."""

from datetime import datetime, timedelta

from policies.money import MICROS

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def duration_text(seconds: int) -> str:
    """Return a span in its two largest units, rounded up: `1 h 30 min`."""
    for place, (size, unit) in enumerate(_UNITS[:-1]):
        if seconds < size:
            continue
        smaller, smaller_unit = _UNITS[place + 1]
        # Up, so that nobody who waits as long as told comes a moment early.
        parts = -(-seconds // smaller)
        whole, rest = divmod(parts, size // smaller)
        return f"{whole} {unit} {rest} {smaller_unit}" if rest else f"{whole} {unit}"
    return f"{seconds} s"


def amount_text(metric: str, amount: int) -> str:
    """Return an amount with its unit: `1,000 tokens`, `1 call`, `$12.50`."""
    if metric == "cost":
        return dollars(amount)
    return f"{amount:,} {unit_text(metric, amount)}"


def unit_text(metric: str, amount: int) -> str:
    """Return what an amount of a metric is called."""
    plural = metric.replace("_", " ")
    return plural[:-1] if amount == 1 else plural


def quantity_text(metric: str, amount: int) -> str:
    """Return an amount without its unit: `1,000`, `$12.50`."""
    return dollars(amount) if metric == "cost" else f"{amount:,}"


def used_text(metric: str, used: int, threshold: int) -> str:
    """Return `900 of 1,000 tokens used`, or `$12.50 of $20 used`."""
    unit = "" if metric == "cost" else f" {unit_text(metric, threshold)}"
    both = f"{quantity_text(metric, used)} of {quantity_text(metric, threshold)}"
    return f"{both}{unit} used"


def dollars(micros: int) -> str:
    """Return micro-dollars as `$20`, `$12.50` or `$0.000125`."""
    whole, rest = divmod(micros, MICROS)
    if not rest:
        return f"${whole:,}"
    places = f"{rest:06d}".rstrip("0").ljust(2, "0")
    return f"${whole:,}.{places}"


def span_until(moment: datetime, now: datetime) -> str:
    """Return how long it is until a moment, at least one second."""
    return duration_text(max(1, -((now - moment) // timedelta(seconds=1))))
