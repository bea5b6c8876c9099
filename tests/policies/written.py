"""Policies and their blocks, written in short."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

from accounts.actors import Actor
from accounts.services import create_project
from policies import rules
from policies.covers import cover_of_policy
from policies.models import Block
from policies.services import (
    create_policy,
    replace_policy,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
ALICE = Actor("person", "per_x", "alice@x.org")
DAY = {"kind": "calendar", "unit": "day"}


def a_document(**changes):
    limit = {"metric": "tokens", "threshold": 100, "window": DAY}
    draft = {
        "type": "usage",
        "name": "Cap",
        "limits": [limit],
        "actions": {"block": {}},
    }
    return rules.parse({**draft, **changes})


def a_policy(account, project=None, **changes):
    return create_policy(
        account=account,
        document=a_document(**changes),
        actor=ALICE,
        now=NOW,
        project=project,
    )


def a_project(account, name="P"):
    return create_project(account=account, name=name, actor=ALICE, now=NOW)


def replace_it(policy, document, **options):
    options = {"actor": ALICE, "now": LATER, "expected_revision": None} | options
    return replace_policy(policy=policy, document=document, **options)


def a_block(policy, *, subject=(), counter=None, now=NOW, **options):
    return Block.objects.create(
        account=policy.account,
        kind=Block.Kind.POLICY,
        policy=policy,
        cover=cover_of_policy(policy.id, ""),
        counter=counter or uuid4(),
        window_start=now,
        subject=[list(pair) for pair in subject],
        starts_at=now,
        **options,
    )
