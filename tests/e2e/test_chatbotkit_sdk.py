"""ChatBotKit's published JavaScript client works with base URL and secret changed."""

import pytest

from tests.node.run import run_node

pytestmark = [
    pytest.mark.process,
    pytest.mark.timeout(600),
]


def test_their_sdk_works_unchanged(installation, api):
    bot = api.post("bots", json={"name": "Support"}).json()["id"]
    # The demo's own policies are not theirs to tell of.
    for policy in api.get("policy/list").json()["items"]:
        api.post(f"policy/{policy['id']}/delete", json={})
    secret = api.headers["Authorization"].removeprefix("Bearer ")

    said = run_node(
        "chatbotkit.mjs", BASE_URL=installation.url, SECRET=secret, BOT_ID=bot
    )
    assert said == "all of it works\n"
