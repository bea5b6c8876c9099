"""Requests a minute, calls at once, and who goes first when calls wait."""

import asyncio
from uuid import uuid4

import pytest

from gateway import limits
from gateway.limits import Minutes, Places, TooMany
from gateway.tokens import count, estimate, pieces

KEY, OTHER = uuid4(), uuid4()


def test_never_more_than_the_limit_in_any_sixty_seconds():
    minutes = Minutes({"standard": 600})
    passed = []
    for tick in range(3_000):
        now = 1_000 + tick / 10
        if minutes.take(KEY, "standard", now).allowed:
            passed.append(now)
    for start in passed:
        assert sum(start <= moment < start + 60 for moment in passed) <= 600


def test_what_a_refused_caller_is_told():
    minutes = Minutes({"standard": 2})
    first = minutes.take(KEY, "standard", 100.5)
    assert (first.allowed, first.remaining, first.reset, first.wait) == (True, 1, 60, 0)
    assert minutes.take(KEY, "standard", 110.0).allowed
    refused = minutes.take(KEY, "standard", 130.0)
    assert (refused.allowed, refused.remaining, refused.wait) == (False, 0, 30)
    assert dict(refused.headers())[b"x-ratelimit-reset-requests"] == b"40s"
    assert dict(first.headers())[b"x-ratelimit-reset-requests"] == b"1m0s"
    assert minutes.take(OTHER, "standard", 130.0).allowed
    assert minutes.take(KEY, "standard", 130.0 + refused.wait).allowed


async def test_the_better_plan_goes_first():
    places = Places(1)
    await places.take(KEY, "standard")
    served = []

    async def call(plan):
        key = uuid4()
        await places.take(key, plan)
        served.append(plan)
        places.leave(key)

    plans = ["standard", "plus", "standard", "enterprise", "plus"]
    waiting = [asyncio.create_task(call(plan)) for plan in plans]
    await asyncio.sleep(0)
    assert places.waiting == 5
    places.leave(KEY)
    await asyncio.gather(*waiting)
    assert served == ["enterprise", "plus", "plus", "standard", "standard"]
    await places.take(KEY, "standard")


async def test_nobody_waits_for_ever_and_no_place_is_lost(monkeypatch):
    monkeypatch.setattr(limits, "LONGEST_WAIT", 0.05)
    places = Places(1)
    await places.take(KEY, "plus")
    with pytest.raises(TooMany):
        await places.take(OTHER, "standard")
    gone = asyncio.create_task(places.take(OTHER, "standard"))
    await asyncio.sleep(0)
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    places.leave(KEY)
    await places.take(OTHER, "standard")


async def test_one_key_does_not_take_all_places(monkeypatch):
    monkeypatch.setitem(limits.AT_ONCE, "standard", 2)
    places = Places(10)
    for _ in range(2):
        await places.take(KEY, "standard")
    with pytest.raises(TooMany):
        await places.take(KEY, "standard")
    await places.take(OTHER, "standard")


def test_tokens_add_up():
    text = "Héllo, wonderful  world! ☃ 12345678\n"
    assert "".join(pieces(text)) == text
    assert count(text) == len(pieces(text)) == sum(count(p) for p in pieces(text))
    assert estimate("word " * 10_000) == 12_500
