"""What every simulated server is on: an aiohttp application on a free loopback port, in this event loop or in a thread of its own."""

import asyncio
import threading
from collections.abc import Generator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Self

from aiohttp import web

_MAX_REQUEST_BYTES = 256 * 1024 * 1024


class LoopbackServer:
    """A server that is there while its block is; `url` is its address then, without a slash at the end."""

    def __init__(self) -> None:
        self.url = ""
        self._runner: web.AppRunner | None = None

    def routes(self, app: web.Application) -> None:
        """Put the server's routes into the application."""
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=_MAX_REQUEST_BYTES)
        self.routes(app)
        self._runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    @contextmanager
    def start_in_thread(self) -> Generator[Self]:
        """Serve from a thread of its own until the block ends."""
        started: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()

        async def serve() -> None:
            try:
                async with self:
                    stop = asyncio.Event()
                    started.set_result((asyncio.get_running_loop(), stop))
                    await stop.wait()
            except BaseException as error:
                if started.done():
                    raise
                started.set_exception(error)

        thread = threading.Thread(target=asyncio.run, args=(serve(),), daemon=True, name=type(self).__name__)
        thread.start()
        loop, stop = started.result(timeout=10)
        try:
            yield self
        finally:
            loop.call_soon_threadsafe(stop.set)
            thread.join()
