"""What only an admin of the installation does: plans of accounts, and people."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import available_timezones

from django.conf import settings
from django.db import transaction

from accounts import ids
from accounts.actors import Actor
from accounts.errors import Conflict, InvalidBody
from accounts.models import Account, Member, Person
from accounts.services.records import append_change, assign, bump_version
from accounts.services.tenants import trust_address


@transaction.atomic
def update_account(
    *, account: Account, changes: Mapping[str, Any], actor: Actor, now: datetime
) -> Account:
    """Change name, timezone, week_start, language, plan or stores_text.

    Raises InvalidBody for a time zone or a language that does not exist.
    """
    zone = changes.get("timezone")
    if zone is not None and zone not in available_timezones():
        detail = "is not a time zone"
        raise InvalidBody(errors=[{"pointer": "/timezone", "detail": detail}])
    if changes.get("language", "") not in {"", *dict(settings.LANGUAGES)}:
        detail = "is not a language of PolicyHub"
        raise InvalidBody(errors=[{"pointer": "/language", "detail": detail}])
    bump_version(account_id=account.id)
    fresh = Account.objects.get(id=account.id)
    record = assign(fresh, changes)
    if record:
        fresh.save(update_fields=list(changes))
        append_change(
            account=fresh,
            actor=actor,
            action="account.updated",
            target=fresh.public_id,
            changes=record,
            now=now,
        )
    return fresh


@transaction.atomic
def create_person(
    *, email: str, name: str = "", is_superuser: bool = False, now: datetime
) -> Person:
    """Make somebody who sets their password by e-mail before they log in.

    A person belongs to no account yet, so there is no change history to enter.
    """
    person = Person.objects.create_user(
        email,
        id=ids.new_id(now),
        name=name,
        is_staff=is_superuser,
        is_superuser=is_superuser,
        date_joined=now,
    )
    trust_address(person)
    return person


@transaction.atomic
def update_person(
    *, person: Person, changes: Mapping[str, Any], actor: Actor, now: datetime
) -> Person:
    """Change name, is_active or is_superuser; told in each account they belong to.

    Raises Conflict for the last active admin of the installation.
    """
    admins = Person.objects.filter(is_superuser=True, is_active=True)
    standing = {row.id for row in admins.select_for_update().order_by("id")}
    fresh = Person.objects.select_for_update().get(id=person.id)
    record = assign(fresh, changes)
    if not record:
        return fresh
    fresh.is_staff = fresh.is_superuser
    if not (fresh.is_superuser and fresh.is_active) and standing == {fresh.id}:
        raise Conflict("The installation keeps at least one active admin.")
    fresh.save()
    for member in fresh.memberships.select_related("account").order_by("id"):
        append_change(
            account=member.account,
            actor=actor,
            action="person.updated",
            target=fresh.public_id,
            changes=record,
            now=now,
        )
    return fresh


def choose_language(*, person: Person, language: str) -> None:
    """Remember in which language a person reads. No account's history tells of it."""
    Person.objects.filter(id=person.id).update(language=language)


@transaction.atomic
def remove_member(
    *, member: Member, actor: Actor, now: datetime, reason: str = ""
) -> None:
    """Take a person out of an account.

    Raises Conflict when the account would be left without an owner.
    """
    account = Account.objects.select_for_update().get(id=member.account_id)
    others = account.members.exclude(id=member.id)
    is_owner = member.role == Member.Role.OWNER
    if is_owner and not others.filter(role=Member.Role.OWNER).exists():
        raise Conflict("An account keeps at least one owner.")
    target = member.public_id
    Member.objects.filter(account=account, id=member.id).delete()
    append_change(
        account=account,
        actor=actor,
        action="member.removed",
        target=target,
        changes=[{"field": "role", "before": member.role, "after": None}],
        reason=reason,
        now=now,
    )
