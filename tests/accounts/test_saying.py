"""What services say is English; pages and mails say it in the reader's language."""

import ast
import re

import pytest
from django.conf import settings
from django.utils import translation

from accounts.phrasebook import PHRASES
from accounts.saying import say

APPS = ("accounts", "alerts", "audit", "gateway", "policies", "retention", "usage")
FIELD = re.compile(r"%\(\w+\)s")
# Only programs meet these: no form or page leads to them.
FOR_PROGRAMS = {
    "Nothing that concerns this bot alone blocks it.",
    "must be usage",
}


def trees():
    for app in APPS:
        for path in (settings.BASE_DIR / app).rglob("*.py"):
            if path.name != "phrasebook.py" and "migrations" not in path.parts:
                yield ast.parse(path.read_text())


def constants(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def test_each_phrase_is_said_by_the_sources():
    said = "\n".join(text for tree in trees() for text in constants(tree))
    for phrase in PHRASES:
        # A sentence may be put together; its longest part is written in one piece.
        longest = max(re.split(rf"{FIELD.pattern}|: |\. ", phrase), key=len)
        words = longest.strip(" “”,.()").split(" ")
        pieces = {" ".join(words), " ".join(words[1:]), " ".join(words[-3:])}
        assert any(each and each in said for each in pieces), phrase


def refusals(tree):
    """Return what is said of a fault in one piece: `detail`, `problem`, `raise`."""
    for node in ast.walk(tree):
        found = None
        if isinstance(node, ast.Dict):
            pairs = zip(node.keys, node.values, strict=True)
            found = [
                value
                for key, value in pairs
                if isinstance(key, ast.Constant) and key.value == "detail"
            ]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            found = node.args[1:2] if node.func.attr == "problem" else []
        elif isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            name = getattr(node.exc.func, "id", "")
            found = node.exc.args[:1] if name in ("Conflict", "UnsafeUrl") else []
        for each in found or ():
            if isinstance(each, ast.Constant) and isinstance(each.value, str):
                yield each.value


def test_every_refusal_has_a_german_one():
    said = {text for tree in trees() for text in refusals(tree)} - FOR_PROGRAMS
    with translation.override("de"):
        assert sorted(text for text in said if say(text) == text) == []


@pytest.mark.parametrize(
    ("text", "german"),
    [
        (
            "Daily: cap: 1,000 of 1,000 tokens used, resets in 1 h 30 min",
            "Daily: cap: 1.000 von 1.000 Token verbraucht, beginnt neu in 1 h 30 min",
        ),
        (
            "Would be refused: Spend: $12.50 of $20 used, $3 held, this call needs $9",
            (
                "Würde abgelehnt: Spend: 12,50 $ von 20 $ verbraucht, 3 $ vorgemerkt,"
                " dieser Aufruf braucht 9 $"
            ),
        ),
        (
            "Blocked: Daily cap: 1 of 1 call used, ends in 2 d",
            "Gesperrt: Daily cap: 1 von 1 Aufruf verbraucht, endet in 2 d",
        ),
        (
            "ops@example.com has not confirmed yet, so the owners got it",
            "ops@example.com hat noch nicht zugestimmt, daher ging sie an die Inhaber",
        ),
        ("must have at most 200 characters", "darf höchstens 200 Zeichen haben"),
        ("Blocked by a person: Allowed", "Von einem Menschen gesperrt: Allowed"),
        ("What a policy is called, is its own affair", None),
        ("", None),
    ],
)
def test_what_is_known_is_said_anew(text, german):
    with translation.override("de"):
        assert say(text) == (german or text)
    with translation.override("en"):
        assert say(text) == text


def test_a_long_or_strange_text_stays():
    text = "a: " * 40_000 + "1 of 2 used"
    with translation.override("de"):
        assert say(text) == text
        assert say("100% %(done)s: 1 of 2 used") == "100% %(done)s: 1 von 2 verbraucht"
