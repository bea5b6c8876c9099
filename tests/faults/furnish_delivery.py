"""Accounts whose every user crosses a limit with the first call. Printed as JSON.

`python -m tests.faults.furnish_delivery ACCOUNTS SINK_URL`
"""

import json
import sys

import django

django.setup()

from django.utils.timezone import now  # noqa: E402 (Django comes first)

from accounts.actors import SYSTEM  # noqa: E402
from accounts.services import create_account, create_bot, create_key  # noqa: E402
from alerts.services import create_webhook  # noqa: E402
from policies.rules import parse  # noqa: E402
from policies.services import create_policy  # noqa: E402

LIMIT = {
    "metric": "calls",
    "threshold": 1,
    "window": {"kind": "calendar", "unit": "year"},
}


def account(number: int, sink: str) -> dict:
    made = create_account(
        slug=f"house-{number}", owner_email=f"owner-{number}@example.com", now=now()
    )
    bot = create_bot(account=made, name="bot", actor=SYSTEM, now=now())
    webhook, secret = create_webhook(
        account=made, url=f"{sink}/{number}", types=[], actor=SYSTEM, now=now()
    )
    document = {
        "type": "usage",
        "name": f"One call a user, {number}",
        "limits": [LIMIT],
        "group_by": ["user"],
        "actions": {"email": {}, "webhook": {"to": [webhook.public_id]}},
    }
    create_policy(account=made, document=parse(document), actor=SYSTEM, now=now())
    _, key = create_key(
        account=made, name="faults", scopes=["*"], actor=SYSTEM, now=now()
    )
    return {"key": key, "bot": bot.public_id, "secret": secret}


def main() -> None:
    count, sink = int(sys.argv[1]), sys.argv[2]
    sys.stdout.write(json.dumps([account(number, sink) for number in range(count)]))


if __name__ == "__main__":
    main()
