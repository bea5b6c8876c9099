"""Bytes that are no HTTP, or hardly: the lane answers or hangs up, and lives on."""

import random
import socket

_PATHS = (
    b"/api/v1/usage",
    b"/api/v1/authorize",
    b"/api/v1/bots",
    b"/v1/models",
    b"/app/",
    b"/\xff%00",
    b"*",
    b"http://x/",
)
_METHODS = (b"GET", b"POST", b"PUT", b"BREW", b"", b"G\x00T", b"CONNECT", b"TRACE")
_VERSIONS = (b"HTTP/1.1", b"HTTP/1.0", b"HTTP/9.9", b"HTTP", b"", b"HTTP/1.1\x00")
_HEADERS = (
    b"Content-Length: 10",
    b"Content-Length: -1",
    b"Content-Length: 1\r\nContent-Length: 2",
    b"Content-Length: 99999999999999999999",
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: chunked\r\nContent-Length: 3",
    b"Transfer-Encoding: gzip, chunked",
    b"Host: \xff\x00",
    b"Host: a\r\nHost: b",
    b"Expect: 100-continue",
    b"Upgrade: websocket\r\nConnection: Upgrade",
    b"Connection: close, \x01",
    b": nameless",
    b"X-Long: " + b"x" * 70_000,
    b" folded: value",
    b"Cookie: " + b"a=b; " * 3_000,
    b"X-Request-Id: \xe2\x80\xae",
    b"Idempotency-Key: \x80",
    b"Content-Type: application/json",
    b"Content-Encoding: gzip",
)
_BODIES = (
    b"",
    b"{}",
    b'{"bot": "a"}',
    b"5\r\nhello\r\n0\r\n\r\n",
    b"ffffffffffffffff\r\n",
    b"\x00" * 100,
    b"-1\r\n\r\n",
    b"[" * 10_000,
)
SLOW_SECONDS = 2.0


def request_of(chance: random.Random, key: str) -> bytes:
    """Make one request that may be anything."""
    if chance.random() < 0.1:
        return chance.randbytes(chance.randint(1, 400))
    lines = [
        b" ".join(
            (chance.choice(_METHODS), chance.choice(_PATHS), chance.choice(_VERSIONS))
        )
    ]
    if chance.random() < 0.8:
        lines.append(b"Host: 127.0.0.1")
    if chance.random() < 0.7:
        lines.append(f"Authorization: Bearer {key}".encode())
    lines += chance.sample(_HEADERS, chance.randint(0, 3))
    raw = b"\r\n".join(lines) + b"\r\n\r\n" + chance.choice(_BODIES)
    if chance.random() < 0.3:
        place = chance.randrange(len(raw))
        raw = raw[:place] + chance.randbytes(3) + raw[place + chance.randint(0, 3) :]
    return raw


def throw(url: str, key: str, *, count: int, seed: int = 1) -> int:
    """Send them one after the other; return how many. Raises AssertionError.

    After each, its connection is closed for writing: an answer or the end has to come.
    """
    host, _, port = url.removeprefix("http://").partition(":")
    chance = random.Random(seed)
    for number in range(count):
        raw = request_of(chance, key)
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            connection.settimeout(SLOW_SECONDS)
            told = _told(connection, raw)
        status = told.split(b" ", 2)[1][:3] if told.startswith(b"HTTP/") else b"none"
        assert not status.startswith(b"5"), (seed, number, raw[:300], told[:500])
    return count


def _told(connection: socket.socket, raw: bytes) -> bytes:
    told = b""
    try:
        connection.sendall(raw)
        connection.shutdown(socket.SHUT_WR)
        while chunk := connection.recv(65_536):
            told += chunk
    except TimeoutError:
        raise AssertionError(f"no end within {SLOW_SECONDS} s: {raw[:300]!r}") from None
    except OSError:
        # Hung up on, with some of ours unread.
        pass
    return told
