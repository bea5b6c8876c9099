"""ChatBotKit's published JavaScript client works with base URL and secret changed."""

import httpx
import pytest

from tests.node.run import run_node

pytestmark = [pytest.mark.process, pytest.mark.timeout(600)]


def test_their_sdk_works_unchanged(live):
    secret = live.made["kit"]
    made = httpx.post(
        f"{live.url}/api/v1/bots",
        json={"name": "Support"},
        headers={"Authorization": f"Bearer {secret}"},
        timeout=60,
    )

    said = run_node(
        "chatbotkit.mjs", BASE_URL=live.url, SECRET=secret, BOT_ID=made.json()["id"]
    )
    assert said == "all of it works\n"
