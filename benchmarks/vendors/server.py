"""A lean server that speaks every vendor's protocol, in a process of its own, so that only the client's CPU counts.

`python -m benchmarks.vendors.server TOKENS` prints its port. Every question gets the same reply of so many tokens.
"""

import asyncio
import subprocess
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager

from aiohttp import web

from benchmarks.vendors.replies import PROTOCOLS, Protocol, stream, whole

EVENTS_A_WRITE = 16
PATHS: tuple[tuple[str, Protocol], ...] = (
    ("/chat/completions", "OpenAI Chat"),
    ("/responses", "OpenAI Responses"),
    ("/messages", "Anthropic"),
    ("enerateContent", "Gemini"),
)


@contextmanager
def served(tokens: int) -> Generator[str]:
    """Start the server; yield its address."""
    command = [sys.executable, "-m", "benchmarks.vendors.server", str(tokens)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        if server.stdout is None:
            raise RuntimeError("the server has no output")
        yield f"http://127.0.0.1:{server.stdout.readline().strip()}"


async def serve(tokens: int) -> None:
    wholes = {protocol: whole(protocol, tokens) for protocol in PROTOCOLS}
    streams = {protocol: _written(stream(protocol, tokens)) for protocol in PROTOCOLS}

    async def answer(request: web.Request) -> web.StreamResponse:
        body = await request.read()
        protocol = next(protocol for end, protocol in PATHS if request.path.endswith(end))
        if "stream" not in request.path and b'"stream":true' not in body and b'"stream": true' not in body:
            return web.Response(body=wholes[protocol], content_type="application/json")
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for piece in streams[protocol]:
            await response.write(piece)
        return response

    app = web.Application(client_max_size=2**30)
    app.router.add_post("/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)  # until whoever started this closes our input
    await runner.cleanup()


def _written(events: Sequence[bytes]) -> list[bytes]:
    return [b"".join(events[start : start + EVENTS_A_WRITE]) for start in range(0, len(events), EVENTS_A_WRITE)]


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
