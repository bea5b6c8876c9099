"""The keys that one lane process has met, and when they were last used.

What a key *is* never changes, so it is remembered; whether it may still be used is
asked in every batch, under the account's lock (CONTRACT C9).
"""

from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from uuid import UUID

from accounts import ids, keys
from accounts.errors import InvalidKey, MissingScope
from usage.entries import CallerKey
from usage.lookups import Lookups

_KEPT = 100_000
_FIND = """SELECT id, account_id, project_id, bot_id, scopes, expires_at, revoked_at
FROM accounts_apikey WHERE digest = %s"""
_TOUCH = """UPDATE accounts_apikey SET last_used_at = %(now)s WHERE id = ANY(%(ids)s)
AND (last_used_at IS NULL OR last_used_at < %(now)s - interval '1 minute')"""


@dataclass(frozen=True, slots=True)
class KnownKey:
    """A key and what it may do."""

    caller: CallerKey
    scopes: frozenset[str]


class KeyRing:
    """Finds keys by their digest, on a connection of its own."""

    def __init__(self, *, conninfo: str, pepper: bytes) -> None:
        self._lookups = Lookups(conninfo)
        self._pepper = pepper
        # By a digest of the whole header: quicker than the key's own, which is kept
        # in no process.
        self._known: dict[bytes, KnownKey] = {}
        self._used: set[UUID] = set()

    async def caller(
        self, header: str | None, scopes: tuple[str, ...], now: datetime
    ) -> CallerKey:
        """Return the caller of `Authorization: Bearer phk_…`.

        Any one of `scopes` will do. Raises InvalidKey, MissingScope and Unavailable.
        """
        name = _named((header or "").encode())
        known = self._known.get(name)
        if known is None:
            known = await self._find(keys.digest(_bearer(header), self._pepper), now)
            if len(self._known) >= _KEPT:
                self._known.clear()
            self._known[name] = known
        if not any(keys.allows(known.scopes, scope) for scope in scopes):
            await self.check_again(header, now)
            raise MissingScope(f"The key needs the scope {scopes[0]}.")
        self._used.add(known.caller.id)
        return known.caller

    def known_caller(self, header: bytes, scope: str) -> CallerKey | None:
        """Return the caller of a key that was met before and may do this."""
        known = self._known.get(_named(header))
        if known is None or not keys.allows(known.scopes, scope):
            return None
        self._used.add(known.caller.id)
        return known.caller

    async def check_again(self, header: str | None, now: datetime) -> None:
        """Raise InvalidKey if a remembered key has been revoked or has expired."""
        await self._find(keys.digest(_bearer(header), self._pepper), now)

    async def touch(self, now: datetime) -> None:
        """Write when the keys were last used, at most once a minute each."""
        used, self._used = self._used, set()
        if used:
            named = {"now": now, "ids": list(used)}
            await self._lookups.rows(_TOUCH, named, wanted=False)

    async def close(self) -> None:
        """Close the connection."""
        await self._lookups.close()

    async def _find(self, digest: str, now: datetime) -> KnownKey:
        rows = await self._lookups.rows(_FIND, (digest,))
        if not rows:
            raise InvalidKey
        key_id, account_id, project_id, bot_id, scopes, expires_at, revoked_at = rows[0]
        if revoked_at is not None or (expires_at is not None and expires_at <= now):
            raise InvalidKey
        public_id = ids.encode_id("key", key_id)
        caller = CallerKey(key_id, public_id, account_id, project_id, bot_id)
        return KnownKey(caller, frozenset(scopes))


def _named(header: bytes) -> bytes:
    return blake2b(header, digest_size=32).digest()


def _bearer(header: str | None) -> str:
    scheme, _, text = (header or "").partition(" ")
    if scheme.lower() != "bearer" or not keys.well_formed(text.strip()):
        raise InvalidKey
    return text.strip()
