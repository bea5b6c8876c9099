from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.rules import MAX_INTEGER, cost_to_micros, micros_to_cost


@pytest.mark.parametrize(
    ("value", "micros"),
    [
        ("0", 0),
        ("12.5", 12_500_000),
        ("12.500000", 12_500_000),
        ("0.0000010000", 1),
        ("007", 7_000_000),
        (20, 20_000_000),
        (0.1, 100_000),
        (1e-06, 1),
        (-0.0, 0),
        (Decimal("1E+3"), 1_000_000_000),
        (Decimal("0E-999999"), 0),
        ("9007199254.740991", MAX_INTEGER),
    ],
)
def test_costs_are_read_exactly(value, micros):
    assert cost_to_micros(value) == micros


@pytest.mark.parametrize(
    "value",
    [
        *["", " ", "1 ", "-1", "+1", "1e3", ".5", "5.", "1,000", "$5", "0x10", "NaN"],
        *["0.0000001", "9007199254.740992", "9" * 41, "٣", "１", "1\n"],
        *[-1, 2**53, 10**5000, True, None, [], {}],
        *[float("nan"), float("inf"), -0.5, 1e-07, 1e300],
        *[Decimal("sNaN"), Decimal("-Infinity"), Decimal("1E+999999")],
        *[Decimal("1E-999999"), Decimal(-1)],
    ],
    ids=lambda value: type(value).__name__,
)
def test_anything_else_is_not_a_cost(value):
    with pytest.raises(ValueError):
        cost_to_micros(value)


@given(st.integers(0, MAX_INTEGER))
def test_costs_survive_the_way_out_and_in(micros):
    text = micros_to_cost(micros)

    assert Fraction(text) == Fraction(micros, 1_000_000)
    assert cost_to_micros(text) == micros
    assert cost_to_micros(Decimal(text)) == micros
    assert "e" not in text.lower()
    assert "." not in text or not text.endswith("0")


def test_a_negative_remainder_can_be_written_too():
    assert micros_to_cost(-1_500_000) == "-1.5"
