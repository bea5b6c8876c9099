"""The digest that remembers a conversation after it is gone (CONTRACT A4)."""

from hashlib import blake2b
from uuid import UUID


def seen_id(account_id: UUID, bot_id: UUID, name: str) -> UUID:
    """Return the digest of a conversation; `name` is its external or public id."""
    digest = blake2b(account_id.bytes + bot_id.bytes, digest_size=16)
    digest.update(name.encode("utf-8", "surrogatepass"))
    return UUID(bytes=digest.digest())
