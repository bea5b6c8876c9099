"""Exports of receipts are genuine or are found not to be, with and without us."""

import json
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from retention import signing
from tests.retention.house import House

SCRIPT = Path(__file__).resolve().parents[2] / "docs" / "verify_receipts.py"
KEY = signing.signing_key(b"a secret")
PUBLIC = signing.public_text(KEY.public_key())
RECEIPTS = [{"id": f"run_{n}", "deleted": {"usage_message": n}} for n in range(3)]


@pytest.fixture
def lines():
    head = {"account": "acc_ä", "exported_at": "2026-11-21T12:00:00Z"}
    return list(signing.signed_lines(KEY, head, RECEIPTS))


def test_an_export_is_genuine(lines):
    found = signing.verify(lines, PUBLIC)

    assert (found["receipts"], found["head"]["account"]) == (3, "acc_ä")
    assert signing.verify([f"{line}\n" for line in lines])["receipts"] == 3
    assert [json.loads(line).get("receipt") for line in lines[1:-1]] == RECEIPTS


def test_no_receipts_are_an_export_too():
    assert signing.verify(signing.signed_lines(KEY, {}, []))["receipts"] == 0


def tampered(lines):
    yield "changed", [line.replace("run_1", "run_9") for line in lines]
    yield "left out", [*lines[:2], *lines[3:]]
    yield "moved", [lines[0], lines[2], lines[1], *lines[3:]]
    yield "twice", [*lines[:2], *lines[1:]]
    yield "cut short", lines[:-1]
    yield "goes on", [*lines, lines[1]]
    yield "nothing", []
    yield "no head", lines[1:]
    yield "no JSON", ["x", *lines[1:]]
    yield "unsigned", [lines[0], '{"n": 1}', *lines[2:]]
    yield "a list", ["[]"]
    end = lines[-1].replace('"end":', '"end":{"receipts":9},"end":', 1)
    yield "said twice", [*lines[:-1], end]
    yield "with spaces", [*lines[:-1], lines[-1].replace(":", ": ", 1)]
    yield "too deep", ["[" * 100_000, *lines[1:]]
    other = signing.signing_key(b"another secret")
    yield "by another", list(signing.signed_lines(other, {"account": "a"}, RECEIPTS))


def test_what_was_tampered_with_is_found(lines):
    for _, altered in tampered(lines):
        with pytest.raises(signing.NotGenuine):
            signing.verify(altered, PUBLIC)


def test_the_script_needs_nothing_of_ours(lines, tmp_path):
    file = tmp_path / "receipts.jsonl"

    def run(text, *arguments):
        file.write_text("".join(f"{line}\n" for line in text), encoding="utf-8")
        return subprocess.run(
            [sys.executable, "-I", str(SCRIPT), str(file), *arguments],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            check=False,
        )

    assert run(lines, PUBLIC).stdout == "genuine: 3 receipts\n"
    assert run(lines).returncode == 0
    for what, altered in tampered(lines):
        if what not in ("changed", "moved", "cut short", "said twice", "too deep"):
            continue
        done = run(altered, PUBLIC)
        assert (done.returncode, "NOT GENUINE" in done.stderr) == (1, True), what


@pytest.mark.django_db(transaction=True)
def test_the_commands_export_and_verify(tmp_path):
    house = House()
    house.conversation(31)
    house.prune(house.policy(), confirmed=True)
    output, file = StringIO(), tmp_path / "receipts.jsonl"
    call_command("export_receipts", "alice", stdout=output)
    file.write_text(output.getvalue(), encoding="utf-8")

    said = StringIO()
    call_command("verify_receipts", str(file), stdout=said)
    assert said.getvalue().startswith("genuine: 1 receipts of acc_")
    with pytest.raises(CommandError, match="another key"):
        call_command("verify_receipts", str(file), "--key", PUBLIC)
    with pytest.raises(CommandError, match="no account"):
        call_command("export_receipts", "nobody")
