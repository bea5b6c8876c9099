"""Who calls: a key, or a person who browses; and what they may do and see.

Every look-up of the API goes through the account and the bindings kept here, so that
what is foreign looks exactly like what is absent (CONTRACT G2, G7).
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from django.db.models import QuerySet

from accounts import keys
from accounts.actors import Actor
from accounts.errors import Forbidden, MissingScope, NotFound, UnknownReference
from accounts.models import Account, ApiKey, Bot, Member, Person, Project
from accounts.selectors import (
    accounts_of,
    bot_by_reference,
    bot_of,
    bots,
    member_of,
    project_by_reference,
)

_READS: Final = frozenset(s for s in keys.SCOPES if s.endswith(":read"))
_PRIVATE_READS: Final = frozenset({"audit:read", "keys:read"})
ROLE_SCOPES: Final[dict[str, frozenset[str]]] = {
    Member.Role.OWNER: frozenset({keys.EVERYTHING}),
    Member.Role.OPERATOR: keys.SCOPES - {"keys:write"},
    Member.Role.AUDITOR: _READS,
    Member.Role.VIEWER: _READS - _PRIVATE_READS,
}


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated caller. `project` and `bot` are the bindings of its key."""

    account: Account
    actor: Actor
    scopes: frozenset[str]
    project: Project | None = None
    bot: Bot | None = None
    key: ApiKey | None = None

    def need(self, scope: str) -> None:
        """Raise MissingScope unless the caller may do what needs `scope`."""
        if not keys.allows(self.scopes, scope):
            raise MissingScope(f"The scope {scope} is needed.")

    def need_unbound(self) -> None:
        """Raise Forbidden for a key that is bound to one bot."""
        if self.bot is not None:
            raise Forbidden("A key that is bound to a bot may not do this.")

    def may_grant(self, scopes: Collection[str]) -> bool:
        """Say whether the caller has every one of some scopes itself."""
        return keys.EVERYTHING in self.scopes or self.scopes.issuperset(scopes)


def caller_of_key(key: ApiKey) -> Caller:
    """Return the caller that a good key is."""
    return Caller(
        account=key.account,
        actor=Actor.key(key),
        scopes=frozenset(key.scopes),
        project=key.project,
        bot=key.bot,
        key=key,
    )


def caller_of_person(person: Person, slug: str | None) -> Caller:
    """Return the caller that a person is in the named account, or in their first.

    Raises NotFound for an account they are no member of, Forbidden without any.
    """
    mine = accounts_of(person)
    account = mine.first() if slug is None else mine.filter(slug=slug).first()
    if account is None:
        if slug is not None:
            raise NotFound
        raise Forbidden("You are not a member of any account.")
    member = member_of(account=account, person=person)
    role = Member.Role.VIEWER if member is None else member.role
    return Caller(account=account, actor=Actor.person(person), scopes=ROLE_SCOPES[role])


def visible_bots(caller: Caller) -> QuerySet[Bot]:
    """Return the bots that a caller may know of."""
    found = bots(caller.account, project=caller.project)
    return found if caller.bot is None else found.filter(id=caller.bot.id)


def visible_bot(caller: Caller, public_id: str) -> Bot:
    """Return one of these bots by its id in a path. Raises NotFound."""
    bot = bot_of(caller.account, public_id, project=caller.project)
    return _unless_bound_elsewhere(caller, bot)


def referred_bot(caller: Caller, ref: str, pointer: str) -> Bot:
    """Return a bot that a body names by id or external id. Raises UnknownReference."""
    try:
        bot = bot_by_reference(caller.account, ref, project=caller.project)
        return _unless_bound_elsewhere(caller, bot)
    except NotFound:
        raise _unknown(pointer) from None


def queried_bot(caller: Caller, ref: str) -> Bot | None:
    """Return a bot that a query names; None if the caller knows of no such bot."""
    try:
        return referred_bot(caller, ref, "")
    except UnknownReference:
        return None


def referred_project(caller: Caller, ref: str | None, pointer: str) -> Project | None:
    """Return a project that a body names; a project key's own if it names none.

    Raises UnknownReference.
    """
    if ref is None:
        return caller.project
    try:
        return project_by_reference(caller.account, ref, project=caller.project)
    except NotFound:
        raise _unknown(pointer) from None


def queried_project(caller: Caller, ref: str) -> Project | None:
    """Return a project that a query names; None if the caller knows of none such."""
    try:
        return referred_project(caller, ref, "")
    except UnknownReference:
        return None


def _unless_bound_elsewhere(caller: Caller, bot: Bot) -> Bot:
    if caller.bot is not None and caller.bot.id != bot.id:
        raise NotFound
    return bot


def _unknown(pointer: str) -> UnknownReference:
    return UnknownReference(errors=[{"pointer": pointer, "detail": "does not exist"}])
