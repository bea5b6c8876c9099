"""Receipts that can be checked without us: JSON lines, each signed, in one chain.

A line is a JSON object with `n` (its number), `previous` (the SHA-256 of the line
before, in hexadecimal; empty in the first), `receipt`, and `signature`: Ed25519 over
the rest of the object in canonical form (keys sorted, no spaces, UTF-8). The first line
says whose receipts they are and by which key, the last one how many there were. So a
line that is changed, left out, added or moved is found, and so is a file cut short.

`docs/verify_receipts.py` does the same with nothing but `cryptography`.
"""

import json
from base64 import b64decode, b64encode
from binascii import Error
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

FORMAT: Final = "policyhub-receipts/1"
_PURPOSE: Final = b"policyhub receipts signing key 1"


class NotGenuine(ValueError):
    """An export is not what was signed; the text says where."""


def signing_key(secret: bytes) -> Ed25519PrivateKey:
    """Return the key that an installation's secret (its pepper) stands for."""
    seed = HKDF(SHA256(), 32, salt=None, info=_PURPOSE).derive(secret)
    return Ed25519PrivateKey.from_private_bytes(seed)


def public_text(key: Ed25519PublicKey) -> str:
    """Return a public key as it is published: DER in base64."""
    spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return b64encode(spki).decode("ascii")


def key_id(public: str) -> str:
    """Return the short name of a published key."""
    return sha256(b64decode(public)).hexdigest()[:16]


def signed_lines(
    key: Ed25519PrivateKey,
    head: Mapping[str, Any],
    receipts: Iterable[Mapping[str, Any]],
) -> Iterator[str]:
    """Yield the lines of an export; `head` says whose it is and when it was made."""
    public = public_text(key.public_key())
    named = {"format": FORMAT, "key_id": key_id(public), "public_key": public}
    line = _line(key, 0, "", {"head": {**named, **head}})
    yield line
    number = 0
    for number, receipt in enumerate(receipts, start=1):
        line = _line(key, number, _digest(line), {"receipt": dict(receipt)})
        yield line
    yield _line(key, number + 1, _digest(line), {"end": {"receipts": number}})


def verify(lines: Iterable[str], public: str | None = None) -> dict[str, Any]:
    """Check an export; return its head and its number of receipts.

    `public` is the key as it was published; without it the one that the file names is
    used, which proves only that nobody changed it since. Raises NotGenuine.
    """
    head: dict[str, Any] | None = None
    previous, number, ended = "", 0, False
    for number, text in enumerate(line.rstrip("\n") for line in lines):
        row = _read(text, number)
        if ended:
            raise NotGenuine(f"line {number + 1} comes after the end")
        if head is None:
            head = _head(row, public)
        _check(row, head["public_key"], number, previous)
        previous = _digest(text)
        ended = "end" in row
        if ended and row["end"] != {"receipts": number - 1}:
            raise NotGenuine("the end does not say how many receipts there are")
    if head is None or not ended:
        raise NotGenuine("the end is missing")
    return {"head": head, "receipts": number - 1}


def _line(
    key: Ed25519PrivateKey, number: int, previous: str, body: dict[str, Any]
) -> str:
    row = {"n": number, "previous": previous, **body}
    signature = b64encode(key.sign(_canonical(row))).decode("ascii")
    return _canonical({**row, "signature": signature}).decode()


def _read(text: str, number: int) -> dict[str, Any]:
    try:
        row = json.loads(text)
        # A name that comes twice would be read one way here and another elsewhere.
        is_canonical = _canonical(row) == text.encode()
    except (ValueError, RecursionError):
        raise NotGenuine(f"line {number + 1} is not JSON") from None
    if not isinstance(row, dict):
        raise NotGenuine(f"line {number + 1} is not an object")
    if not is_canonical:
        raise NotGenuine(f"line {number + 1} was changed")
    return row


def _head(row: dict[str, Any], public: str | None) -> dict[str, Any]:
    head = row.get("head")
    if not isinstance(head, dict) or head.get("format") != FORMAT:
        raise NotGenuine("the first line is not the head of an export")
    if public is not None and head.get("public_key") != public.strip():
        raise NotGenuine("it is signed by another key")
    return head


def _check(row: dict[str, Any], public: str, number: int, previous: str) -> None:
    where = f"line {number + 1}"
    try:
        signature = b64decode(row.pop("signature"), validate=True)
        raw = b64decode(public, validate=True)[-32:]
        Ed25519PublicKey.from_public_bytes(raw).verify(signature, _canonical(row))
    except (InvalidSignature, KeyError, TypeError, ValueError, Error):
        raise NotGenuine(f"{where} was changed, or its signature is wrong") from None
    if row.get("n") != number or row.get("previous") != previous:
        raise NotGenuine(f"{where} does not follow the one before it")


def _canonical(row: Mapping[str, Any]) -> bytes:
    text = json.dumps(row, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode()


def _digest(line: str) -> str:
    return sha256(line.encode()).hexdigest()
