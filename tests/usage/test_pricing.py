"""The price of a call is the price library's, whichever way it is worked out."""

import random
from datetime import UTC, datetime

from genai_prices.data import providers

from usage import pricing

NOW = datetime(2026, 11, 21, 5, 30, 17, tzinfo=UTC)


def test_rates_cost_what_the_library_asks():
    chance = random.Random(11)
    names = sorted({model.id for provider in providers for model in provider.models})
    listed = [name for name in names if pricing._listed(name)]
    assert len(listed) > 100
    for name in listed:
        for most in (10, 5_000, 2_000_000):
            read, written = chance.randrange(most), chance.randrange(most)
            asked = pricing._ask_library(name, read, written, NOW)
            assert pricing._library_cost(name, read, written, NOW) == asked


def test_tiers_change_the_price_of_all_tokens():
    cost = pricing.PriceList(()).cost
    prices = [
        cost(
            model="claude-sonnet-4-5",
            tokens=None,
            input_tokens=tokens,
            output_tokens=0,
            now=NOW,
        )
        for tokens in (200_000, 200_001)
    ]
    assert prices[1] > 1.5 * prices[0]
