"""`make bench`: measure, print the tables, write docs/performance.md.

`python -m tests.bench [cell …]` or BENCH_ONLY=bulk,steady measures some cells only.
`BENCH=quick` is a try of a few minutes that writes nothing, BENCH_ROUNDS says how many
rounds there are. What is compared is always of the same run: rounds go through all
subjects in turn, and medians count.
"""

import os
import signal
import sys
from dataclasses import replace

from tests.bench import stage as stages
from tests.bench.load import has_wrk
from tests.bench.rig import QUICK, Plan, Rig, say


def main(arguments: list[str]) -> int:
    if not has_wrk():
        sys.stderr.write("make bench needs wrk: apt-get install wrk\n")
        return 1
    quick = os.environ.get("BENCH") == "quick"
    only = arguments or os.environ.get("BENCH_ONLY", "").replace(",", " ").split()
    plan = QUICK if quick else Plan()
    plan = replace(plan, rounds=int(os.environ.get("BENCH_ROUNDS", plan.rounds)))
    # Whoever stops it early leaves nothing running either.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    stage = stages.prepare()
    try:
        return _run(stage, plan, only, keep=not quick)
    finally:
        stage.end()


def _run(stage: stages.Stage, plan: Plan, only: list[str], *, keep: bool) -> int:
    say(f"a private installation in {stage.state}")
    stage.start_database()
    import django

    django.setup()
    # They need Django to be set up.
    from tests.bench import cells, document

    every = cells.every()
    unknown = set(only) - set(every)
    if unknown:
        sys.stderr.write(f"no such cell: {', '.join(sorted(unknown))}\n")
        sys.stderr.write(f"there are: {', '.join(every)}\n")
        return 2
    rig = Rig(stage, plan)
    for name, module in every.items():
        if only and name not in only:
            continue
        say(f"cell {name}")
        text = module.measure(rig)
        sys.stdout.write(f"\n## {module.TITLE}\n\n{text}\n")
        sys.stdout.flush()
        if keep:
            # At once: what was measured stays, whatever becomes of the next cell.
            document.write({name: (module.TITLE, text)}, list(every))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
