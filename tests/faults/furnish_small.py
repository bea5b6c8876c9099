"""One account, one bot, policies of every kind of window, a key. Printed as JSON."""

import json
import sys

import django

django.setup()

from django.utils.timezone import now  # noqa: E402 (Django comes first)

from accounts.actors import SYSTEM  # noqa: E402
from accounts.services import create_account, create_bot, create_key  # noqa: E402
from policies.rules import parse  # noqa: E402
from policies.services import create_policy  # noqa: E402

WINDOWS = (
    {"kind": "lifetime"},
    {"kind": "fixed", "seconds": 86_400},
    {"kind": "rolling", "seconds": 86_400},
    {"kind": "calendar", "unit": "year"},
)


def main() -> None:
    account = create_account(slug="crash", owner_email="o@example.com", now=now())
    bot = create_bot(account=account, name="bot", actor=SYSTEM, now=now())
    for number, window in enumerate(WINDOWS):
        limit = {"metric": "tokens", "threshold": 1_000_000, "window": window}
        document = {
            "type": "usage",
            "name": f"Cap {number}",
            "scope": {"bot": bot.public_id},
            "limits": [limit],
            "actions": {"throttle": {}, "email": {}},
            "alert_steps": [1, 100] if number == 0 else [100],
        }
        create_policy(
            account=account, document=parse(document), actor=SYSTEM, now=now()
        )
    # For edits: it blocks at once, and looks at its own bot only.
    edited = create_bot(account=account, name="edited", actor=SYSTEM, now=now())
    document = {
        "type": "usage",
        "name": "Edited",
        "scope": {"bot": edited.public_id},
        "limits": [{"metric": "calls", "threshold": 2, "window": WINDOWS[0]}],
        "actions": {"block": {"duration_seconds": None}},
    }
    policy = create_policy(
        account=account, document=parse(document), actor=SYSTEM, now=now()
    )
    # Caps of its own may be passed without a database; the others do not concern it.
    passing = create_bot(account=account, name="open", actor=SYSTEM, now=now())
    limit = {"metric": "tokens", "threshold": 1_000_000, "window": WINDOWS[0]}
    document = {
        "type": "usage",
        "name": "Open",
        "scope": {"bot": passing.public_id},
        "limits": [limit],
        "actions": {"throttle": {}},
        "fail_mode": "open",
    }
    create_policy(account=account, document=parse(document), actor=SYSTEM, now=now())
    _, key = create_key(
        account=account, name="faults", scopes=["*"], actor=SYSTEM, now=now()
    )
    made = {"key": key, "bot": bot.public_id, "account": str(account.id)}
    made["open"] = passing.public_id
    made |= {"edited": edited.public_id, "policy": policy.public_id}
    sys.stdout.write(json.dumps(made))


if __name__ == "__main__":
    main()
