"""Reads of accounts, people, projects, bots and keys.

What is foreign looks exactly like what is absent: NotFound (CONTRACT G2).
"""

from collections.abc import Iterable
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from django.conf import settings
from django.db.models import Model, QuerySet

from accounts import ids
from accounts import keys as key_texts
from accounts.errors import InvalidKey, NotFound
from accounts.models import (
    Account,
    ApiKey,
    Bot,
    ChangeRecord,
    Invitation,
    Member,
    Person,
    Project,
    SavedView,
)
from accounts.services.keys import is_live

Row = TypeVar("Row", bound=Model)


def account_by_slug(slug: str) -> Account:
    """Return the account with this slug. Raises NotFound."""
    account = Account.objects.filter(slug=slug).first()
    if account is None:
        raise NotFound
    return account


def accounts_of(person: Person) -> QuerySet[Account]:
    """Return the accounts a person is a member of, the oldest first."""
    return Account.objects.filter(members__person=person).order_by("id")


def member_of(*, account: Account, person: Person) -> Member | None:
    """Return a person's membership of an account, if there is one."""
    return Member.objects.filter(account=account, person=person).first()


def member_by_slug(*, slug: str, person: Person) -> Member | None:
    """Return a person's membership of the account with this slug, if they have one."""
    mine = Member.objects.filter(account__slug=slug, person=person)
    return mine.select_related("account__sample_of").first()


def member(account: Account, public_id: str) -> Member:
    """Return one member of an account; raises NotFound."""
    found = account.members.select_related("account", "person")
    return _only(found.filter(id=_uuid("mem", public_id)))


def open_invitations(account: Account, now: datetime) -> QuerySet[Invitation]:
    """Return the invitations that can still be accepted, the newest first."""
    return account.invitations.filter(
        accepted_at=None, revoked_at=None, expires_at__gt=now
    ).order_by("-id")


def invitation(account: Account, public_id: str) -> Invitation:
    """Return one invitation of an account; raises NotFound."""
    found = account.invitations.select_related("account")
    return _only(found.filter(id=_uuid("inv", public_id)))


def open_invitation(public_id: str, now: datetime) -> Invitation:
    """Return an invitation of any account that can be accepted; raises NotFound.

    Its id comes from a signed link, which is the right to see it.
    """
    found = Invitation.objects.filter(
        id=_uuid("inv", public_id),
        accepted_at=None,
        revoked_at=None,
        expires_at__gt=now,
    )
    return _only(found.select_related("account"))


def memberships(person: Person) -> QuerySet[Member]:
    """Return a person's memberships with their accounts, by the account's name."""
    mine = Member.objects.filter(person=person).select_related("account")
    return mine.order_by("account__name", "id")


def members(account: Account) -> QuerySet[Member]:
    """Return the members of an account."""
    return account.members.select_related("person").order_by("id")


def owner_emails(account: Account) -> list[str]:
    """Return the addresses of the account's active owners."""
    owners = account.members.filter(role=Member.Role.OWNER, person__is_active=True)
    return list(owners.order_by("id").values_list("person__email", flat=True))


def languages_of(*, account: Account, addresses: Iterable[str]) -> dict[str, str]:
    """Return in which language each address reads mails of an account.

    A member's own choice, else the account's, else the installation's.
    """
    usual = account.language or settings.LANGUAGE_CODE
    members = account.members.filter(person__is_active=True)
    chosen = members.exclude(person__language="").values_list(
        "person__email", "person__language"
    )
    known = {email.lower(): language for email, language in chosen}
    return {each: known.get(each.lower(), usual) for each in addresses}


def language_of_guest(*, account: Account, address: str) -> str:
    """Return in which language somebody reads who is asked into an account."""
    person = Person.objects.filter(email__iexact=address).first()
    chosen = "" if person is None else person.language
    return chosen or account.language or settings.LANGUAGE_CODE


def projects(
    account: Account, *, project: Project | None = None, include_archived: bool = False
) -> QuerySet[Project]:
    """Return the projects; only the one if a caller is bound to it."""
    found = Project.objects.filter(account=account)
    if not include_archived:
        found = found.filter(archived_at=None)
    if project is not None:
        found = found.filter(id=project.id)
    return found.order_by("id")


def project_of(
    account: Account, public_id: str, *, project: Project | None = None
) -> Project:
    """Return one project. Raises NotFound."""
    found = projects(account, project=project).filter(id=_uuid("prj", public_id))
    return _only(found)


def project_by_reference(
    account: Account,
    ref: str,
    *,
    project: Project | None = None,
    include_archived: bool = False,
) -> Project:
    """Return the project with this public or external id. Raises NotFound."""
    visible = projects(account, project=project, include_archived=include_archived)
    try:
        return _only(visible.filter(id=ids.decode_id("prj", ref)))
    except ids.InvalidId:
        return _only(visible.filter(external_id=_storable(ref)))


def bots(
    account: Account, *, project: Project | None = None, include_archived: bool = False
) -> QuerySet[Bot]:
    """Return the bots; only a project's if a caller is bound to it."""
    found = Bot.objects.filter(account=account).select_related("project")
    if not include_archived:
        found = found.filter(archived_at=None)
    if project is not None:
        found = found.filter(project=project)
    return found.order_by("id")


def bot_of(account: Account, public_id: str, *, project: Project | None = None) -> Bot:
    """Return one bot. Raises NotFound."""
    found = bots(account, project=project).filter(id=_uuid("bot", public_id))
    return _only(found)


def bot_by_reference(
    account: Account,
    ref: str,
    *,
    project: Project | None = None,
    include_archived: bool = False,
) -> Bot:
    """Return the bot with this public or external id. Raises NotFound."""
    visible = bots(account, project=project, include_archived=include_archived)
    try:
        return _only(visible.filter(id=ids.decode_id("bot", ref)))
    except ids.InvalidId:
        return _only(visible.filter(external_id=_storable(ref)))


def keys(account: Account, *, project: Project | None = None) -> QuerySet[ApiKey]:
    """Return the keys, revoked ones too; only a project's if a caller is bound."""
    found = ApiKey.objects.filter(account=account)
    if project is not None:
        found = found.filter(project=project)
    related = found.select_related("account", "project", "bot", "replaces")
    return related.order_by("id")


def key_of(
    account: Account, public_id: str, *, project: Project | None = None
) -> ApiKey:
    """Return one key. Raises NotFound."""
    found = keys(account, project=project).filter(id=_uuid("key", public_id))
    return _only(found)


def authenticate_key(text: str, now: datetime) -> ApiKey:
    """Return the key with this text, with account, project and bot read.

    Raises InvalidKey when it is malformed, unknown, expired or revoked.
    """
    if not key_texts.well_formed(text):
        raise InvalidKey
    digest = key_texts.digest(text, settings.POLICYHUB_KEY_PEPPER)
    found = ApiKey.objects.select_related("account", "project", "bot")
    key = found.filter(digest=digest).first()
    if key is None or not is_live(key, now):
        raise InvalidKey
    return key


def key_status(key: ApiKey, now: datetime) -> str:
    """Return `active`, `expired` or `revoked`."""
    if key.revoked_at is not None:
        return "revoked"
    return "active" if is_live(key, now) else "expired"


def saved_views(
    account: Account, person: Person, page: str | None = None
) -> QuerySet[SavedView]:
    """Return the views that a person has saved in an account, by name."""
    found = SavedView.objects.filter(account=account, person=person)
    if page is not None:
        found = found.filter(page=page)
    return found.order_by("name", "id")


def saved_view_of(account: Account, person: Person, public_id: str) -> SavedView:
    """Return one view of a person. Raises NotFound."""
    found = saved_views(account, person)
    return _only(found.filter(id=_uuid(SavedView.prefix, public_id)))


def changes(account: Account, target: str | None = None) -> QuerySet[ChangeRecord]:
    """Return the change history, newest first; of one thing if it is named."""
    found = ChangeRecord.objects.filter(account=account)
    if target is not None:
        found = found.filter(target=target)
    return found.order_by("-id")


def narrowed_changes(
    found: QuerySet[ChangeRecord],
    *,
    action: str | None = None,
    area: str | None = None,
    actor: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> QuerySet[ChangeRecord]:
    """Leave out changes: keep those of an action, of an area (`policy`), by a kind
    of actor, made at or after a moment, or before one.
    """
    if action is not None:
        found = found.filter(action=action)
    if area is not None:
        found = found.filter(action__startswith=f"{area}.")
    if actor is not None:
        found = found.filter(actor_kind=actor)
    if since is not None:
        found = found.filter(created_at__gte=since)
    if until is not None:
        found = found.filter(created_at__lt=until)
    return found


def _uuid(prefix: str, public_id: str) -> UUID:
    try:
        return ids.decode_id(prefix, public_id)
    except ids.InvalidId:
        raise NotFound from None


def _storable(text: str) -> str:
    # PostgreSQL has no NUL in text, so nothing is called so.
    if "\x00" in text:
        raise NotFound
    return text


def _only(found: QuerySet[Row]) -> Row:
    row = found.first()
    if row is None:
        raise NotFound
    return row
