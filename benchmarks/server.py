"""A lean server that speaks Chat Completions, in a process of its own, so that only the client's CPU counts.

`python -m benchmarks.server TURNS CHUNKS` prints its port. Of TURNS requests the last is answered with a text, the others with a call; a
streamed reply has so many tokens, and comes in sixteen chunks a write.
"""

import asyncio
import json
import sys
from collections.abc import Iterator, Sequence
from itertools import cycle
from typing import Any

from aiohttp import web

CHUNKS_A_WRITE = 16
PLACE = "/v1/chat/completions"
USAGE = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}


async def serve(turns: int, chunks: int) -> None:
    wholes, streams = cycle(list(_wholes(turns))), cycle(list(_streams(turns, chunks)))

    async def answer(request: web.Request) -> web.StreamResponse:
        if b'"stream":true' not in await request.read():
            return web.Response(body=next(wholes), content_type="application/json")
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for piece in next(streams):
            await response.write(piece)
        return response

    app = web.Application()
    app.router.add_post(PLACE, answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)  # until whoever started this closes our input
    await runner.cleanup()


def _wholes(turns: int) -> Iterator[bytes]:
    for number in range(1, turns + 1):
        message = {"role": "assistant", "content": None, "tool_calls": _calls(number)} if number < turns else _text("Found.")
        choice = {"index": 0, "message": message, "finish_reason": _finish(number, turns)}
        yield _json({**_head("chat.completion"), "choices": [choice], "usage": USAGE})


def _streams(turns: int, chunks: int) -> Iterator[Sequence[bytes]]:
    """Yield each turn's stream in the pieces of one write: the role, tokens, the call, the reason to stop, the usage."""
    for number in range(1, turns + 1):
        deltas: list[dict[str, Any]] = [_text(""), *({"content": " token"} for _ in range(chunks))]
        if number < turns:
            deltas.append({"tool_calls": [{"index": 0, **call} for call in _calls(number)]})
        choices: list[list[dict[str, Any]]] = [[{"index": 0, "delta": delta, "finish_reason": None}] for delta in deltas]
        choices.append([{"index": 0, "delta": {}, "finish_reason": _finish(number, turns)}])
        events = [_event({**_head("chat.completion.chunk"), "choices": choice}) for choice in choices]
        events.append(_event({**_head("chat.completion.chunk"), "choices": [], "usage": USAGE}) + b"data: [DONE]\n\n")
        yield [b"".join(events[start : start + CHUNKS_A_WRITE]) for start in range(0, len(events), CHUNKS_A_WRITE)]


def _head(kind: str) -> dict[str, Any]:
    return {"id": "chatcmpl-1", "object": kind, "created": 1_700_000_000, "model": "bench"}


def _text(text: str) -> dict[str, Any]:
    return {"role": "assistant", "content": text}


def _calls(number: int) -> list[dict[str, Any]]:
    function = {"name": "find", "arguments": f'{{"number": {number}}}'}
    return [{"id": f"call_{number}", "type": "function", "function": function}]


def _finish(number: int, turns: int) -> str:
    return "tool_calls" if number < turns else "stop"


def _event(value: object) -> bytes:
    return b"data: " + _json(value) + b"\n\n"


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), int(sys.argv[2])))
