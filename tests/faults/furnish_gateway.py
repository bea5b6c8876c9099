"""One account whose calls go to an upstream of its own. Prints its key.

`python -m tests.faults.furnish_gateway URL SECONDS`; the upstream may take so long.
"""

import sys

import django

django.setup()

from django.utils.timezone import now  # noqa: E402 (Django comes first)

from accounts.actors import SYSTEM  # noqa: E402
from accounts.services import create_account, create_bot, create_key  # noqa: E402
from gateway.services import create_upstream  # noqa: E402
from policies.rules import parse  # noqa: E402
from policies.services import create_policy  # noqa: E402

METRICS = ("tokens", "calls")


def main(url: str, seconds: str) -> None:
    account = create_account(slug="gate", owner_email="o@example.com", now=now())
    bot = create_bot(account=account, name="bot", actor=SYSTEM, now=now())
    values = {"name": "Echo", "base_url": url, "total_seconds": int(seconds)}
    create_upstream(account=account, values=values, actor=SYSTEM, now=now())
    window = {"kind": "lifetime"}
    for metric in METRICS:
        document = {
            "type": "usage",
            "name": f"Cap of {metric}",
            "limits": [{"metric": metric, "threshold": 1_000_000, "window": window}],
            "actions": {"throttle": {}},
        }
        create_policy(
            account=account, document=parse(document), actor=SYSTEM, now=now()
        )
    scopes = ["gateway"]
    _, key = create_key(
        account=account, name="", scopes=scopes, bot=bot, actor=SYSTEM, now=now()
    )
    sys.stdout.write(key)


if __name__ == "__main__":
    main(*sys.argv[1:])
