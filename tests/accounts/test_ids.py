"""Public ids are UUIDv7 with one spelling each."""

import uuid
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.ids import (
    ALPHABET,
    PREFIXES,
    InvalidId,
    decode_id,
    encode_id,
    first_id_at,
    new_id,
    time_of,
)

NOW = datetime(2026, 11, 21, 4, 10, 5, 123_999, tzinfo=UTC)

moments = st.datetimes(
    min_value=datetime(1970, 1, 1),
    max_value=datetime(9999, 12, 31),
    timezones=st.just(UTC),
)


def slow_encode(value: uuid.UUID) -> str:
    bits = f"{value.int:0130b}"
    return "".join(ALPHABET[int(bits[i : i + 5], 2)] for i in range(0, 130, 5))


# From the published test vectors of the TypeID specification (valid.yml).
@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("00000000000000000000000000", "00000000-0000-0000-0000-000000000000"),
        ("00000000000000000000000001", "00000000-0000-0000-0000-000000000001"),
        ("0000000000000000000000000a", "00000000-0000-0000-0000-00000000000a"),
        ("0000000000000000000000000g", "00000000-0000-0000-0000-000000000010"),
        ("00000000000000000000000010", "00000000-0000-0000-0000-000000000020"),
        ("7zzzzzzzzzzzzzzzzzzzzzzzzz", "ffffffff-ffff-ffff-ffff-ffffffffffff"),
        ("0123456789abcdefghjkmnpqrs", "0110c853-1d09-52d8-d73e-1194e95b5f19"),
        ("01h455vb4pex5vsknk084sn02q", "01890a5d-ac96-774b-bcce-b302099a8057"),
    ],
)
def test_known_ids_read_both_ways(text, value):
    assert encode_id("bot", uuid.UUID(value)) == f"bot_{text}"
    assert decode_id("bot", f"bot_{text}") == uuid.UUID(value)


@given(st.uuids(), st.sampled_from(sorted(PREFIXES.values())))
def test_every_uuid_comes_back(value, prefix):
    text = encode_id(prefix, value)
    assert text == f"{prefix}_{slow_encode(value)}"
    assert decode_id(prefix, text) == value


@given(st.uuids(), st.uuids())
def test_text_sorts_like_the_uuid(one, other):
    assert (encode_id("evt", one) < encode_id("evt", other)) == (one < other)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "bot",
        "bot_",
        "key_01h455vb4pex5vsknk084sn02q",
        "01h455vb4pex5vsknk084sn02q",
        "bot_01h455vb4pex5vsknk084sn02",
        "bot_01h455vb4pex5vsknk084sn02q0",
        "bot_01H455VB4PEX5VSKNK084SN02Q",
        "BOT_01h455vb4pex5vsknk084sn02q",
        "bot_81h455vb4pex5vsknk084sn02q",
        "bot_01h455vb4pex5vsknk084sn02u",
        "bot_01h455vb4pex5vsknk084sn02i",
        "bot_01h455vb4pex5vsknk084sn02l",
        "bot_01h455vb4pex5vsknk084sn02o",
        "bot_01h455vb4pex5vsknk084sn02-",
        "bot_01h455vb4pex5vsknk084sn0_q",
        "bot_01h455vb4pex5vsknk084sn02q\n",
        " bot_01h455vb4pex5vsknk084sn02q",
        "bot_01h455vb4pex5vsknk084sn02\u0661",
        "bot_01h455vb4pex5vsknk084sn02\ud800",
        "bot_\x0001h455vb4pex5vsknk084sn02",
        "01890a5d-ac96-774b-bcce-b302099a8057",
        None,
        7,
        b"bot_01h455vb4pex5vsknk084sn02q",
    ],
)
def test_anything_else_is_refused(text):
    with pytest.raises(InvalidId):
        decode_id("bot", text)


@given(st.text())
def test_what_decodes_encodes_to_itself(text):
    try:
        value = decode_id("bot", "bot_" + text)
    except InvalidId:
        return
    assert encode_id("bot", value) == "bot_" + text


def test_a_new_id_is_a_uuid_version_7_of_its_moment():
    value = new_id(NOW)
    assert (value.version, value.variant) == (7, uuid.RFC_4122)
    assert time_of(value) == NOW.replace(microsecond=123_000)


@given(moments)
def test_an_id_lies_in_its_millisecond(moment):
    value = new_id(moment)
    assert first_id_at(moment) < value
    assert value < first_id_at(moment + timedelta(milliseconds=1))
    assert time_of(value) <= moment < time_of(value) + timedelta(milliseconds=1)
    assert time_of(first_id_at(moment)) == time_of(value)


def test_the_zone_of_the_moment_does_not_matter():
    elsewhere = NOW.astimezone(timezone(timedelta(hours=-4)))
    assert first_id_at(elsewhere) == first_id_at(NOW)


def test_ids_of_one_moment_differ():
    assert len({new_id(NOW) for _ in range(2_000)}) == 2_000


@pytest.mark.parametrize("make", [new_id, first_id_at])
def test_an_impossible_moment_is_refused(make):
    with pytest.raises(ValueError, match="1970"):
        make(datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC))
    with pytest.raises(TypeError):
        make(datetime(2026, 1, 1))


def test_an_id_without_a_time_is_refused():
    with pytest.raises(ValueError, match="no time"):
        time_of(uuid.UUID(int=(1 << 128) - 1))


def test_prefixes_are_three_letters_and_unique():
    assert all(len(prefix) == 3 for prefix in PREFIXES.values())
    assert len(set(PREFIXES.values())) == len(PREFIXES)
