"""A process that dies where it is told to: `python -m tests.faults.victim`.

Reads one order a line from its input, each `{"point", "flow", …}`, and forks for every
one of them: the fork runs the flow on a ledger of its own, with the point armed, and
dies there or prints what it was answered. So a hundred crashes cost a start of Django.
"""

import asyncio
import json
import os
import sys
from datetime import UTC, datetime, timedelta
from uuid import UUID

import django

django.setup()

from accounts.actors import SYSTEM  # noqa: E402 (Django comes first)
from accounts.ids import decode_id  # noqa: E402
from api.lane import lane_conninfo  # noqa: E402
from policies.models import Block, Policy  # noqa: E402
from usage import crashpoints, edits, resets  # noqa: E402
from usage.async_ledger import AsyncLedger  # noqa: E402
from usage.entries import CallIn, EventIn, EventResult, Item, ReleaseIn  # noqa: E402
from usage.expiry import expire_reservations  # noqa: E402


def utc_now() -> datetime:
    return datetime.now(UTC)


def requests(order: dict) -> list:
    bot = order["bot"]
    if order["flow"] == "reserve":
        call = CallIn(
            bot=bot, estimate={"tokens": order["tokens"]}, reserve=True, ttl_seconds=600
        )
        call.idempotency_key, call.request_digest = order["name"], "same"
        return [call]
    if order["flow"] == "release":
        return [ReleaseIn(order["reservation"])]
    if order["flow"] == "settle":
        event = EventIn(bot=bot, id=order["name"], tokens=order["tokens"])
        event.reservation = order["reservation"]
        return [event]
    return [
        EventIn(bot=bot, id=f"{order['name']}-{number}", tokens=order["tokens"])
        for number in range(1 if order["flow"] == "usage" else 50)
    ]


async def on_a_lane(order: dict) -> list:
    account = UUID(order["account"])
    ledger = AsyncLedger(
        conninfo=lane_conninfo(), clock=utc_now, batch_max=256, queue_max=4096
    )
    serving = asyncio.create_task(ledger.serve())
    outcome = await ledger.submit(Item(account, requests(order)))
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)
    told = []
    for answer in outcome.answers:
        if isinstance(answer, EventResult):
            told.append([answer.id, answer.status])
        elif answer.error is not None:
            told.append(["error", answer.error.code])
        else:
            told.append((answer.body.get("reservation") or answer.body)["id"])
    return told


def edit(order: dict) -> list:
    """What people do to a policy, as the pages do it: on Django's connection."""
    policy = Policy.objects.get(id=decode_id("pol", order["policy"]))
    told = {"actor": SYSTEM, "now": utc_now()}
    if order["flow"] == "reset":
        resets.reset_policy(policy=policy, period="all", **told)
    elif order["flow"] == "clear":
        for block in Block.objects.filter(policy=policy, lifted_at=None):
            resets.clear_block(block=block, **told)
    else:
        limits = [dict(limit) for limit in policy.document["limits"]]
        limits[0]["threshold"] = order["threshold"]
        patch = {"limits": limits}
        edits.patch_policy(policy=policy, patch=patch, expected_revision=None, **told)
    return []


def carry_out(order: dict) -> list:
    if order["flow"] in ("reset", "clear", "edit"):
        return edit(order)
    if order["flow"] == "sweep":
        # As the worker's task would in an hour, when everything is overdue.
        return [expire_reservations(now=utc_now() + timedelta(hours=1))]
    return asyncio.run(on_a_lane(order))


def main() -> None:
    # The parent never opens a connection: its forks would share it.
    for line in sys.stdin:
        order = json.loads(line)
        ours, theirs = os.pipe()
        child = os.fork()
        if child == 0:
            crashpoints.reach = crashpoints.armed(order["point"])
            told = carry_out(order)
            os.write(theirs, json.dumps(told).encode())
            os._exit(0)
        os.close(theirs)
        told = b""
        while data := os.read(ours, 65_536):
            told += data
        os.close(ours)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        sys.stdout.write(json.dumps([status, json.loads(told or b"null")]) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
