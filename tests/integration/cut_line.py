"""A line to a server that can be cut: before a message goes out, or behind it, when its answer is on the way."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit, urlunsplit

Moment = Literal["before", "after"]
_CHUNK = 1 << 16


@dataclass
class CutLine:
    """Carries bytes both ways. Once armed, it cuts the connection whose client sends the needle, and takes none for `down_s`."""

    host: str
    port: int
    needle: bytes = b""
    moment: Moment = "before"
    down_s: float = 0.2
    cuts: int = 0
    is_cut: asyncio.Event = field(default_factory=asyncio.Event)
    _is_down: bool = False
    _writers: set[asyncio.StreamWriter] = field(default_factory=set[asyncio.StreamWriter])

    def arm(self, needle: bytes, moment: Moment) -> None:
        self.needle, self.moment = needle, moment

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            if not self._is_down:
                await self._carry(reader, writer)
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_connection(self.host, self.port)
        try:
            async with asyncio.TaskGroup() as tasks:
                answers = tasks.create_task(_pump(up_reader, writer))
                while data := await reader.read(_CHUNK):
                    if self.needle and self.needle in data:
                        answers.cancel()
                        await self._cut(data, up_reader, up_writer)
                        return
                    up_writer.write(data)
                answers.cancel()
        except* OSError:
            pass
        finally:
            up_writer.close()

    async def _cut(self, data: bytes, up_reader: asyncio.StreamReader, up_writer: asyncio.StreamWriter) -> None:
        self.needle = b""
        self.cuts += 1
        self._is_down = True
        self.is_cut.set()
        asyncio.get_running_loop().call_later(self.down_s, self.restore)
        if self.moment == "after":
            up_writer.write(data)
            await up_reader.read(_CHUNK)

    def restore(self) -> None:
        self._is_down = False

    async def hang_up(self) -> None:
        for writer in list(self._writers):
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(_CHUNK):
            writer.write(data)
        writer.close()


@asynccontextmanager
async def cut_line(url: str) -> AsyncGenerator[tuple[CutLine, str]]:
    """Hand out a line to the server of `url`, and the URL that goes over it."""
    parts = urlsplit(url)
    line = CutLine(parts.hostname or "", parts.port or 0)
    server = await asyncio.start_server(line.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    user = parts.netloc.rpartition("@")[0]
    try:
        yield line, urlunsplit(parts._replace(netloc=f"{user}@127.0.0.1:{port}"))
    finally:
        server.close()
        await line.hang_up()
