"""Asking people into an account by e-mail."""

from datetime import datetime, timedelta
from typing import Final

from django.db import transaction

from accounts import ids
from accounts.actors import Actor
from accounts.errors import Conflict, NotFound
from accounts.models import Account, Invitation, Member, Person
from accounts.services.records import append_change
from accounts.services.tenants import add_member

# How long an invitation can be accepted.
LASTS: Final = timedelta(days=7)


@transaction.atomic
def invite(
    *, account: Account, email: str, role: str, actor: Actor, now: datetime
) -> Invitation:
    """Ask an address into an account; an open invitation is renewed with this role.

    Raises Conflict when the address is a member's already.
    """
    Account.objects.select_for_update().get(id=account.id)
    if account.members.filter(person__email__iexact=email).exists():
        raise Conflict(f"{email} is a member already.")
    invitation = account.invitations.filter(
        email__iexact=email, accepted_at=None, revoked_at=None
    ).first()
    if invitation is None:
        invitation = Invitation(id=ids.new_id(now), account=account, created_at=now)
    invitation.email = email
    invitation.role = role
    invitation.invited_by = actor.label
    invitation.expires_at = now + LASTS
    invitation.save()
    _remember(invitation, "invitation.sent", actor=actor, now=now)
    return invitation


@transaction.atomic
def revoke_invitation(*, invitation: Invitation, actor: Actor, now: datetime) -> None:
    """Take an open invitation back. Raises NotFound when it is not open any more."""
    taken = Invitation.objects.filter(
        id=invitation.id, accepted_at=None, revoked_at=None
    ).update(revoked_at=now)
    if not taken:
        raise NotFound
    _remember(invitation, "invitation.revoked", actor=actor, now=now)


@transaction.atomic
def accept_invitation(
    *, invitation: Invitation, person: Person, now: datetime
) -> Member:
    """Make a person the member they were asked to be.

    Raises NotFound when the invitation is not open any more, and Conflict when it is
    meant for another address.
    """
    if person.email.casefold() != invitation.email.casefold():
        raise Conflict(f"The invitation is for {invitation.email}.")
    taken = Invitation.objects.filter(
        id=invitation.id, accepted_at=None, revoked_at=None, expires_at__gt=now
    ).update(accepted_at=now)
    if not taken:
        raise NotFound
    return add_member(
        account=invitation.account,
        person=person,
        role=invitation.role,
        actor=Actor.person(person),
        now=now,
    )


def _remember(
    invitation: Invitation, action: str, *, actor: Actor, now: datetime
) -> None:
    append_change(
        account=invitation.account,
        actor=actor,
        action=action,
        target=invitation.public_id,
        changes=[
            {"field": "email", "before": None, "after": invitation.email},
            {"field": "role", "before": None, "after": invitation.role},
        ],
        now=now,
    )
