"""A client that is generated from the schema talks to what the schema describes."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

pytestmark = [pytest.mark.process, pytest.mark.timeout(400)]

GENERATOR = Path(sys.executable).with_name("openapi-python-client")
BATCH = "application/cloudevents-batch+json"


@pytest.fixture(scope="module")
def package(live, tmp_path_factory):
    """The generated package, importable as `generated`."""
    folder = tmp_path_factory.mktemp("client")
    document = folder / "schema.json"
    schema = httpx.get(f"{live.url}/api/schema", timeout=60).json()
    # It asks `isinstance(body, list[…])` of an array among others: Python refuses that.
    del schema["paths"]["/api/v1/usage"]["post"]["requestBody"]["content"][BATCH]
    document.write_text(json.dumps(schema))
    argv = [str(GENERATOR), "generate", "--path", str(document), "--meta", "none"]
    argv += ["--output-path", str(folder / "generated"), "--overwrite"]
    done = subprocess.run(argv, capture_output=True, text=True, cwd=folder, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "unable to" not in done.stdout.lower(), done.stdout
    sys.path.insert(0, str(folder))
    try:
        yield "generated"
    finally:
        sys.path.remove(str(folder))


def test_it_writes_a_policy_asks_records_and_lists(live, package):
    def call(tag, operation, body=None, **more):
        module = importlib.import_module(f"{package}.api.{tag}.{tag}_{operation}")
        given = more if body is None else {**more, "body": body}
        answer = module.sync_detailed(client=client, **given)
        assert answer.status_code < 300, answer.content
        return answer.parsed

    models = importlib.import_module(f"{package}.models")
    made = importlib.import_module(package)
    client = made.AuthenticatedClient(
        base_url=live.url,
        token=live.made["alone"],
        raise_on_unexpected_status=True,
    )

    bot = call("bots", "create", models.BotBodyRequest(name="Generated"))
    policy = models.UsagePolicy.from_dict(
        {
            "type": "usage",
            "name": "Cap",
            "scope": {"bot": bot.id},
            "limits": [
                {"metric": "tokens", "threshold": 100, "window": {"kind": "lifetime"}}
            ],
            "actions": {"throttle": {}},
        }
    )
    written = call("policies", "create", policy)
    assert written.revision == 1

    asked = models.Call.from_dict(
        {"bot": bot.id, "estimate": {"tokens": 60}, "reserve": True}
    )
    granted = call("decide", "authorize", asked)
    assert granted.allowed is True
    held = granted.reservation.id
    event = models.UsageEvent(bot=bot.id, tokens=50, reservation=held)
    recorded = call("usage", "record", event)
    assert recorded.data[0].status == "recorded"

    refused = call("decide", "authorize", asked)
    assert (refused.allowed, refused.reason_code) == (False, "throttled")
    listed = call("bots", "list", limit=200)
    assert bot.id in [each.id for each in listed.data]
    read = call("policies", "usage", policy_id=written.id)
    assert read.data[0].used == 50
