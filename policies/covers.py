"""What a block covers, as one value that the ledger can look up (CONTRACT C3)."""

from hashlib import blake2b
from uuid import UUID


def cover_of_policy(policy_id: UUID, subject_key: str) -> UUID:
    """Return the cover of a policy's block: every call of this subject."""
    digest = blake2b(subject_key.encode("utf-8", "surrogatepass"), digest_size=16)
    digest.update(policy_id.bytes)
    return UUID(bytes=digest.digest())


def cover_of_bot(bot_id: UUID) -> UUID:
    """Return the cover of a person's block or a revoke: every call of this bot."""
    return UUID(bytes=blake2b(bot_id.bytes, digest_size=16, person=b"bot").digest())
