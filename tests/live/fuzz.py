"""Hostile input for the whole API: Schemathesis, spoilt examples, raw bytes.

    python -m tests.live.fuzz [REQUESTS]     (make fuzz)

Starts a lane and pages of its own on loopback. Schemathesis attacks as each role in all
its phases for a while; REQUESTS (100,000 if not said) spoilt examples follow as all
roles in turn, then bytes that are hardly HTTP. Ends with 1 if anything was answered by
a 5xx, by nothing, after 2 s, or in a form that nobody was promised.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx

from tests.live.mutate import send
from tests.live.raw import throw
from tests.live.server import Server

CHECKS = (
    "status_code_conformance,content_type_conformance,"
    "response_headers_conformance,response_schema_conformance,"
    "allow_header_conformance,clear_answer"
)
PHASES = "examples,coverage,fuzzing,stateful"
LEFT_OUT = r"^/(api/docs|api/schema|metrics|healthz)$"
ROLES = (
    "key",
    "owner",
    "operator",
    "auditor",
    "viewer",
    "project key",
    "foreign key",
    "nobody",
)


def furnished(server: Server) -> dict[str, str]:
    """Make a row of each kind; return their ids by the paths' parameters."""
    key = {"Authorization": f"Bearer {server.made['everything']}"}
    found = {"bot_id": server.made["bot"], "project_id": server.made["project"]}
    cap = {"metric": "calls", "threshold": 9, "window": {"kind": "lifetime"}}
    bodies = {
        "policy_id": (
            "policies",
            {"type": "usage", "name": "C", "limits": [cap], "actions": {"warn": {}}},
        ),
        "key_id": ("keys", {"scopes": ["decide"]}),
        "conversation_id": ("conversations", {"bot": found["bot_id"]}),
        "price_id": ("prices", {"model": "m", "total_per_million": "1"}),
        "webhook_id": ("webhooks", {"url": "https://hooks.example.com/"}),
    }
    base = f"{server.url}/api/v1"
    with httpx.Client(base_url=base, headers=key, timeout=30) as client:
        for name, (path, body) in bodies.items():
            answer = client.post(path, json=body)
            if answer.status_code < 300:
                found[name] = answer.json()["id"]
        call = {"bot": found["bot_id"], "reserve": True, "ttl_seconds": 86_400}
        decision = client.post("authorize", json=call).json()
        found["decision_id"] = decision["id"]
        found["id"] = decision["reservation"]["id"]
    return found


def attack(
    server: Server,
    role: str,
    ids: dict[str, str],
    folder: Path,
    *options: str,
    patience: float = 2.0,
) -> dict:
    """Run Schemathesis as one role; return its counts and what it printed."""
    report = folder / f"{role.replace(' ', '-')}.json"
    argv = [str(Path(sys.executable).with_name("schemathesis")), "run"]
    argv += [f"{server.url}/api/schema", "--checks", CHECKS, "--phases", PHASES]
    argv += ["--exclude-path-regex", LEFT_OUT, "--continue-on-failure"]
    argv += ["--request-timeout", "10", "--suppress-health-check", "all"]
    argv += ["--report", "json", "--report-json-path", str(report), "--no-color"]
    argv += ["--warnings", "off", *options]
    for name, value in server.made["callers"][role].items():
        argv += ["--header", f"{name}: {value}"]
    environment = os.environ | {
        "SCHEMATHESIS_HOOKS": "tests.live.checks",
        "LIVE_IDS": json.dumps(ids),
        "LIVE_PATIENCE": str(patience),
    }
    began = time.monotonic()
    done = subprocess.run(
        argv, env=environment, capture_output=True, text=True, check=False
    )
    return {
        "role": role,
        "status": done.returncode,
        "seconds": round(time.monotonic() - began, 1),
        "report": json.loads(report.read_text()) if report.exists() else {},
        "output": done.stdout + done.stderr,
    }


def main(requests: int) -> int:
    """Attack as every role until enough was sent."""
    folder = Path(tempfile.mkdtemp(prefix="policyhub-fuzz-"))
    folder.chmod(0o755)
    server = Server(folder / "house")
    try:
        ids = furnished(server)
        bad = _with_schemathesis(server, ids, folder, seconds=max(5, requests // 1500))
        bad += _with_mutations(server, ids, requests)
        thrown = throw(server.url, server.made["everything"], count=2000)
        say(json.dumps({"raw": thrown}))
        complaints = server.complaints
        say(complaints[-20_000:])
    finally:
        server.end()
        shutil.rmtree(folder, ignore_errors=True)
    return 1 if bad or complaints else 0


def _with_schemathesis(server: Server, ids: dict, folder: Path, seconds: int) -> int:
    bad = 0
    for role in ROLES:
        result = attack(server, role, ids, folder, "--max-time", str(seconds))
        bad += result["status"] != 0
        line = {k: result[k] for k in ("role", "status", "seconds")}
        say(
            json.dumps(
                {
                    **line,
                    "cases": result["report"].get("test_cases", {}).get("generated"),
                }
            )
        )
        if result["status"]:
            say(result["output"][-20_000:])
    return bad


def _with_mutations(server: Server, ids: dict, requests: int) -> int:
    schema = httpx.get(f"{server.url}/api/schema", timeout=60).json()
    began = time.monotonic()
    tally = send(server.url, schema, server.made["callers"], ids, count=requests)
    told = {
        "requests": tally.sent,
        "seconds": round(time.monotonic() - began),
        "slowest_seconds": round(tally.slowest, 2),
        "statuses": dict(sorted(tally.statuses.items())),
        "faults": len(tally.faults),
    }
    say(json.dumps(told))
    for fault in tally.faults[:40]:
        say(fault)
    return len(tally.faults)


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000))
