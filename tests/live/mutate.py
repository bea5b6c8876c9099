"""Many requests that are nearly right: each example of the schema, with faults put in.

Schemathesis knows the schema and is slow; this knows the examples and is quick. Every
request is a pure function of the seed and its number.
"""

import asyncio
import json
import random
import time
from collections import Counter
from dataclasses import dataclass, field

import aiohttp
from yarl import URL

from tests.live.forms import told_of_an_upstream, wrong_with

_RAW = object()
# JSON texts that stand for a value; some of them no reader should take.
VALUES = (
    *("null", "true", "0", "-1", "1", "1.0", "1e3", "-0.0", "1e400", "NaN", "Infinity"),
    *("9007199254740991", "9007199254740992", "9223372036854775808", "9" * 5000),
    *('""', '" "', '"\\u0000"', '"\\ud800"', '"\\udc00\\ud800"', '"\u0661\u0662"'),
    *('"a\\nb"', '"\u202e"', '"' + "x" * 300 + '"', '"' + "\u00e9" * 2001 + '"'),
    *("[]", "{}", "[[]]", '{"a": 1}', '{"": ""}', '[1, "a", null]', '{"a": 1, "a": 2}'),
    *("[" * 40 + "]" * 40, '{"a":' * 40 + "1" + "}" * 40, "[" * 3000),
    *(
        '"2026-02-30T00:00:00Z"',
        '"9999-12-31T23:59:59Z"',
        '"0001-01-01T00:00:00+14:00"',
    ),
    *('"Europe/Nowhere"', '"../../etc/passwd"', '"(a+)+$"', '"http://127.0.0.1/"'),
    *("'single'", "01", "+1", ".5", "tru", "", "//", '"\x01"', "-"),
)
TEXTS = (
    *("", " ", "0", "-1", "201", "1e3", "\u0661", "true", "null", "\x00", "a\x00b"),
    *("x" * 300, "\u202e", "%", "pol_", "bot_0", "' OR 1=1 --", "{}"),
    *(
        "2026-13-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "AAAA",
        "=",
        "a,b",
        "\ud83d\ude00",
    ),
)
TYPES = (
    *("application/json", "text/plain", "application/json; charset=utf-16", ""),
    *("application/cloudevents+json", "multipart/form-data", "application/xml", "*/*"),
)
HEADERS = ("Idempotency-Key", "If-Match", "Accept", "X-Request-Id", "Content-Encoding")
HEADERS += ("Accept-Language", "X-Policy-User", "X-Policy-Target", "Range", "Cookie")
_ENDS = ("/delete", "/revoke", "/archive")
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")


@dataclass
class Operation:
    """One operation of the schema: how it is called when all is right."""

    method: str
    path: str
    body: object = None
    queries: tuple[str, ...] = ()


@dataclass
class Tally:
    """What was answered."""

    wanted: int
    patience: float
    sent: int = 0
    statuses: Counter = field(default_factory=Counter)
    slowest: float = 0.0
    faults: list[str] = field(default_factory=list)


def operations_of(schema: dict) -> list[Operation]:
    """Read the operations from OpenAPI; the open pages are left out."""
    found = []
    for path, methods in schema["paths"].items():
        if not path.startswith(("/api/v1/", "/v1/")):
            continue
        for method, described in methods.items():
            content = described.get("requestBody", {}).get("content", {})
            given = content.get("application/json", {})
            examples = [each["value"] for each in given.get("examples", {}).values()]
            body = given.get("example", examples[0] if examples else None)
            queries = tuple(
                p["name"] for p in described["parameters"] if p["in"] == "query"
            )
            found.append(Operation(method.upper(), path, body, queries))
    return found


class Requests:
    """Makes requests, the same ones for the same seed."""

    def __init__(self, schema: dict, ids: dict[str, str], seed: int) -> None:
        self._operations = operations_of(schema)
        self._ids = ids
        self._chance = random.Random(seed)

    def next(self) -> tuple[str, str, bytes | None, dict[str, str]]:
        """Return a method, a path with its query, a body and headers."""
        chance = self._chance
        operation = chance.choice(self._operations)
        headers = {"If-Match": "*"}
        body = self._body(operation, headers)
        if chance.random() < 0.2:
            headers[chance.choice(HEADERS)] = self._header()
        method = operation.method
        if chance.random() < 0.05:
            method = chance.choice(METHODS)
        return method, self._path(operation) + self._query(operation), body, headers

    def _path(self, operation: Operation) -> str:
        # What is gone is gone for everyone after it: seldom the rows that are there.
        ends = operation.method == "DELETE" or operation.path.endswith(_ENDS)
        wild = 0.98 if ends else 0.25
        parts = []
        for part in operation.path.split("/"):
            if not part.startswith("{"):
                parts.append(part)
            elif self._chance.random() < wild:
                parts.append(_quoted(self._chance.choice(TEXTS)))
            else:
                parts.append(_quoted(self._ids.get(part[1:-1], "pol_0")))
        return "/".join(parts)

    def _query(self, operation: Operation) -> str:
        chance = self._chance
        named = [n for n in operation.queries if chance.random() < 0.3]
        if chance.random() < 0.05:
            named.append(chance.choice(("x", "", "limit", "cursor", "format", "\x00")))
        pairs = [f"{_quoted(n)}={_quoted(self._parameter(n))}" for n in named]
        return "?" + "&".join(pairs) if pairs else ""

    def _parameter(self, name: str) -> str:
        if self._chance.random() < 0.5:
            return self._ids.get(f"{name}_id", "1")
        return self._chance.choice(TEXTS)

    def _header(self) -> str:
        text = self._chance.choice((*TEXTS, *TYPES))
        return "".join(c for c in text if c.isprintable() and ord(c) < 256) or "x"

    def _body(self, operation: Operation, headers: dict[str, str]) -> bytes | None:
        chance = self._chance
        if operation.body is None and chance.random() < 0.8:
            return None
        headers["Content-Type"] = "application/json"
        if chance.random() < 0.05:
            headers["Content-Type"] = chance.choice(TYPES)
        value = self._with_ids(operation.body)
        for _ in range(chance.choice((0, 1, 1, 1, 2, 3))):
            value = self._spoilt(value)
        raw = _encoded(value).encode("utf-8", "surrogatepass")
        if chance.random() < 0.03:
            place = chance.randrange(len(raw) + 1)
            raw = raw[:place] + chance.randbytes(2) + raw[place:]
        return raw

    def _with_ids(self, value: object) -> object:
        text = json.dumps({} if value is None else value)
        for name, known in self._ids.items():
            if known[3:4] == "_":
                prefix = known[:4]
                start = text.find(f'"{prefix}01k')
                if start >= 0 and name != "id":
                    end = text.index('"', start + 1)
                    text = f'{text[:start]}"{known}{text[end:]}'
        return json.loads(text)

    def _spoilt(self, value: object) -> object:
        """Put something else at one place of a value."""
        chance = self._chance
        if isinstance(value, dict) and value and chance.random() < 0.85:
            name = chance.choice(list(value))
            spoilt = dict(value)
            fate = chance.random()
            if fate < 0.1:
                del spoilt[name]
            elif fate < 0.2:
                spoilt[chance.choice(TEXTS)] = (_RAW, chance.choice(VALUES))
            else:
                spoilt[name] = self._spoilt(value[name])
            return spoilt
        if isinstance(value, list) and value and chance.random() < 0.85:
            place = chance.randrange(len(value))
            return [*value[:place], self._spoilt(value[place]), *value[place + 1 :]]
        return (_RAW, chance.choice(VALUES))


def _quoted(text: str) -> str:
    raw = text.encode("utf-8", "surrogatepass")
    plain = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-."
    return "".join(chr(b) if b in plain else f"%{b:02X}" for b in raw)


def _encoded(value: object) -> str:
    if isinstance(value, tuple) and value and value[0] is _RAW:
        return value[1]
    if isinstance(value, dict):
        inner = (f"{json.dumps(k)}: {_encoded(v)}" for k, v in value.items())
        return "{" + ", ".join(inner) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_encoded, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


async def _send(url: str, callers: list, requests: Requests, tally: Tally) -> None:
    left = tally.wanted
    whole = aiohttp.ClientTimeout(total=10)
    async with aiohttp.ClientSession(
        timeout=whole, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False
    ) as session:

        async def work() -> None:
            nonlocal left
            while left > 0:
                left -= 1
                role, who = callers[left % len(callers)]
                await _one(session, url, role, who, requests.next(), tally)

        await asyncio.gather(*(work() for _ in range(8)))


async def _one(session, url, role, who, request, tally: Tally) -> None:
    method, path, body, headers = request
    told = f"{role}: {method} {path[:200]} {headers} {(body or b'')[:600]!r}"
    began = time.monotonic()
    try:
        async with session.request(
            method,
            URL(url + path, encoded=True),
            data=body,
            headers={**headers, **who},
            allow_redirects=False,
        ) as answer:
            raw = await answer.read()
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        tally.faults.append(f"{told}: {error!r}")
        return
    seconds = time.monotonic() - began
    tally.sent += 1
    tally.statuses[answer.status] += 1
    # How long an upstream that is not there is waited for is its own setting.
    of_upstream = told_of_an_upstream(path, raw)
    if not of_upstream:
        tally.slowest = max(tally.slowest, seconds)
    ours = answer.status >= 500 and not of_upstream
    fault = f"{answer.status} {raw[:300]!r}" if ours else ""
    if not fault and answer.status >= 400 and method != "HEAD":
        media_type = answer.headers.get("Content-Type", "")
        fault = wrong_with(path, answer.status, media_type, raw)
    if seconds > tally.patience and not of_upstream:
        fault = f"{fault} after {seconds:.1f} s"
    if fault:
        tally.faults.append(f"{told}: {fault}")


def send(
    url: str,
    schema: dict,
    callers: dict,
    ids: dict,
    *,
    count: int,
    seed: int = 1,
    patience: float = 2.0,
) -> Tally:
    """Send requests as all callers in turn, eight at a time; return what came back.

    An answer that takes longer than `patience` seconds is a fault, unless it tells of
    an upstream.
    """
    tally = Tally(count, patience)
    requests = Requests(schema, ids, seed)
    asyncio.run(_send(url, list(callers.items()), requests, tally))
    return tally
