"""`RateLimit` and `RateLimit-Policy` of a refusal (IETF draft ratelimit-headers-11).

Pure: translates a decision as it is answered. What the caller may not see (CONTRACT
G7) is null there, and is not told here.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from policies.rules import cost_to_micros

_MOST: Final = 10


def rate_limit_headers(
    policies: Iterable[Mapping[str, Any]], now: datetime
) -> list[tuple[str, str]]:
    """Return the headers for the readings of a decision; none if nothing can be told.

    A limit is named by its policy and metric, the tightest first. Cost is told in
    micro-dollars, for the fields take whole numbers only.
    """
    told = [each for each in policies if each["remaining"] is not None]
    told.sort(key=lambda each: not each["exceeded"])
    names: dict[str, int] = {}
    quotas, rates = [], []
    for each in told[:_MOST]:
        name = f"{each['policy_id']}-{each['metric']}"
        names[name] = names.get(name, 0) + 1
        if names[name] > 1:
            name = f"{name}-{names[name]}"
        unit = ';qu="micro-usd"' if each["metric"] == "cost" else ""
        quotas.append(f'"{name}";q={_whole(each, "threshold")}{unit}')
        rate = f'"{name}";r={_whole(each, "remaining")}'
        rates.append(rate + _resets(each["resets_at"], now))
    if not rates:
        return []
    return [
        ("RateLimit-Policy", ", ".join(quotas)),
        ("RateLimit", ", ".join(rates)),
    ]


def _whole(reading: Mapping[str, Any], name: str) -> int:
    value = reading[name]
    return cost_to_micros(value) if reading["metric"] == "cost" else int(value)


def _resets(moment: str | None, now: datetime) -> str:
    if moment is None:
        return ""
    seconds = (datetime.fromisoformat(moment) - now).total_seconds()
    return f";t={max(0, -int(-seconds // 1))}"
