"""A mail server and a webhook's endpoint that do wrong as they are told.

`mood` is good, slow, refusing or cutting. What was taken is kept with the moment
at which it was; `victim` is called at each place in a message where somebody may die.
"""

import asyncio
import re
import threading
import time
from collections import defaultdict
from collections.abc import Callable

from aiosmtpd.controller import Controller

MOODS = ("good", "slow", "refusing", "cutting")
_MESSAGE_ID = re.compile(rb"(?im)^message-id:\s*<([^@>]+)@")


class Taken:
    """When each message was taken, by its id; repeats too."""

    def __init__(self) -> None:
        self.at: dict[str, list[float]] = defaultdict(list)
        self.mood = "good"
        self.slow_seconds = 0.5
        self.victim: Callable[[str], None] = lambda where: None

    def take(self, name: str) -> None:
        self.at[name].append(time.time())


class MailSink(Taken):
    """SMTP on a free port of this machine."""

    def __init__(self, port: int) -> None:
        super().__init__()
        where = {"hostname": "127.0.0.1", "port": port}
        self.controller = Controller(self, **where, ready_timeout=60)
        self.controller.start()
        self.url = f"smtp://127.0.0.1:{port}"

    async def handle_MAIL(self, server, session, envelope, address, options):  # noqa: N802
        self.victim("mail claimed")
        if self.mood == "refusing":
            return "451 come back later"
        if self.mood == "cutting":
            server.transport.abort()
            return "451 never said"
        envelope.mail_from = address
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):  # noqa: N802
        if self.mood == "slow":
            await asyncio.sleep(self.slow_seconds)
        found = _MESSAGE_ID.search(envelope.content)
        self.take(found[1].decode())
        self.victim("mail sent")
        return "250 kept"

    def close(self) -> None:
        self.controller.stop()


class HookSink(Taken):
    """An endpoint of webhooks, in a thread with an event loop of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.bodies: dict[str, bytes] = {}
        self.headers: dict[str, dict[str, str]] = {}
        self.changed: set[str] = set()
        self._loop = asyncio.new_event_loop()
        self._open = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._open.wait(10)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self._port = server.sockets[0].getsockname()[1]
        self._open.set()
        await self._stop.wait()
        server.close()

    async def _accept(self, reader, writer) -> None:
        try:
            while await self._one(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _one(self, reader, writer) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        lines = head.decode().split("\r\n")[1:-2]
        headers = {
            name.lower(): value for name, value in (x.split(": ", 1) for x in lines)
        }
        body = await reader.readexactly(int(headers["content-length"]))
        self.victim("webhook claimed")
        if self.mood == "cutting":
            writer.write(b"HTTP/1.1 200 O")
            return False
        if self.mood == "refusing":
            writer.write(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")
            return True
        if self.mood == "slow":
            await asyncio.sleep(self.slow_seconds)
        name = headers["webhook-id"]
        if self.bodies.setdefault(name, body) != body:
            self.changed.add(name)
        self.headers[name] = headers
        self.take(name)
        self.victim("webhook sent")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        return True
