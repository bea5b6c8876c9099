"""Accounts and the people in them."""

from datetime import datetime

from allauth.account.models import EmailAddress
from django.db import transaction

from accounts import ids
from accounts.actors import SYSTEM, Actor
from accounts.errors import Conflict
from accounts.models import Account, Member, Person
from accounts.services.records import append_change


@transaction.atomic
def create_account(
    *,
    slug: str,
    owner_email: str,
    name: str = "",
    now: datetime,
    password: str | None = None,
) -> Account:
    """Make an account and its owner; an account with this slug is left as it is.

    The person and the membership are made when they are absent. A password is given
    only to a person made here: nobody's log-in is changed.
    """
    account, made = Account.objects.get_or_create(
        slug=slug,
        defaults={"id": ids.new_id(now), "name": name or slug, "created_at": now},
    )
    person = Person.objects.filter(email__iexact=owner_email).first()
    if person is None:
        person = Person.objects.create_user(
            owner_email, password, id=ids.new_id(now), date_joined=now
        )
        trust_address(person)
    if made:
        append_change(
            account=account,
            actor=SYSTEM,
            action="account.created",
            target=account.public_id,
            now=now,
        )
    if not account.members.filter(person=person).exists():
        add_member(
            account=account,
            person=person,
            role=Member.Role.OWNER,
            actor=SYSTEM,
            now=now,
        )
    return account


def trust_address(person: Person) -> None:
    """Take a person's e-mail address as confirmed: an admin has vouched for it."""
    EmailAddress.objects.get_or_create(
        user=person, email=person.email, defaults={"verified": True, "primary": True}
    )


@transaction.atomic
def open_account(
    *,
    owner: Person,
    slug: str,
    name: str,
    timezone: str,
    language: str = "",
    now: datetime,
) -> Account:
    """Make an account of somebody's own; a taken slug gets a number.

    `timezone` is the name of one that exists, `language` that of the account's mails.
    """
    given = {"name": name, "timezone": timezone, "language": language}
    for number in range(1, 1000):
        account, made = Account.objects.get_or_create(
            slug=slug if number == 1 else f"{slug}-{number}",
            defaults={"id": ids.new_id(now), "created_at": now, **given},
        )
        if made:
            break
    else:
        raise Conflict("There are too many accounts of this name.")
    append_change(
        account=account,
        actor=Actor.person(owner),
        action="account.created",
        target=account.public_id,
        now=now,
    )
    add_member(
        account=account,
        person=owner,
        role=Member.Role.OWNER,
        actor=Actor.person(owner),
        now=now,
    )
    return account


@transaction.atomic
def finish_start(*, account: Account, actor: Actor, now: datetime) -> None:
    """Note that an account's people have done, or leave out, the first steps."""
    mine = Account.objects.filter(id=account.id, started_at=None)
    if mine.update(started_at=now):
        append_change(
            account=account,
            actor=actor,
            action="account.started",
            target=account.public_id,
            now=now,
        )


@transaction.atomic
def add_member(
    *, account: Account, person: Person, role: str, actor: Actor, now: datetime
) -> Member:
    """Give a person a role in an account, or another one than they had.

    Raises Conflict when the account would be left without an owner.
    """
    Account.objects.select_for_update().get(id=account.id)
    member = account.members.filter(person=person).first()
    before = None if member is None else member.role
    if member is None:
        member = Member(
            id=ids.new_id(now), account=account, person=person, created_at=now
        )
    others = account.members.filter(role=Member.Role.OWNER).exclude(person=person)
    was_owner = before == Member.Role.OWNER
    if was_owner and role != Member.Role.OWNER and not others.exists():
        raise Conflict("An account keeps at least one owner.")
    member.role = role
    member.save()
    append_change(
        account=account,
        actor=actor,
        action="member.added" if before is None else "member.updated",
        target=member.public_id,
        changes=[{"field": "role", "before": before, "after": role}],
        now=now,
    )
    return member
