"""Fill an installation for a storm: bots, 200 policies, a key. Printed as JSON.

Run as a program of its own beside the database, through the product's services:
what the checker relies on is only what it prints.
"""

import json
import random
import sys

import django

django.setup()

from django.utils.timezone import now  # noqa: E402 (Django comes first)

from accounts.actors import SYSTEM  # noqa: E402
from accounts.services import create_account, create_bot, create_key  # noqa: E402
from policies.rules import parse  # noqa: E402
from policies.services import create_policy  # noqa: E402

BOTS, USERS, MODELS = 40, 20, 19


def policies(chance: random.Random, bots: list[str]) -> list[dict]:
    """200 documents, four to nine of which apply to a call."""

    def policy(name, limits, *, scope=None, group_by=(), **actions) -> dict:
        return {
            "type": "usage",
            "name": name,
            "scope": scope or {},
            "group_by": list(group_by),
            "limits": [
                {"metric": metric, "threshold": threshold, "window": window}
                for metric, threshold, window in limits
            ],
            "actions": actions or {"throttle": {}},
            "alert_steps": [80, 100],
        }

    def fixed(seconds):
        return {"kind": "fixed", "seconds": seconds}

    life, hour = {"kind": "lifetime"}, {"kind": "calendar", "unit": "hour"}
    rolling = {"kind": "rolling", "seconds": 60}
    mail = {"email": {}, "throttle": {}}
    wanted = [
        # It refuses nobody, and has something to tell after the first few calls.
        policy("Told early", [("tokens", 1_000, life)], warn={}, email={}),
        policy("Everybody", [("tokens", 200_000, fixed(5))], **mail),
        policy("Each bot's calls", [("calls", 60, fixed(3))], group_by=["bot"]),
    ]
    for number, bot in enumerate(bots):
        scope = {"bot": bot}
        most = chance.choice([20_000, 200_000, 5_000_000, 50_000_000])
        wanted += [
            policy(f"Life {number}", [("tokens", most, life)], scope=scope),
            policy(
                f"Fixed {number}",
                [("tokens", chance.randint(2_000, 9_000), fixed(2 + number % 9))],
                scope=scope,
                **mail,
            ),
            policy(f"Rolling {number}", [("tokens", 30_000, rolling)], scope=scope),
            policy(
                f"Hour {number}",
                [("calls", chance.choice([300, 1_000_000]), hour)],
                scope=scope,
                **({"block": {"duration_seconds": 2}} if number < 4 else mail),
            ),
        ]
    for number in range(USERS):
        limits = [("calls", 40, fixed(7))]
        scope = {"user": f"u-{number}"}
        wanted.append(policy(f"User {number}", limits, scope=scope, group_by=["bot"]))
    for number in range(200 - len(wanted)):
        limits = [
            ("cost", chance.choice([50_000, 900_000_000]), life),
            ("tokens", 20_000, fixed(6)),
        ]
        scope = {"model": f"m-{number}*"}
        wanted.append(policy(f"Model {number}", limits, scope=scope))
    return wanted


def micros(limit: dict) -> dict:
    """A cost threshold is written in USD; everything here counts in micro-USD."""
    if limit["metric"] != "cost":
        return limit
    return limit | {"threshold": f"{limit['threshold'] / 1_000_000:.6f}"}


def main() -> None:
    chance = random.Random(int(sys.argv[1]))
    account = create_account(slug="storm", owner_email="o@example.com", now=now())
    bots = [
        create_bot(account=account, name=f"bot {i}", actor=SYSTEM, now=now())
        for i in range(BOTS)
    ]
    names = [bot.public_id for bot in bots]
    made = []
    for document in policies(chance, names):
        written = document | {"limits": [micros(x) for x in document["limits"]]}
        policy = create_policy(
            account=account, document=parse(written), actor=SYSTEM, now=now()
        )
        made.append({"id": policy.public_id} | document)
    _, key = create_key(
        account=account, name="storm", scopes=["*"], actor=SYSTEM, now=now()
    )
    found = {
        "key": key,
        "bots": names,
        "users": [f"u-{number}" for number in range(USERS)],
        "models": [f"m-{number}" for number in range(MODELS)],
        "policies": made,
    }
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
