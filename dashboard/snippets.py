"""The first call in several languages, with the reader's own address, bot and key.

Pure. Each asks before the call and reports what it used, but for the gateway's, which
does both by itself.
"""

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

ENVIRONMENT_NAME: Final = "POLICYHUB_KEY"
TABS: Final = ("curl", "openai", "python", "node")


@dataclass(frozen=True, slots=True)
class Snippet:
    """One tab: `name` in the address, `title` on the tab, and the code."""

    name: str
    title: str
    code: str


def env_line(key: str) -> str:
    """Return the line of an `.env` file that holds a key."""
    return f"{ENVIRONMENT_NAME}={key}"


def snippets(*, site: str, bot: str, key: str, model: str) -> Sequence[Snippet]:
    """Return the first call in every language.

    `site` is scheme and host without a slash at the end; `model` is one the gateway
    knows.
    """
    given = {"site": json.dumps(site), "bot": json.dumps(bot), "key": json.dumps(key)}
    shell = {name: shlex.quote(text) for name, text in (("site", site), ("key", key))}
    return (
        Snippet("curl", "curl", _CURL.format(**shell, bot=bot)),
        Snippet(
            "openai",
            "Python openai",
            _OPENAI.format(**given, model=json.dumps(model)),
        ),
        Snippet("python", "Python REST", _PYTHON.format(**given)),
        Snippet("node", "Node", _NODE.format(**given)),
    )


def curl_line(*, site: str, body: str, dry_run: bool = False) -> str:
    """Return the line that asks what a form asked; the key comes from outside."""
    query = "?dry_run=1" if dry_run else ""
    return (
        f"curl {shlex.quote(f'{site}/api/v1/authorize{query}')} \\\n"
        f'  -H "Authorization: Bearer ${ENVIRONMENT_NAME}" \\\n'
        '  -H "Content-Type: application/json" \\\n'
        f"  -d {shlex.quote(body)}"
    )


_CURL: Final = """\
export POLICYHUB_URL={site}
export POLICYHUB_KEY={key}

# May this call go ahead?
curl "$POLICYHUB_URL/api/v1/authorize" \\
  -H "Authorization: Bearer $POLICYHUB_KEY" \\
  -H "Content-Type: application/json" \\
  -d '{{"bot": "{bot}", "estimate": {{"tokens": 500}}}}'

# It went ahead: this is what it used.
curl "$POLICYHUB_URL/api/v1/usage" \\
  -H "Authorization: Bearer $POLICYHUB_KEY" \\
  -H "Content-Type: application/json" \\
  -d '{{"bot": "{bot}", "tokens": 420}}'"""

_OPENAI: Final = """\
# pip install openai
from openai import OpenAI

client = OpenAI(
    base_url={site} + "/v1",
    api_key={key},
)
answer = client.chat.completions.create(
    model={model},
    messages=[{{"role": "user", "content": "Hello"}}],
)
print(answer.choices[0].message.content)"""

_PYTHON: Final = """\
import json
from urllib.request import Request, urlopen

SITE = {site}
KEY = {key}


def call(path, body):
    request = Request(SITE + path, json.dumps(body).encode())
    request.add_header("Authorization", "Bearer " + KEY)
    request.add_header("Content-Type", "application/json")
    with urlopen(request) as answer:
        return json.load(answer)


bot = {bot}
decision = call("/api/v1/authorize", {{"bot": bot, "estimate": {{"tokens": 500}}}})
if decision["allowed"]:
    # Call the model here, then say what it used.
    print(call("/api/v1/usage", {{"bot": bot, "tokens": 420}}))
else:
    print(decision["message"])"""

_NODE: Final = """\
const site = {site};
const key = {key};

async function call(path, body) {{
  const answer = await fetch(site + path, {{
    method: "POST",
    headers: {{ Authorization: `Bearer ${{key}}`, "Content-Type": "application/json" }},
    body: JSON.stringify(body),
  }});
  if (!answer.ok) throw new Error(await answer.text());
  return answer.json();
}}

(async () => {{
  const bot = {bot};
  const estimate = {{ tokens: 500 }};
  const decision = await call("/api/v1/authorize", {{ bot, estimate }});
  if (!decision.allowed) return console.log(decision.message);
  // Call the model here, then say what it used.
  console.log(JSON.stringify(await call("/api/v1/usage", {{ bot, tokens: 420 }})));
}})();"""
