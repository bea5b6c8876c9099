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
from tests.faults.editor import written  # noqa: E402

BOTS, USERS, MODELS, KEYS = 40, 20, 19, 8


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
        policy("Everybody", [("tokens", 600_000, fixed(5))], **mail),
        policy("Each bot's calls", [("calls", 60, fixed(3))], group_by=["bot"]),
    ]
    for number, bot in enumerate(bots):
        scope = {"bot": bot}
        most = chance.choice([100_000, 5_000_000, 50_000_000])
        wanted += [
            policy(f"Life {number}", [("tokens", most, life)], scope=scope),
            policy(
                f"Fixed {number}",
                [("tokens", chance.randint(5_000, 40_000), fixed(2 + number % 9))],
                scope=scope,
                **mail,
            ),
            policy(
                f"Rolling {number}",
                [("tokens", chance.choice([60_000, 600_000]), rolling)],
                scope=scope,
            ),
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
    wanted += stopping(policy, fixed, rolling, life, bots)
    for number in range(200 - len(wanted)):
        limits = [
            ("cost", chance.choice([5_000_000, 900_000_000]), life),
            ("tokens", 60_000, fixed(6)),
        ]
        scope = {"model": f"m-{number}*"}
        wanted.append(policy(f"Model {number}", limits, scope=scope))
    return wanted


def stopping(policy, fixed, rolling, life, bots: list[str]) -> list[dict]:
    """Policies that block, revoke, or only look on."""
    wanted = [
        policy(
            f"Stop {number}",
            [("calls", 30, fixed(3))],
            scope={"bot": bots[number]},
            block={"duration_seconds": 1},
        )
        for number in range(4, 8)
    ]
    wanted += [
        policy(
            f"Revoke {number}",
            [("calls", 2_000, life)],
            scope={"bot": bots[number]},
            revoke={},
            email={},
        )
        for number in (8, 9)
    ]
    window = [("tokens", 60_000, rolling)]
    scope = {"bot": bots[10]}
    wanted.append(policy("Stop and go", window, scope=scope, block={}))
    looks_on = policy("Looks on", [("calls", 50, fixed(2))], block={})
    return [*wanted, looks_on | {"rollout_mode": "shadow"}]


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
        sent = document | {"limits": [written(x) for x in document["limits"]]}
        policy = create_policy(
            account=account, document=parse(sent), actor=SYSTEM, now=now()
        )
        made.append({"id": policy.public_id} | document)
    _, admin_key = create_key(
        account=account, name="admin", scopes=["*"], actor=SYSTEM, now=now()
    )
    keys = []
    for _ in range(KEYS):
        scopes = ["decide", "usage:write"]
        key, text = create_key(
            account=account, name="storm", scopes=scopes, actor=SYSTEM, now=now()
        )
        keys.append({"id": key.public_id, "key": text, "scopes": scopes})
    found = {
        "admin_key": admin_key,
        "keys": keys,
        "bots": names,
        "users": [f"u-{number}" for number in range(USERS)],
        "models": [f"m-{number}" for number in range(MODELS)],
        "policies": made,
    }
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
