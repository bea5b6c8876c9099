"""Calls to addresses that users of this installation write down.

The contract, for webhooks and upstreams alike:

1. `check_url` says, without asking anybody, whether an URL may be called at all:
   https, port 443 or 8443, a public host name or address, no user info, no fragment.
   Call it when the URL is saved *and* when it is used.
2. Names are resolved once for each connection, *every* address they have is judged by
   `accounts.addresses`, and the connection goes to a checked address. So a name that
   answers otherwise the second time (DNS rebinding) gains nothing. Host header and
   TLS server name stay those of the URL, and the certificate is checked against them.
3. No redirects, no proxy from the environment, a time limit, and an answer that is
   read no further than it has to be.

`session()` and `post()` keep 2 and 3. Whoever needs a client of its own takes
`connector()` (aiohttp) or connects to what `resolve(target)` returns, and keeps 3
itself: `allow_redirects=False`, `trust_env=False`.

The one exception is an admin's: an origin named in `POLICYHUB_PRIVATE_URLS`
(`http://127.0.0.1:9000`, `https://models.internal:*`) may have any port, a private or
loopback address, and plain http if it says so. Link-local addresses, where clouds
hand out credentials, stay refused. Nobody but who starts the installation can name
one.
"""

import asyncio
import re
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from django.conf import settings
from yarl import URL

from accounts.addresses import (
    is_address,
    is_local_name,
    is_refused,
    problem_of_name,
)

URL_MAX: Final = 2_000
PORTS: Final = frozenset({443, 8443})
SNIPPET_MAX: Final = 1_024
CONNECT_SECONDS: Final = 5.0
TOTAL_SECONDS: Final = 15.0
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
# Stricter than RFC 3986, so that no two parsers can read one URL as two.
_SHAPE: Final = re.compile(
    r"(?P<scheme>[a-z]+)://(?P<host>\[[0-9a-f:.]+\]|[^\[\]:/?#@\\\s]+)"
    r"(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<rest>(?:/[A-Za-z0-9\-._~!$&'()*+,;=:@%/]*)?"
    r"(?:\?[A-Za-z0-9\-._~!$&'()*+,;=:@%/?]*)?)",
    re.ASCII,
)
_AUTHORITY: Final = re.compile(r"[A-Za-z]+://[^/?#]*", re.ASCII)
_ORIGIN: Final = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9a-f:.]+\]|[a-z0-9._-]+)"
    r"(?::(?P<port>[0-9]{1,5}|\*))?",
    re.ASCII,
)
AddressLookup = Callable[[str, int], Iterable[str]]


class UnsafeUrl(Exception):
    """The URL, or what its name resolves to, may not be called; the text says why."""


@dataclass(frozen=True, slots=True)
class Target:
    """A checked URL. `opened` says that an admin named its origin."""

    url: str
    scheme: str
    host: str
    port: int
    opened: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: the status, the first KiB, and how long it took."""

    status: int
    snippet: str
    latency_ms: int


def check_url(url: str, *, private: Sequence[str] | None = None) -> Target:
    """Return the target an URL names, or raise UnsafeUrl; asks no name server.

    `private` replaces the origins of the setting `POLICYHUB_PRIVATE_URLS`.
    """
    found = _match(url)
    scheme, host = found["scheme"], found["host"].strip("[]").removesuffix(".")
    port = int(found["port"] or _DEFAULT_PORTS[scheme])
    if not 0 < port < 65_536:
        raise UnsafeUrl("names no port from 1 to 65535")
    problem = None if is_address(host) else problem_of_name(host)
    if problem is not None:
        raise UnsafeUrl(problem)
    opened = _is_opened(scheme, host, port, private)
    if not opened:
        _check_public(scheme, host, port)
    if is_address(host):
        _check_address(host, opened=opened)
    shown = f"[{host}]" if ":" in host else host
    authority = shown if port == _DEFAULT_PORTS[scheme] else f"{shown}:{port}"
    path = found["rest"]
    path = path if path.startswith("/") else "/" + path
    return Target(f"{scheme}://{authority}{path}", scheme, host, port, opened)


def _match(url: str) -> re.Match[str]:
    if len(url) > URL_MAX:
        raise UnsafeUrl(f"is longer than {URL_MAX} characters")
    authority = _AUTHORITY.match(url)
    lowered = authority[0].lower() if authority else ""
    found = _SHAPE.fullmatch(lowered + url[len(lowered) :])
    if found is None or found["scheme"] not in _DEFAULT_PORTS:
        raise UnsafeUrl("must read https://host/path, without user, space or fragment")
    return found


def _check_public(scheme: str, host: str, port: int) -> None:
    if scheme != "https":
        raise UnsafeUrl("must start with https://")
    if port not in PORTS:
        raise UnsafeUrl("must use port 443 or 8443")
    if not is_address(host) and is_local_name(host):
        raise UnsafeUrl(f"names a host of a private network{_HINT}")


_HINT: Final = "; an admin can open it with POLICYHUB_PRIVATE_URLS"


def _check_address(address: str, *, opened: bool) -> None:
    kind = is_refused(address, opened=opened)
    if kind is not None:
        hint = _HINT if kind in ("private", "loopback") else ""
        raise UnsafeUrl(f"leads to an address that is not public ({kind}){hint}")


def _is_opened(
    scheme: str, host: str, port: int, private: Sequence[str] | None
) -> bool:
    origins = settings.POLICYHUB_PRIVATE_URLS if private is None else private
    for origin in origins:
        found = _ORIGIN.fullmatch(origin.lower())
        if found is None or found["scheme"] != scheme:
            continue
        wanted = found["port"] or str(_DEFAULT_PORTS[scheme])
        if found["host"].strip("[]") == host and wanted in ("*", str(port)):
            return True
    return False


def system_lookup(host: str, port: int) -> list[str]:
    """Return the addresses the system's resolver has for a name. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(row[4][0]) for row in found))


def resolve(target: Target, *, lookup: AddressLookup = system_lookup) -> list[str]:
    """Return the checked addresses to connect to, asking for the name once.

    One address that is not public condemns them all. Raises UnsafeUrl, and OSError
    when the name is not known.
    """
    if is_address(target.host):
        addresses = [target.host]
    else:
        addresses = list(lookup(target.host, target.port))
    if not addresses:
        raise UnsafeUrl("has a name without an address")
    for address in addresses:
        _check_address(address.partition("%")[0], opened=target.opened)
    return addresses


class CheckedResolver(AbstractResolver):
    """aiohttp's way to addresses: each is judged before anything connects to it.

    aiohttp does not ask a resolver about addresses written in the URL; `check_url`
    has judged those.
    """

    def __init__(
        self,
        *,
        private: Sequence[str] | None = None,
        lookup: AddressLookup = system_lookup,
    ) -> None:
        self._private = private
        self._lookup = lookup

    async def resolve(
        self, host: str, port: int = 0, family: int = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the checked addresses of a name. Raises UnsafeUrl and OSError."""
        opened = any(
            _is_opened(scheme, host, port, self._private) for scheme in _DEFAULT_PORTS
        )
        target = Target("", "", host, port, opened)
        loop = asyncio.get_running_loop()
        addresses = await loop.run_in_executor(
            None, lambda: resolve(target, lookup=self._lookup)
        )
        return [_result(host, address, port) for address in addresses]

    async def close(self) -> None:
        """Hold nothing, so there is nothing to close."""


def _result(host: str, address: str, port: int) -> ResolveResult:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return ResolveResult(
        hostname=host,
        host=address,
        port=port,
        family=family,
        proto=0,
        flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
    )


def connector(
    *,
    private: Sequence[str] | None = None,
    lookup: AddressLookup = system_lookup,
    **options: Any,
) -> aiohttp.TCPConnector:
    """Return an aiohttp connector that connects to checked addresses alone.

    It remembers no answer of a name server. `options` are TCPConnector's own.
    """
    resolver = CheckedResolver(private=private, lookup=lookup)
    return aiohttp.TCPConnector(resolver=resolver, use_dns_cache=False, **options)


def session(
    *,
    private: Sequence[str] | None = None,
    lookup: AddressLookup = system_lookup,
    **options: Any,
) -> aiohttp.ClientSession:
    """Return a client that takes no proxy, cookie or password from anywhere.

    `options` are the connector's, such as `limit` or `ssl`.
    """
    return aiohttp.ClientSession(
        connector=connector(private=private, lookup=lookup, **options),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(
            total=TOTAL_SECONDS, sock_connect=CONNECT_SECONDS
        ),
        trust_env=False,
        auto_decompress=False,
        max_line_size=4_096,
        max_field_size=4_096,
    )


async def post(
    client: aiohttp.ClientSession,
    url: str,
    *,
    body: bytes,
    headers: Mapping[str, str],
    private: Sequence[str] | None = None,
) -> Answer:
    """Send a body and return the answer, read no further than its first KiB.

    Follows no redirect: a 3xx is an answer like any other. Raises UnsafeUrl,
    OSError, aiohttp.ClientError and TimeoutError.
    """
    target = check_url(url, private=private)
    started = monotonic()
    sending = client.post(
        URL(target.url, encoded=True),
        data=body,
        headers=headers,
        allow_redirects=False,
    )
    async with sending as answer:
        snippet = await _first_bytes(answer)
        passed = round((monotonic() - started) * 1_000)
        # The rest of a long answer is not waited for: the connection ends here.
        answer.close()
        return Answer(answer.status, snippet, passed)


async def _first_bytes(answer: aiohttp.ClientResponse) -> str:
    read = b""
    while len(read) < SNIPPET_MAX:
        part = await answer.content.read(SNIPPET_MAX - len(read))
        if not part:
            break
        read += part
    return read.decode("utf-8", "replace").replace("\x00", "�")
