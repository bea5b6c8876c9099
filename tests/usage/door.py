"""A unix socket in front of PostgreSQL's own, that a test can shut or let hang."""

import asyncio
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict, make_conninfo


class Door:
    """Forwards connections; `mode` is open, shut (refused) or silent (black hole)."""

    def __init__(self, conninfo: str, folder: Path) -> None:
        told = conninfo_to_dict(conninfo)
        port = told.get("port") or "5432"
        self.behind = (told["host"], port)
        self.path = folder / f".s.PGSQL.{port}"
        self.conninfo = make_conninfo(conninfo, host=str(folder))
        self.mode = "open"
        self.cut_commit = False
        # If set, what tells of a commit waits here.
        self.held_commit = None
        self.tasks = set()
        self.server = None
        self.writers = set()

    async def open(self):
        self.mode = "open"
        self.server = await asyncio.start_unix_server(self._serve, str(self.path))

    async def shut(self):
        """Refuse new connections and break those that stand."""
        self.server.close()
        self.path.unlink(missing_ok=True)
        self._break()
        await asyncio.sleep(0)

    def hang(self):
        """Let everything connect and nothing pass."""
        self.mode = "silent"

    async def close(self):
        self.server.close()
        self._break()
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    def _break(self):
        for writer in list(self.writers):
            writer.close()
        self.writers.clear()

    async def _serve(self, reader, writer):
        host, port = self.behind
        if host.startswith("/"):
            back = await asyncio.open_unix_connection(f"{host}/.s.PGSQL.{port}")
        else:
            back = await asyncio.open_connection(host, int(port))
        back_reader, back_writer = back
        self.writers |= {writer, back_writer}
        self.tasks |= {
            asyncio.create_task(self._pass(reader, back_writer, is_answer=False)),
            asyncio.create_task(self._pass(back_reader, writer, is_answer=True)),
        }

    async def _pass(self, reader, writer, *, is_answer):
        try:
            while data := await reader.read(65_536):
                if self.cut_commit and is_answer and b"COMMIT" in data:
                    # PostgreSQL has committed; nobody will hear of it.
                    self.cut_commit = False
                    self._break()
                    return
                if self.held_commit and is_answer and b"COMMIT" in data:
                    await self.held_commit.wait()
                while self.mode == "silent":
                    await asyncio.sleep(0.05)
                writer.write(data)
                await writer.drain()
        except (ConnectionError, OSError):
            return
        finally:
            writer.close()
