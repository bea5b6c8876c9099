"""Two accounts with everyone who may call, and a row of each kind. Prints JSON."""

import json
import sys
from importlib import import_module

import django

django.setup()

from django.conf import settings  # noqa: E402 (Django comes first)
from django.contrib.auth import BACKEND_SESSION_KEY as BACKEND  # noqa: E402
from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY  # noqa: E402
from django.utils.timezone import now  # noqa: E402

from accounts import keys  # noqa: E402
from accounts.actors import SYSTEM  # noqa: E402
from accounts.models import Member, Person  # noqa: E402
from accounts.services import (  # noqa: E402
    add_member,
    create_account,
    create_bot,
    create_key,
    create_project,
)

# Whoever can revoke keys would sooner or later revoke its own.
SCOPES = sorted(keys.SCOPES - {"keys:write"})
CSRF = "a" * 32


def _session(person: Person) -> str:
    store = import_module(settings.SESSION_ENGINE).SessionStore()
    store[SESSION_KEY] = str(person.pk)
    store[BACKEND] = "django.contrib.auth.backends.ModelBackend"
    store[HASH_SESSION_KEY] = person.get_session_auth_hash()
    store.create()
    return f"{settings.SESSION_COOKIE_NAME}={store.session_key}; csrftoken={CSRF}"


def _person(account, role: str) -> Person:
    person = Person.objects.create_user(f"{account.slug}-{role}@example.com")
    member = {"person": person, "role": Member.Role(role), "actor": SYSTEM}
    add_member(account=account, now=now(), **member)
    return person


def _key(account, scopes=("*",), **bound) -> str:
    named = {"name": "live", "scopes": list(scopes), "actor": SYSTEM}
    return create_key(account=account, now=now(), **named, **bound)[1]


def main() -> None:
    """Make them and say how each of them calls."""
    moment = now()
    demo = create_account(slug="demo", owner_email="owner@example.com", now=moment)
    rival = create_account(slug="rival", owner_email="rival@example.com", now=moment)
    project = create_project(account=demo, name="Live", actor=SYSTEM, now=moment)
    bot = create_bot(account=demo, name="Live", actor=SYSTEM, now=moment)
    people = {"owner": Person.objects.get(email="owner@example.com")}
    people |= {role: _person(demo, role) for role in ("operator", "auditor", "viewer")}
    bearers = {
        "key": _key(demo, SCOPES),
        "project key": _key(demo, SCOPES, project=project),
        "foreign key": _key(rival, SCOPES),
    }
    callers = {k: {"Authorization": f"Bearer {v}"} for k, v in bearers.items()}
    for role, person in people.items():
        callers[role] = {"Cookie": _session(person), "X-CSRFToken": CSRF}
    callers["nobody"] = {}
    made = {"callers": callers, "bot": bot.public_id, "project": project.public_id}
    guide = create_account(slug="guide", owner_email="guide@example.com", now=moment)
    made |= {"everything": _key(demo), "guide": _key(guide)}
    # Nobody writes upstreams here, so the echo answers.
    chats = create_account(slug="chats", owner_email="chats@example.com", now=moment)
    made["chats"] = _key(chats)
    # Nobody else writes policies here: what is asked for must be granted, and listed.
    for slug in ("alone", "kit"):
        made[slug] = _key(
            create_account(slug=slug, owner_email=f"{slug}@example.com", now=moment)
        )
    sys.stdout.write(json.dumps(made))


if __name__ == "__main__":
    main()
