"""A faulty wire in front of PostgreSQL's socket: late, cut, half-open or a black hole.

It runs in a thread with an event loop of its own, and is told what to do by plain
attributes. New connections meet the same fault as those that stand.
"""

import asyncio
import threading
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict


class Proxy:
    """Forwards from a socket in `folder` to the server of `database_url`.

    latency       seconds that every piece of data is late
    cut_after     bytes, counted both ways, after which every connection is broken
    silent        "none", "answers" (half-open: requests arrive) or "all" (black hole)
    lose_commit   break the connection when COMMIT has been answered, before it is told
    """

    def __init__(self, database_url: str, folder: Path) -> None:
        self.behind = f"{conninfo_to_dict(database_url)['host']}/.s.PGSQL.5432"
        folder.mkdir(exist_ok=True)
        self.path = folder / ".s.PGSQL.5432"
        self.reset()
        self.writers: set[asyncio.StreamWriter] = set()
        self.loop = asyncio.new_event_loop()
        self.is_open = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        assert self.is_open.wait(10)

    def reset(self) -> None:
        self.latency = 0.0
        self.cut_after: int | None = None
        self.silent = "none"
        self.lose_commit = False
        self.cuts = 0

    def break_all(self) -> None:
        self.loop.call_soon_threadsafe(self._break)

    def close(self) -> None:
        self.silent = "none"
        self.loop.call_soon_threadsafe(self.stop.set)
        self.thread.join(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        self.stop = asyncio.Event()
        server = await asyncio.start_unix_server(self._accept, str(self.path))
        self.is_open.set()
        await self.stop.wait()
        server.close()
        self._break()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def _break(self) -> None:
        for writer in list(self.writers):
            writer.transport.abort()
        self.writers.clear()

    async def _accept(self, reader, writer) -> None:
        try:
            back_reader, back_writer = await asyncio.open_unix_connection(self.behind)
        except OSError:
            writer.close()
            return
        self.writers |= {writer, back_writer}
        await asyncio.gather(
            self._pass(reader, back_writer, is_answer=False),
            self._pass(back_reader, writer, is_answer=True),
        )
        self.writers -= {writer, back_writer}

    async def _pass(self, reader, writer, *, is_answer: bool) -> None:
        try:
            while data := await reader.read(65_536):
                if self.latency:
                    await asyncio.sleep(self.latency)
                while self.silent == "all" or (self.silent == "answers" and is_answer):
                    await asyncio.sleep(0.02)
                if self.lose_commit and is_answer and b"COMMIT\x00" in data:
                    self.lose_commit = False
                    self._cut()
                    return
                writer.write(self._as_far_as_it_goes(data))
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    def _as_far_as_it_goes(self, data: bytes) -> bytes:
        if self.cut_after is None:
            return data
        left = self.cut_after
        self.cut_after -= len(data)
        if self.cut_after > 0:
            return data
        self.cut_after = None
        self.loop.call_soon(self._cut)
        return data[:left]

    def _cut(self) -> None:
        self.cuts += 1
        self._break()
