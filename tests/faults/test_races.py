"""No stale allow: calls on two lanes against edits by two other processes (C9)."""

import json
import os
import subprocess
import sys

import pytest

from tests.faults.house import ROOT, House

ROUNDS = int(os.environ.get("RACES", "60"))


@pytest.mark.process
@pytest.mark.timeout(3600)
def test_an_edit_is_obeyed_by_the_next_call(tmp_path_factory):
    house = House(tmp_path_factory.mktemp("races"))
    try:
        house.prepare()
        lanes = [house.lane(f"lane{number}") for number in (1, 2)]
        for lane in lanes:
            lane.start()
        for lane in lanes:
            lane.wait_ready()
        found = race(house, [lane.port for lane in lanes])
    finally:
        house.end()

    assert sum(each["edits"] for each in found) == 2 * ROUNDS
    # Without calls that fall into forbidden time nothing would have been tried.
    assert sum(each["calls_after_an_edit"] for each in found) >= ROUNDS
    assert [each["stale_allows"] for each in found] == [0, 0]
    assert [each["stale_keys"] for each in found] == [0, 0]
    assert [each["stale_bots"] for each in found] == [0, 0]


def race(house, ports):
    processes = []
    for number in (1, 2):
        config = house.folder / f"race{number}.json"
        told = {"ports": ports, "number": number, "rounds": ROUNDS}
        config.write_text(json.dumps(told))
        processes.append(
            subprocess.Popen(
                [sys.executable, "-m", "tests.faults.races", str(config)],
                cwd=ROOT,
                env=house.environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        )
    found = []
    for process in processes:
        told, error = process.communicate(timeout=3500)
        assert process.returncode == 0, error[-3000:].decode()
        found.append(json.loads(told))
    sys.stdout.write(f"{found}\n")
    return found
