"""Every beginning of a match is a beginning; what no match begins with is none."""

import re

import pytest
import re2
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.prefixes import MAX_LENGTH, NotUnderstood, beginnings

PATTERNS = [
    "abc",
    "a(b|cd)+e",
    r"(?i)secret-\d{3,5}",
    "a*b?c{2}d{1,}",
    "(?P<x>foo|bar(baz)?)q",
    "x(?i:yZ)w",
    "^ab$",
    "a.*z",
    "(ab){2,3}c",
    r"\bcat\b|dog",
    "((a|b)c*)*d",
    "a{3}",
    "(a?b?)+x",
    "[]a]b",
    "a[^]]b",
    r"\d{1,3}(?:\.\d{1,3}){3}",
    r"[\w.%+-]{1,64}@(?:[\w-]{1,63}\.)+[a-z]{2,24}",
]


def _compile(pattern):
    options = re2.Options()
    options.log_errors = False
    return re2.compile(pattern, options=options)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_each_beginning_of_each_match_is_one(pattern):
    begun = _compile(f"(?:{beginnings(pattern)})")

    @settings(max_examples=60, deadline=None)
    @given(st.from_regex(re.compile(pattern, re.ASCII), fullmatch=True))
    def check(text):
        for end in range(len(text) + 1):
            assert begun.fullmatch(text[:end])

    check()


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("abc", ["", "a", "ab", "abc"], ["b", "abx", "abcd"]),
        (r"\Qa.b\E+c", ["a", "a.", "a.b", "a.bb", "a.bbc"], ["aXb", "ab"]),
        (r"[[:digit:]]{2}x|\p{Lu}\x41", ["1", "12", "12x", "B", "BA"], ["x", "b"]),
        ("a(?i)b|c", ["a", "aB", "C"], ["A", "Ab"]),
        (r"\bno\b", ["n", "no"], ["o"]),
        ("(?:ab){2,3}", ["a", "aba", "abab", "ababab"], ["ababa b", "abababa"]),
    ],
)
def test_what_is_a_beginning(pattern, yes, no):
    begun = _compile(f"(?:{beginnings(pattern)})")
    assert [text for text in yes if not begun.fullmatch(text)] == []
    assert [text for text in no if begun.fullmatch(text)] == []


@pytest.mark.parametrize("pattern", ["a(b", "a)b", "[a", "(?>a)b", "\\"])
def test_what_it_does_not_understand(pattern):
    with pytest.raises(NotUnderstood):
        beginnings(pattern)


def test_beginnings_may_be_only_so_long():
    assert len(beginnings("(?:a|" * 40 + "a" + "b)c" * 40)) <= MAX_LENGTH
    with pytest.raises(NotUnderstood):
        beginnings("|".join(["(?:a" + "b*" * 60 + ")*"] * 100))
    with pytest.raises(NotUnderstood):
        beginnings("(?:" * 101 + "a" + ")" * 101)
