"""`RateLimit` fields of refusals (IETF draft ratelimit-headers-11)."""

from datetime import UTC, datetime

from api.rate_limits import rate_limit_headers

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)


def reading(metric="tokens", **fields):
    return {
        "policy_id": "pol_a",
        "metric": metric,
        "threshold": 1000,
        "remaining": 12,
        "resets_at": "2026-03-04T12:01:30.5Z",
        "exceeded": True,
    } | fields


def test_a_limit_says_how_much_is_left_and_until_when():
    assert rate_limit_headers([reading()], NOON) == [
        ("RateLimit-Policy", '"pol_a-tokens";q=1000'),
        ("RateLimit", '"pol_a-tokens";r=12;t=91'),
    ]


def test_limits_are_a_list_with_the_exceeded_first_and_names_of_their_own():
    readings = [
        reading(policy_id="pol_b", exceeded=False),
        reading(),
        reading(threshold=5000, resets_at=None),
        reading("cost", threshold="12.5", remaining="0"),
    ]

    assert dict(rate_limit_headers(readings, NOON)) == {
        "RateLimit-Policy": '"pol_a-tokens";q=1000, "pol_a-tokens-2";q=5000, '
        '"pol_a-cost";q=12500000;qu="micro-usd", "pol_b-tokens";q=1000',
        "RateLimit": '"pol_a-tokens";r=12;t=91, "pol_a-tokens-2";r=12, '
        '"pol_a-cost";r=0;t=91, "pol_b-tokens";r=12;t=91',
    }


def test_what_may_not_be_seen_is_not_told():
    assert rate_limit_headers([reading(remaining=None)], NOON) == []
    assert len(rate_limit_headers([reading()] * 30, NOON)[0][1].split(", ")) == 10
