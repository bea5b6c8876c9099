"""The text of API keys, and what scopes allow."""

import hashlib
import hmac
import re
import string
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts import keys

BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
PEPPER = b"a pepper for tests"

randoms = st.text(BASE62, min_size=30, max_size=30)


def slow_key(random: str) -> str:
    number = zlib.crc32(random.encode())
    digits = "".join(BASE62[number // 62**place % 62] for place in range(5, -1, -1))
    return f"phk_live_{random}{digits}"


def test_a_new_key_is_well_formed_and_found_by_a_scanner():
    text = keys.new_key_text()
    assert keys.well_formed(text)
    assert re.findall(keys.SCANNER_REGEX, f'key = "{text}"') == [text]


def test_new_keys_differ():
    assert len({keys.new_key_text() for _ in range(200)}) == 200


@given(randoms)
def test_the_checksum_is_the_crc_of_the_random_part(random):
    assert keys.well_formed(slow_key(random))


@given(randoms, st.integers(0, 35), st.sampled_from(BASE62))
def test_one_wrong_character_is_noticed(random, place, other):
    text = slow_key(random)
    at = len("phk_live_") + place
    changed = text[:at] + other + text[at + 1 :]
    assert keys.well_formed(changed) == (changed == text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "phk_live_",
        "phk_test_" + slow_key("a" * 30)[9:],
        slow_key("a" * 30)[:-1],
        slow_key("a" * 30) + "0",
        slow_key("a" * 30) + "\n",
        " " + slow_key("a" * 30),
        slow_key("a" * 30).upper(),
        "phk_live_" + "\u0661" * 36,
        "phk_live_" + "\ud800" * 36,
        "phk_live_" + "\0" * 36,
        None,
        slow_key("a" * 30).encode(),
    ],
)
def test_anything_else_is_not_a_key(text):
    assert not keys.well_formed(text)


def test_the_digest_is_a_keyed_hash_of_the_whole_text():
    text = slow_key("b" * 30)
    expected = hmac.new(PEPPER, text.encode(), hashlib.sha256).hexdigest()
    assert keys.digest(text, PEPPER) == expected
    assert keys.digest(text, b"another") != expected
    assert keys.digest(slow_key("c" * 30), PEPPER) != expected


def test_an_empty_pepper_is_refused():
    with pytest.raises(ValueError, match="pepper"):
        keys.digest(slow_key("b" * 30), b"")


def test_the_shown_parts_do_not_give_the_key_away():
    text = slow_key("abcdefgh" + "i" * 22)
    assert keys.key_prefix(text) == "phk_live_abcdefgh"
    assert keys.last4(text) == text[-4:]


@pytest.mark.parametrize(
    ("given_scopes", "expected"),
    [
        ([], ()),
        (["decide"], ("decide",)),
        (["usage:write", "decide", "decide"], ("decide", "usage:write")),
        (["*"], ("*",)),
        (["decide", "*"], ("*",)),
    ],
)
def test_scopes_are_put_in_order(given_scopes, expected):
    assert keys.parse_scopes(given_scopes) == expected


@pytest.mark.parametrize("wrong", ["decides", "usage", "usage:*", "**", None, 7])
def test_an_unknown_scope_is_named(wrong):
    with pytest.raises(ValueError, match=re.escape(str(wrong))):
        keys.parse_scopes(["decide", wrong])
    with pytest.raises(ValueError, match="unknown scope"):
        keys.parse_scopes(["*", wrong])


@given(st.sets(st.sampled_from(sorted(keys.SCOPES))))
def test_a_key_may_do_exactly_what_its_scopes_say(scopes):
    parsed = keys.parse_scopes(scopes)
    assert {scope for scope in keys.SCOPES if keys.allows(parsed, scope)} == scopes


def test_the_star_allows_everything():
    assert all(keys.allows(("*",), scope) for scope in keys.SCOPES)
