#!/usr/bin/env python3
"""Check a PolicyHub export of receipts, offline. Needs Python and `cryptography` only.

    python verify_receipts.py receipts.jsonl [PUBLIC_KEY]

PUBLIC_KEY is the text that `GET /api/v1/retention/signing-key` answers. Without it the
check uses the key that the file itself names: that proves that nobody has changed the
file since, not who made it.
"""

import hashlib
import json
import sys
from base64 import b64decode
from collections.abc import Iterable
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


def verify(lines: Iterable[str], public: str | None = None) -> int:
    """Return the number of receipts. Raises ValueError, KeyError, InvalidSignature."""
    previous, ended, count, key = "", False, 0, None
    for number, line in enumerate(text.rstrip("\n") for text in lines):
        row = json.loads(line)
        if ended:
            raise ValueError(f"line {number + 1} comes after the end")
        if key is None:
            named = row["head"]["public_key"]
            if public is not None and public.strip() != named:
                raise ValueError("it is signed by another key")
            key = Ed25519PublicKey.from_public_bytes(b64decode(named)[-32:])
        if canonical(row) != line.encode():
            # As with a name that comes twice: others might read another value.
            raise ValueError(f"line {number + 1} was changed")
        signature = b64decode(row.pop("signature"), validate=True)
        key.verify(signature, canonical(row))
        if row["n"] != number or row["previous"] != previous:
            raise ValueError(f"line {number + 1} does not follow the one before it")
        previous = hashlib.sha256(line.encode()).hexdigest()
        ended = "end" in row
        if ended and row["end"]["receipts"] != count:
            raise ValueError("the end does not say how many receipts there are")
        count += "receipt" in row
    if not ended:
        raise ValueError("the end is missing")
    return count


def canonical(row: object) -> bytes:
    """Return a line as it is signed and written: keys sorted, no spaces, UTF-8."""
    text = json.dumps(row, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode()


def main() -> None:
    """Check the file that the command line names."""
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    try:
        with Path(sys.argv[1]).open(encoding="utf-8") as file:
            count = verify(file, *sys.argv[2:])
    except InvalidSignature:
        sys.exit("NOT GENUINE: a line was changed, or its signature is wrong")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        sys.exit(f"NOT GENUINE: {error}")
    sys.stdout.write(f"genuine: {count} receipts\n")


if __name__ == "__main__":
    main()
