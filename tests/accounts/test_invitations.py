"""Who may come in by an invitation, and how long."""

from datetime import UTC, datetime, timedelta

import pytest

from accounts import services
from accounts.actors import Actor
from accounts.errors import Conflict, NotFound
from accounts.models import Member, Person
from accounts.selectors import open_invitation, open_invitations
from accounts.services.invitations import LASTS

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
ALICE = "alice@example.com"
BOB = "bob@example.com"


@pytest.fixture
def account(db):
    return services.create_account(slug="acme", owner_email=ALICE, now=NOW)


@pytest.fixture
def alice(account):
    return Actor.person(Person.objects.get(email=ALICE))


@pytest.fixture
def bob(account):
    return Person.objects.create_user(BOB)


def invited(account, alice, **options):
    wanted = {"email": BOB, "role": "operator", "now": NOW, **options}
    return services.invite(account=account, actor=alice, **wanted)


def test_an_invited_person_becomes_a_member_once(account, alice, bob):
    invitation = invited(account, alice)
    assert open_invitation(invitation.public_id, NOW) == invitation
    member = services.accept_invitation(invitation=invitation, person=bob, now=NOW)
    assert (member.account, member.role) == (account, Member.Role.OPERATOR)
    with pytest.raises(NotFound):
        services.accept_invitation(invitation=invitation, person=bob, now=NOW)
    with pytest.raises(NotFound):
        open_invitation(invitation.public_id, NOW)


def test_an_invitation_ends(account, alice, bob):
    invitation = invited(account, alice)
    late = NOW + LASTS
    assert not open_invitations(account, late).exists()
    with pytest.raises(NotFound):
        services.accept_invitation(invitation=invitation, person=bob, now=late)
    again = invited(account, alice, role="viewer", now=late)
    assert again == invitation
    assert open_invitation(again.public_id, late + timedelta(days=1)).role == "viewer"


def test_an_invitation_is_for_one_address(account, alice):
    charlie = Person.objects.create_user("charlie@example.com")
    invitation = invited(account, alice)
    with pytest.raises(Conflict):
        services.accept_invitation(invitation=invitation, person=charlie, now=NOW)
    assert account.members.count() == 1


def test_a_revoked_invitation_is_gone(account, alice, bob):
    invitation = invited(account, alice)
    services.revoke_invitation(invitation=invitation, actor=alice, now=NOW)
    with pytest.raises(NotFound):
        services.accept_invitation(invitation=invitation, person=bob, now=NOW)
    with pytest.raises(NotFound):
        services.revoke_invitation(invitation=invitation, actor=alice, now=NOW)
    assert invited(account, alice) != invitation


def test_a_member_is_not_invited_again(account, alice):
    with pytest.raises(Conflict):
        invited(account, alice, email="ALICE@example.com")
