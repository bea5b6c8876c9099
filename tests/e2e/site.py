"""A lane and pages over a short demo, for browsers that look at every page."""

import json
import re
import time
from pathlib import Path

from tests.faults.house import House

_QUICK = ("fsync=off", "full_page_writes=off")
PASSWORD = "correct horse battery"
_LINK = re.compile(r"https?://[^\s<>\"]+")


class Site:
    """A running PolicyHub: `url` is its address, `ids` what paths may name."""

    def __init__(self, folder: Path, *arguments: str, **settings: str) -> None:
        self.house = House(folder, options=_QUICK)
        try:
            self._build(*arguments)
            lane = self.house.lane()
            # Passkeys work under a name, not under an address in numbers.
            self.url = f"http://localhost:{lane.port}"
            pages = self.house.pages()
            for part in (lane, pages):
                part.environment |= {"POLICYHUB_SITE_URL": self.url, **settings}
                part.start()
            for part in (pages, lane):
                part.wait_ready()
        except BaseException:
            self.house.end()
            raise

    def _build(self, *arguments: str) -> None:
        self.house.prepare()
        made = self.house.run("-m", "tests.e2e.furnish", *arguments)
        self.ids = json.loads(made or "{}")

    @property
    def demo_login(self) -> tuple[str, str]:
        """Address and password of the one who owns `demo` and is an admin."""
        address, password = (self.house.state_dir / "demo-login").read_text().split()
        return address, password

    @property
    def complaints(self) -> str:
        """What lane and pages wrote into their logs of faults."""
        logs = [self.house.parts[part].log for part in ("pages", "lane")]
        text = "".join(log.read_text(errors="replace") for log in logs)
        return "\n".join(line for line in text.splitlines() if "ERROR" in line)

    def mailed_link(self, address: str, part: str, seconds: float = 60) -> str:
        """Return the newest link with `part` in it that was mailed to an address."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            files = sorted((self.house.state_dir / "mail").glob("*.log"))
            for file in reversed(files):
                text = file.read_text(errors="replace")
                links = [link for link in _LINK.findall(text) if part in link]
                if f"To: {address}" in text and links:
                    return links[-1]
            time.sleep(0.05)
        raise AssertionError(f"no mail to {address} has a link with {part}")

    def end(self) -> None:
        """Stop it."""
        self.house.end()
