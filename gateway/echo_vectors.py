"""The echo's embeddings: vectors that only the text decides."""

import base64
import math
import struct
from collections.abc import Callable
from hashlib import blake2b
from typing import Any, Final

import msgspec

from gateway import protocol
from gateway.protocol import Asked

_DIMENSIONS: Final = 64
_MOST_DIMENSIONS: Final = 4_096
_encode: Callable[[Any], bytes] = msgspec.json.Encoder().encode


def embeddings(asked: Asked) -> dict[str, Any]:
    """Return the answer to a checked request. Raises Refusal."""
    given = asked.body["input"]
    is_one = isinstance(given, str) or isinstance(given[0], int)
    size = asked.body.get("dimensions") or _DIMENSIONS
    if not isinstance(size, int) or not 0 < size <= _MOST_DIMENSIONS:
        raise protocol.invalid("dimensions", "'dimensions' is not a usable number.")
    as_text = asked.body.get("encoding_format") == "base64"
    data = []
    for index, one in enumerate([given] if is_one else given):
        vector: Any = _vector(one, size)
        if as_text:
            vector = base64.b64encode(struct.pack(f"<{size}f", *vector)).decode()
        data.append({"object": "embedding", "index": index, "embedding": vector})
    read = asked.input_tokens
    return {
        "object": "list",
        "data": data,
        "model": asked.model,
        "usage": {"prompt_tokens": read, "total_tokens": read},
    }


def _vector(one: Any, size: int) -> list[float]:
    """Return a vector of length 1 that only the text decides."""
    seed = one.encode() if isinstance(one, str) else _encode(one)
    numbers: list[float] = []
    block = 0
    while len(numbers) < size:
        digest = blake2b(seed, salt=block.to_bytes(4, "big")).digest()
        numbers += [byte / 127.5 - 1 for byte in digest]
        block += 1
    numbers = numbers[:size]
    length = math.sqrt(sum(number * number for number in numbers)) or 1.0
    return [number / length for number in numbers]
