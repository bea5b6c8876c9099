"""A lane and pages on loopback, over a database that waits for no disk."""

import json
from pathlib import Path

from tests.faults.house import House

_QUICK = ("fsync=off", "full_page_writes=off")


class Server:
    """A running PolicyHub: `url` is its address, `made` what it was furnished with."""

    def __init__(self, folder: Path) -> None:
        self.house = House(folder, options=_QUICK)
        try:
            self.house.prepare()
            self.made = json.loads(self.house.run("-m", "tests.live.furnish"))
            self.house.pages().start()
            lane = self.house.lane()
            lane.start()
            for part in ("pages", "lane"):
                self.house.parts[part].wait_ready()
        except BaseException:
            self.house.end()
            raise
        self.url = f"http://127.0.0.1:{lane.port}"

    @property
    def complaints(self) -> str:
        """What the lane and the pages have written into their logs of faults."""
        logs = [self.house.parts[part].log for part in ("pages", "lane")]
        text = "".join(log.read_text(errors="replace") for log in logs)
        return "\n".join(line for line in text.splitlines() if "ERROR" in line)

    def end(self) -> None:
        """Stop it."""
        self.house.end()
