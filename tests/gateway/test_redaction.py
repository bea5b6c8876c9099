"""What leaves a stream is what would leave it whole, without what is taken out (H4)."""

import json
import re

import pytest

from gateway.categories import DETECTORS
from gateway.detectors import TermsDetector, pattern
from gateway.redaction import Redactor, Rule
from policies.patterns import BadPattern
from tests.gateway.streams import case, faults, streamed, whole


def rule(*categories, deny=(), patterns=(), allow=(), key="pol"):
    seeks = [each for name in categories for each in DETECTORS[name]()]
    seeks += [pattern(f"denylist:{each}", each) for each in patterns]
    if deny:
        seeks.append(TermsDetector("denylist", dict(zip(deny, deny, strict=True))))
    return Rule(
        key,
        seeks,
        [TermsDetector("allowlist", dict(zip(allow, allow, strict=True)))]
        if allow
        else (),
    )


ALL = rule(*DETECTORS)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("mail bob@example.com, ok", "mail [redacted:email], ok"),
        ("ｂｏｂ＠example．com", "[redacted:email]"),
        ("b\u200bob@exam\u00adple.com", "[redacted:email]"),
        (r"bob\u0040example.com", "[redacted:email]"),
        (r"bob\\u0040example.com", "[redacted:email]"),
        ("+49 30 123456-78 now", "[redacted:phone] now"),
        ("(415) 555-2671, 415.555.2671", "[redacted:phone], [redacted:phone]"),
        ("4111 1111 1111 1111.", "[redacted:card]."),
        ("4111-1111-1111-1111", "[redacted:card]"),
        ("no 12 4111111111111111 5", "no 12 [redacted:card] 5"),
        ("٤١١١ ١١١١ ١١١١ ١١١١", "[redacted:card]"),
        ("DE89 3704 0044 0532 0130 00 ok", "[redacted:iban] ok"),
        ("gb82west12345698765432", "[redacted:iban]"),
        ("123-45-6789", "[redacted:national_id]"),
        ("PESEL 44051401359", "PESEL [redacted:national_id]"),
        ("at 192.168.0.1:80", "at [redacted:ip]:80"),
        ("[2001:db8::1]", "[[redacted:ip]]"),
        ("sk-proj-abcdefghij0123456789", "[redacted:secrets]"),
        ("password: hunter2hunter2", "[redacted:secrets]"),
        ("AKIAIOSFODNN7EXAMPLE", "[redacted:secrets]"),
    ],
)
def test_what_is_taken_out(text, left):
    assert whole([ALL], text) == left
    pieces, _ = streamed([ALL], text)
    assert "".join(pieces) == left


@pytest.mark.parametrize(
    "text",
    [
        "at 12:30:45 on 2024-10-11 we had 1,234 items for 19.99",
        "version 1.2.3, std::vector<int>, a@b, 4111 1111 1111 1112",
        "DE88 1111 1111 1111 1111 12 and 999.1.1.1",
        "order 20241011103000, id 550e8400-e29b-41d4-a716-446655440000",
        "naïve café, “quotes” – and emoji 👩‍👩‍👧 stay as they are",
        r"C:\new\table and a lone \u12 escape \ud83d end" + "\\",
    ],
)
def test_what_stays(text):
    assert whole([ALL], text) == text
    assert "".join(streamed([ALL], text)[0]) == text


def test_text_leaves_as_soon_as_it_can_be_no_match():
    """A digit may begin a card, a letter an address; a sign ends both."""
    pieces, _ = streamed([rule("card")], ["Hello", " world 4", "2", " is", " it"])
    assert pieces == ["Hello", " world ", "", "42 is", " it", ""]
    pieces, _ = streamed([rule("email")], ["Hi ", "there, ", "Bob", "."])
    assert pieces[:2] == ["Hi ", "there, "]
    pieces, _ = streamed([rule(deny=["falcon"])], ["fly fal", "low"])
    assert pieces == ["fly ", "fallow", ""]


@pytest.mark.parametrize("source", ["foo.*bar", r"a[^b]*b", "(?s)x.*"])
def test_what_is_held_back_is_bounded(source):
    redactor = Redactor([rule(patterns=[source])])
    held = 0
    for _ in range(300):
        redactor.feed("foo a x " * 4)
        held = max(held, redactor.held)
    assert held < 1_200


def test_a_bare_number_in_arguments_stays_json():
    text = '{"card": 4111111111111111, "note": "4111111111111111 \\" x"}'
    left = whole([rule("card")], text, source=True)
    assert json.loads(left) == {
        "card": "[redacted:card]",
        "note": '[redacted:card] " x',
    }


def test_what_is_allowed_stays_and_is_counted():
    rules = [rule("email", deny=["acme"], allow=["support@example.com"])]
    redactor = Redactor(rules)
    text = "support@example.com, bob@example.com, ACME acme"
    left = redactor.feed(text) + redactor.close()
    assert left == "support@example.com, [redacted:email], [redacted] [redacted]"
    assert redactor.hits == {("pol", "category:email"): 1, ("pol", "denylist:acme"): 2}
    assert redactor.spared == {("pol", "allowlist:support@example.com"): 1}


def test_one_policy_allows_only_for_itself():
    strict, lenient = rule("email"), rule("ip", allow=["bob@example.com"], key="b")
    assert whole([strict, lenient], "bob@example.com") == "[redacted:email]"


def test_overlapping_finds_leave_nothing_between():
    assert whole([rule(deny=["abc", "cde", "xaby"])], "1abcde2 xabyc") == (
        "1[redacted]2 [redacted]c"
    )


@pytest.mark.parametrize(
    "source", [r"ab+", r"(?i)secret-\d+", r"\bno\b", "a|ab|abc", r"\d{2,4}x?"]
)
def test_a_pattern_finds_what_a_plain_search_finds(source):
    for number in range(200):
        _, text, _, chunks = case(number)
        plain = re.sub(r"[^ -~]|\\", " ", text) + " abbb secret-12 no 123x"
        expected = re.sub(source, "[redacted]", plain, flags=re.ASCII)
        assert whole([rule(patterns=[source])], plain) == expected
        pieces, _ = streamed([rule(patterns=[source])], re.findall("(?s).{1,3}", plain))
        assert "".join(pieces) == expected, chunks


def test_a_term_nobody_can_see_is_refused():
    with pytest.raises(BadPattern):
        TermsDetector("denylist", {"a": "ok", "b": "\u200b "})


@pytest.mark.parametrize("first", range(0, 600, 100))
def test_cuts_change_nothing_and_nothing_leaks(first):
    found = [fault for number in range(first, first + 100) for fault in faults(number)]
    assert found == []
