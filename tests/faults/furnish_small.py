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
            "limits": [limit],
            "actions": {"throttle": {}, "email": {}},
            "alert_steps": [1, 100] if number == 0 else [100],
        }
        create_policy(
            account=account, document=parse(document), actor=SYSTEM, now=now()
        )
    _, key = create_key(
        account=account, name="faults", scopes=["*"], actor=SYSTEM, now=now()
    )
    made = {"key": key, "bot": bot.public_id, "account": str(account.id)}
    sys.stdout.write(json.dumps(made))


if __name__ == "__main__":
    main()
