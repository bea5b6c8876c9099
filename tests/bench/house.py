"""Whom the load is for: one hot account, and a thousand of one bot each.

Every call falls under four policies. One is an account-wide counter, which every call
of the account has to change; the others count by bot, by user and by project.
"""

import json
import random
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.utils import timezone

from accounts import ids, keys
from accounts.actors import SYSTEM
from accounts.models import Account, ApiKey, Bot
from accounts.services import create_account, create_bot, create_key, create_project
from policies.models import Policy
from policies.rules import parse
from policies.services import create_policy

BOTS, PROJECTS, USERS, ACCOUNTS = 1_000, 20, 200, 1_000
PLENTY = 10**13  # never reached: refusals are another matter
DAY = {"kind": "calendar", "unit": "day", "timezone": "UTC"}
MONTH = {"kind": "calendar", "unit": "month", "timezone": "UTC"}
POLICIES = (
    ("Calls of all", "calls", DAY, [], {"block": {"duration_seconds": 3600}}),
    ("Tokens of a bot", "tokens", DAY, ["bot"], {"throttle": {}}),
    ("Cost of a user", "cost", MONTH, ["user"], {"throttle": {}, "email": {}}),
    ("Tokens of a project", "tokens", MONTH, ["project"], {"warn": {}}),
)


@dataclass
class Caller:
    """A key and the bots it calls for."""

    key: str
    bots: list[str]


def build() -> tuple[Caller, list[Caller]]:
    """Make the hot account and the wide ones; return who calls."""
    now = timezone.now()
    account = create_account(slug="hot", owner_email="alice@example.com", now=now)
    made = [
        create_project(account=account, name=f"Project {n}", actor=SYSTEM, now=now)
        for n in range(PROJECTS)
    ]
    bots = [
        create_bot(
            account=account,
            name=f"Bot {n}",
            project=made[n % PROJECTS],
            actor=SYSTEM,
            now=now,
        )
        for n in range(BOTS)
    ]
    policies = [
        create_policy(
            account=account, document=parse(_document(*p)), actor=SYSTEM, now=now
        )
        for p in POLICIES
    ]
    _, text = create_key(
        account=account, name="bench", scopes=["*"], actor=SYSTEM, now=now
    )
    hot = Caller(text, [bot.public_id for bot in bots])
    return hot, _wide(policies, now)


def _document(name, metric, window, group_by, actions) -> dict:
    limit = {"metric": metric, "threshold": PLENTY, "window": window}
    if metric == "cost":
        limit["threshold"] = "1000000"
    return {
        "type": "usage",
        "name": name,
        "group_by": group_by,
        "limits": [limit],
        "actions": actions,
    }


def _wide(policies: list[Policy], now) -> list[Caller]:
    """A thousand accounts with the same four policies, copied row by row."""
    accounts = [Account(slug=f"wide-{n}", name=f"Wide {n}") for n in range(ACCOUNTS)]
    Account.objects.bulk_create(accounts)
    bots = Bot.objects.bulk_create([Bot(account=a, name="Bot") for a in accounts])
    texts = [keys.new_key_text() for _ in accounts]
    ApiKey.objects.bulk_create(
        ApiKey(
            account=account,
            key_prefix=keys.key_prefix(text),
            last4=keys.last4(text),
            digest=keys.digest(text, settings.POLICYHUB_KEY_PEPPER),
            scopes=["*"],
        )
        for account, text in zip(accounts, texts, strict=True)
    )
    copied = [
        "type",
        "name",
        "document",
        "limits",
        "actions",
        "rollout_mode",
        "counting_since",
        "revision",
    ]
    Policy.objects.bulk_create(
        Policy(account=a, id=ids.new_id(now), **{n: getattr(p, n) for n in copied})
        for a in accounts
        for p in policies
    )
    return [
        Caller(text, [bot.public_id]) for text, bot in zip(texts, bots, strict=True)
    ]


def write_requests(path: Path, callers: list[Caller], *, count: int = 4_000) -> None:
    """Write what wrk sends: a line `key <tab> bot <tab> body` each."""
    chance = random.Random(7)
    lines = []
    for n in range(count):
        caller = callers[n % len(callers)]
        bot = chance.choice(caller.bots)
        body = {
            "bot": bot,
            "user": f"user-{chance.randrange(USERS)}",
            "model": "gpt-4o-mini",
            "estimate": {"input_tokens": chance.randrange(200, 2_000)}
            | {"output_tokens": chance.randrange(50, 800)},
            "reserve": True,
            "ttl_seconds": 86_400,
        }
        lines.append(f"{caller.key}\t{bot}\t{json.dumps(body)}")
    path.write_text("\n".join(lines) + "\n", encoding="ascii")
