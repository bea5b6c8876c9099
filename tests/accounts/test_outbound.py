"""Nothing that a user writes down makes this installation call where it must not."""

import asyncio
import socket
import ssl
import threading

import aiohttp
import pytest

from accounts.outbound import (
    SNIPPET_MAX,
    UnsafeUrl,
    check_url,
    connector,
    post,
    resolve,
    session,
)

HOSTILE = """
http://example.com/hook
ftp://example.com/hook
file:///etc/passwd
gopher://example.com:70/_x
javascript:alert(1)
//example.com/hook
https:example.com
https:///etc/passwd
https://
https://example.com:80/
https://example.com:22/
https://example.com:6379/
https://example.com:0/
https://example.com:65536/
https://example.com:99999999/
https://user@example.com/
https://user:password@example.com/
https://example.com@127.0.0.1/
https://127.0.0.1\\@example.com/
https://example.com\\.evil.com/
https://example.com/#@127.0.0.1/
https://example.com /
https://exa mple.com/
https://example.com/\r\nHost: 127.0.0.1
https://example.com/\x00
https://127.0.0.1/
https://127.1/
https://127.0.1/
https://2130706433/
https://0x7f000001/
https://0x7f.0.0.1/
https://0177.0.0.1/
https://017700000001/
https://0/
https://0.0.0.0/
https://127.0.0.1./
https://localhost/
https://LOCALHOST/
https://localhost./
https://a.localhost/
https://printer.local/
https://metadata.google.internal/computeMetadata/v1/
https://kubernetes.default.svc.internal/
https://database/
https://router.lan/
https://10.0.0.1/
https://10.255.255.255/
https://172.16.0.1/
https://172.31.255.255/
https://192.168.1.1/
https://100.64.0.1/
https://100.100.100.200/latest/meta-data/
https://169.254.169.254/latest/meta-data/
https://168.63.129.16/
https://192.0.0.192/
https://192.0.2.7/
https://192.88.99.1/
https://198.18.0.1/
https://198.51.100.7/
https://203.0.113.7/
https://224.0.0.1/
https://239.255.255.250/
https://240.0.0.1/
https://255.255.255.255/
https://[::]/
https://[::1]/
https://[::127.0.0.1]/
https://[::7f00:1]/
https://[::ffff:127.0.0.1]/
https://[::ffff:7f00:1]/
https://[::ffff:10.0.0.1]/
https://[::ffff:0:127.0.0.1]/
https://[64:ff9b::127.0.0.1]/
https://[64:ff9b::a9fe:a9fe]/
https://[64:ff9b:1::10.0.0.1]/
https://[2002:7f00:1::]/
https://[2002:a00:1::1]/
https://[2001:0:4136:e378:8000:63bf:3fff:fdd2]/
https://[2001:db8::1]/
https://[3fff::1]/
https://[fc00::1]/
https://[fd00:ec2::254]/
https://[fe80::1]/
https://[fe80::1%25eth0]/
https://[fec0::1]/
https://[ff02::1]/
https://[5f00::1]/
https://[::1
https://::1/
https://%31%32%37.0.0.1/
https://127%2e0%2e0%2e1/
https://１２７.0.0.1/
https://127。0。0。1/
https://ⓔxample.com/
https://exämple.com/
https://-example.com/
https://exam..ple.com/
https://example.com/ü
https://example.com/a b
""".strip("\n").split("\n")

GOOD = [
    ("https://example.com", "https://example.com/"),
    ("https://example.com/hook?a=b&c=%20", "https://example.com/hook?a=b&c=%20"),
    ("HTTPS://Example.COM/Hook", "https://example.com/Hook"),
    ("https://example.com:443/x", "https://example.com/x"),
    ("https://example.com:8443/x", "https://example.com:8443/x"),
    ("https://example.com.:8443?x=1", "https://example.com:8443/?x=1"),
    ("https://xn--exmple-cua.com/", "https://xn--exmple-cua.com/"),
    ("https://93.184.215.14/", "https://93.184.215.14/"),
    ("https://[2606:2800:21f:cb07::1]/", "https://[2606:2800:21f:cb07::1]/"),
    ("https://[64:ff9b::5db8:d70e]/", "https://[64:ff9b::5db8:d70e]/"),
    ("https://a_b.example.com/@x", "https://a_b.example.com/@x"),
]


def test_the_corpus_is_large():
    assert len(HOSTILE) == len(set(HOSTILE)) >= 60


@pytest.mark.parametrize("url", [*HOSTILE, "https://" + "a" * 2000, "", "https"])
def test_a_hostile_url_is_refused_before_any_name_is_resolved(url):
    with pytest.raises(UnsafeUrl):
        check_url(url)


@pytest.mark.parametrize(("url", "normal"), GOOD)
def test_a_public_url_is_taken(url, normal):
    assert check_url(url).url == normal
    assert check_url(normal).url == normal


ADDRESSES = [
    "127.0.0.1",
    "100.64.0.1",
    "169.254.169.254",
    "64:ff9b::7f00:1",
    "2002:7f00:1::",
    "::127.0.0.1",
    "::ffff:10.0.0.1",
    "224.0.0.1",
    "fe80::1%eth0",
    "fd00::1",
]


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_name_that_leads_inside_is_refused(address):
    target = check_url("https://hooks.example.com/")

    with pytest.raises(UnsafeUrl):
        resolve(target, lookup=lambda *_: [address])
    with pytest.raises(UnsafeUrl):  # one good address does not excuse it
        resolve(target, lookup=lambda *_: ["93.184.215.14", address])


def test_a_name_without_addresses_is_refused():
    with pytest.raises(UnsafeUrl):
        resolve(check_url("https://hooks.example.com/"), lookup=lambda *_: [])


def test_an_admin_can_open_a_private_origin_and_nothing_beside_it():
    private = ["http://127.0.0.1:9000", "https://models.internal:*", "http://[::1]"]

    assert check_url("http://127.0.0.1:9000/x", private=private).opened
    assert check_url("http://[::1]/x", private=private).opened
    models = check_url("https://models.internal:11434/", private=private)
    assert resolve(models, lookup=lambda *_: ["10.0.0.7"]) == ["10.0.0.7"]
    for url in (
        "https://127.0.0.1:9000/",
        "http://127.0.0.1:9001/",
        "http://127.0.0.1/",
        "http://models.internal:11434/",
        "https://models.internal.example.internal/",
        "http://127.0.0.1:9000@169.254.169.254/",
    ):
        with pytest.raises(UnsafeUrl):
            check_url(url, private=private)
    # Not even an opened name may lead to where clouds hand out credentials.
    for address in ("169.254.169.254", "fd00:ec2::254", "0.0.0.0", "224.0.0.1"):
        with pytest.raises(UnsafeUrl):
            resolve(models, lookup=lambda *_, address=address: [address])


class Sink:
    """Answers each connection with the same bytes and remembers what it was sent."""

    def __init__(self, answer, *, hold=False):
        self.answer, self.hold, self.heard = answer, hold, []
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                connection, _ = self.server.accept()
            except OSError:
                return
            with connection:
                try:
                    connection.settimeout(5)
                    self.heard.append(connection.recv(65536))
                    connection.sendall(self.answer)
                    while self.hold and connection.recv(1):
                        pass
                except OSError:
                    continue

    def close(self):
        self.server.close()


@pytest.fixture
def sink():
    sinks = []

    def make(answer, **options):
        sinks.append(Sink(answer, **options))
        return sinks[-1]

    yield make
    for one in sinks:
        one.close()


def send(url, *, private, lookup=None, **options):
    async def work():
        given = {} if lookup is None else {"lookup": lookup}
        async with session(private=private, **given, **options) as client:
            return await post(
                client, url, body=b"{}", headers={"X-A": "b"}, private=private
            )

    return asyncio.run(work())


def test_the_connection_goes_to_the_checked_address_and_the_host_stays(sink):
    place = sink(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    origin = f"http://hooks.internal:{place.port}"

    answer = send(f"{origin}/x", private=[origin], lookup=lambda *_: ["127.0.0.1"])

    assert (answer.status, answer.snippet) == (200, "ok")
    assert f"Host: hooks.internal:{place.port}\r\n".encode() in place.heard[0]
    assert place.heard[0].startswith(b"POST /x HTTP/1.1\r\n")


def test_rebinding_gains_nothing(sink):
    """The stub answers publicly once and with loopback ever after."""
    place = sink(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    asked = []

    def rebinding(host, port):
        asked.append(host)
        # A public address for who checks first, this machine for who connects.
        return ["93.184.215.14"] if len(asked) == 1 else ["127.0.0.1"]

    target = check_url("https://rebind.example.com:8443/")
    assert resolve(target, lookup=rebinding) == ["93.184.215.14"]
    with pytest.raises(UnsafeUrl):
        send("https://rebind.example.com:8443/", private=[], lookup=rebinding)
    assert asked == ["rebind.example.com"] * 2
    assert place.heard == []


def test_a_name_is_asked_once_for_each_connection():
    asked = []

    def lookup(host, port):
        asked.append(host)
        return ["127.0.0.1"]

    private = ["http://once.internal:*"]
    free = socket.create_server(("127.0.0.1", 0))
    port = free.getsockname()[1]
    free.close()
    with pytest.raises(aiohttp.ClientConnectorError):
        send(f"http://once.internal:{port}/", private=private, lookup=lookup)
    assert asked == ["once.internal"]


def test_redirects_are_not_followed(sink):
    inner = sink(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    location = f"http://127.0.0.1:{inner.port}/".encode()
    outer = sink(
        b"HTTP/1.1 307 X\r\nContent-Length: 0\r\nLocation: " + location + b"\r\n\r\n"
    )

    answer = send(f"http://127.0.0.1:{outer.port}/", private=["http://127.0.0.1:*"])

    assert answer.status == 307
    assert inner.heard == []


def test_no_proxy_of_the_environment_is_used(sink, monkeypatch):
    place = sink(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    proxy = sink(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")

    send(f"http://127.0.0.1:{place.port}/", private=["http://127.0.0.1:*"])

    assert place.heard
    assert proxy.heard == []


def test_a_long_answer_is_read_no_further_than_its_first_kibibyte(sink):
    body = b"\x00\xffa" * 100_000
    place = sink(b"HTTP/1.1 500 X\r\nContent-Length: 300000000\r\n\r\n" + body)

    answer = send(f"http://127.0.0.1:{place.port}/", private=["http://127.0.0.1:*"])

    assert answer.status == 500
    assert len(answer.snippet) <= SNIPPET_MAX
    assert "\x00" not in answer.snippet


def test_a_silent_sink_is_given_up(sink, monkeypatch):
    monkeypatch.setattr("accounts.outbound.TOTAL_SECONDS", 0.3)
    place = sink(b"HTTP/1.1 200 OK\r\nContent-Le", hold=True)

    with pytest.raises(TimeoutError):
        send(f"http://127.0.0.1:{place.port}/", private=["http://127.0.0.1:*"])


def test_a_certificate_that_nobody_signed_is_refused(sink):
    place = sink(b"nothing of TLS")
    private = ["https://127.0.0.1:*"]

    with pytest.raises(aiohttp.ClientConnectorError):
        send(f"https://127.0.0.1:{place.port}/", private=private)


async def test_the_connector_keeps_the_name_for_tls():
    made = connector(private=[], ssl=ssl.create_default_context())

    with pytest.raises(UnsafeUrl, match="loopback"):
        await made._resolver.resolve("localhost", 443)
    await made.close()
