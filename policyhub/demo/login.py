"""The demo's log-in: an account, its owner, and a random password in a file."""

import secrets
from datetime import datetime
from pathlib import Path

from django.db import transaction

from accounts.actors import SYSTEM
from accounts.models import Account, Person
from accounts.services import create_account
from accounts.services.administration import update_person
from policyhub.demo.story import DEMO
from policyhub.embedded import state

FILE = "demo-login"


def ensure_login(*, state_dir: Path, now: datetime) -> Account:
    """Make the account `demo`, its owner and the file with the password, if absent.

    The owner administers the installation too. The file is written before the person
    is, so a start that was interrupted loses no password; a person who exists keeps
    the one they have, whether or not the file is still there.
    """
    email, password = DEMO.owner, None
    if not _knows(email):
        login = state.secret(state_dir, FILE, _new_login)
        email, _, password = login.partition(" ")
    with transaction.atomic():
        is_new = not _knows(email)
        account = create_account(
            slug=DEMO.slug,
            owner_email=email,
            name=DEMO.name,
            password=password,
            now=now,
        )
        if is_new:
            owner = Person.objects.get(email=email)
            changes = {"is_superuser": True}
            update_person(person=owner, changes=changes, actor=SYSTEM, now=now)
    return account


def _knows(email: str) -> bool:
    return Person.objects.filter(email__iexact=email).exists()


def _new_login() -> str:
    return f"{DEMO.owner} {secrets.token_urlsafe(18)}"
