"""Public ids are UUIDv7 with one spelling each."""

import subprocess
import sys
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from itertools import islice, pairwise

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
    ids_of,
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


def made(moment: datetime, *, singly: bool, count: int) -> list[uuid.UUID]:
    if singly:
        return [new_id(moment) for _ in range(count)]
    return list(islice(ids_of(moment), count))


@given(
    st.lists(
        st.tuples(st.sampled_from(range(-2, 3)), st.booleans(), st.integers(1, 300)),
        max_size=20,
    )
)
def test_ids_of_one_millisecond_ascend_however_moments_alternate(turns):
    of: dict[datetime, list[uuid.UUID]] = {}
    for milliseconds, singly, count in turns:
        moment = NOW + timedelta(milliseconds=milliseconds)
        of.setdefault(moment, []).extend(made(moment, singly=singly, count=count))
    everything = [one for ids in of.values() for one in ids]
    assert len(set(everything)) == len(everything)
    for moment, ids in of.items():
        assert ids == sorted(ids)
        assert {one.version for one in ids} == {7}
        assert {one.variant for one in ids} == {uuid.RFC_4122}
        assert first_id_at(moment) < ids[0]
        assert ids[-1] < first_id_at(moment + timedelta(milliseconds=1))


def test_ids_of_several_iterators_ascend_in_the_order_in_which_they_are_made():
    one, other = ids_of(NOW), ids_of(NOW)
    turns = [next(one), next(other), new_id(NOW), next(other), next(one), next(one)]
    assert turns == sorted(turns)


def test_ids_of_many_threads_differ_and_ascend_in_each():
    def of_a_thread(_) -> list[uuid.UUID]:
        return made(NOW, singly=True, count=1_000) + made(NOW, singly=False, count=999)

    with ThreadPoolExecutor(8) as threads:
        each = list(threads.map(of_a_thread, range(8)))
    assert all(ids == sorted(ids) for ids in each)
    assert len({one for ids in each for one in ids}) == 8 * 1_999


def test_the_random_bits_are_random_and_the_number_hides_how_many_were_made():
    def number(value: uuid.UUID) -> int:
        return (value.int >> 64 & 0xFFF) << 22 | value.int >> 40 & 0x3FFFFF

    one, other = new_id(NOW), new_id(NOW)
    assert number(other) == number(one) + 1
    random = {value.int & (1 << 40) - 1 for value in made(NOW, singly=False, count=500)}
    # Two of five hundred are the same once in nine million runs.
    assert len(random) == 500
    # Each millisecond begins elsewhere: what lies between two of them tells nothing.
    later = [new_id(NOW + timedelta(milliseconds=step)) for step in range(1, 9)]
    assert {number(b) - number(a) for a, b in pairwise(later)} != {1}


# In a process of its own: this one has threads, and what they held would stay held.
FORKED = """
import os
from datetime import UTC, datetime
from itertools import islice
from accounts import ids

now = datetime(2026, 11, 21, tzinfo=UTC)
before, making = ids.new_id(now), ids.ids_of(now)
reading, writing = os.pipe()
child = os.fork()
mine = [*islice(ids.ids_of(now), 500), *islice(making, 500)]
if not child:
    os.write(writing, " ".join(str(each.int) for each in mine).encode())
    os._exit(0)
os.close(writing)
with open(reading) as file:
    theirs = [int(each) for each in file.read().split()]
os.waitpid(child, 0)
mine = [each.int for each in mine]
assert before.int < min(mine)
# Neither chance nor the beginning of the numbers is the parent's.
assert len({each % 2**40 for each in mine + theirs}) == 2_000
assert mine[0] >> 40 != theirs[0] >> 40
"""


def test_a_forked_child_does_not_go_on_with_its_parents_ids():
    subprocess.run([sys.executable, "-c", FORKED], check=True, timeout=60)


@pytest.mark.parametrize("make", [new_id, first_id_at, lambda at: next(ids_of(at))])
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
