"""Which entries of a list are patterns, and which of them are refused."""

import pytest

from accounts.errors import InvalidBody
from policies.patterns import BadPattern, compiled, entry, refuse_bad_patterns


@pytest.mark.parametrize(
    "written",
    [
        r"proj-\d+",
        "secret[0-9]",
        "(?i)falcon",
        "top.*secret",
        "(ab)+c",
        "^start",
        "end$",
        r"\bword\b",
        "x{3}",
        "(alpha|beta)",
    ],
)
def test_an_entry_that_uses_the_syntax_is_a_pattern(written):
    assert entry(written) == (written, True)


@pytest.mark.parametrize(
    "written",
    ["falcon", "C++", "a.b", "What?", "100 %", "example.com", "(draft)", "a|b", "5$ x"],
)
def test_any_other_entry_is_a_phrase(written):
    assert entry(written) == (written, False)


def test_an_entry_can_say_what_it_is():
    assert entry("re:a.b") == ("a.b", True)
    assert entry(r"term:\d") == (r"\d", False)


@pytest.mark.parametrize(
    "source", [r"(?<=a)b", r"(a)\1", "a{1001}", "(", "a*", r"\b", "x" * 10 + "[a"]
)
def test_a_pattern_that_is_refused(source):
    with pytest.raises(BadPattern):
        compiled(source)


def test_each_bad_entry_is_pointed_at():
    lists = {"allowlist": ["re:("], "denylist": ["ok", r"(?=x)y", "term: "]}
    with pytest.raises(InvalidBody) as refusal:
        refuse_bad_patterns({"type": "content", "content": lists})
    assert [each["pointer"] for each in refusal.value.errors] == [
        "/content/allowlist/0",
        "/content/denylist/1",
        "/content/denylist/2",
    ]
    refuse_bad_patterns({"type": "usage"})
