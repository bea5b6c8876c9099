"""A process that has Django loaded and forks workers, which may be killed any time.

It reads a JSON object a line: what to prune, and how. For each it forks a child that
opens connections of its own, and prints the child's id. An empty line asks it to wait
for all children; it prints how each one ended.
"""

import json
import os
import sys
import traceback
from dataclasses import replace
from datetime import datetime

import django

django.setup()

from retention import services  # noqa: E402 (Django comes first)
from retention.pace import FULL, GENTLE, Manner  # noqa: E402


def prune(order: dict) -> None:
    """Prune as a worker does, in batches small enough to die between them."""
    now = datetime.fromisoformat(order["now"])
    # One in eight rests and asks as in production.
    gentle = Manner(GENTLE.batch_seconds, order["batch"], 0.5, asks=True)
    full = replace(FULL, most=order["batch"], workers=order["workers"])
    services.prune_due(
        now=now,
        to_the_end=order["confirmed"],
        witnesses=[datetime.fromisoformat(each) for each in order["witnesses"]],
        manner=gentle if order["gentle"] else full,
    )


def main() -> None:
    children = []
    for line in sys.stdin:
        if line.strip():
            order = json.loads(line)
            child = os.fork()
            if child == 0:
                try:
                    prune(order)
                    sys.stderr.flush()
                    os._exit(0)
                except BaseException:  # noqa: BLE001 (it ends here anyway)
                    traceback.print_exc()
                    sys.stderr.flush()
                    os._exit(1)
            children.append(child)
            answer: object = child
        else:
            answer = [os.waitstatus_to_exitcode(os.waitpid(c, 0)[1]) for c in children]
            children = []
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
