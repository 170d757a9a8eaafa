"""A small HTTP server, in a process of its own, that counts what was done outside: what it says does not hang on any journal.

`POST /effects/{kind}/{key}` does an effect: under `idempotent` and `verify` the same key is done once, however often it is asked for.
`GET /effects/{key}` says whether it was done, `GET /report` all that was asked for.
"""

import asyncio
import json
import sys
from collections import Counter
from dataclasses import dataclass, field

from aiohttp import web

ONCE_A_KEY = frozenset({"idempotent", "verify"})


@dataclass(slots=True)
class Counts:
    """By key: how often it was asked for, and how often it was done."""

    asked: Counter[str] = field(default_factory=Counter[str])
    done: Counter[str] = field(default_factory=Counter[str])
    kinds: dict[str, str] = field(default_factory=dict[str, str])

    async def do(self, request: web.Request) -> web.Response:
        kind, key = request.match_info["kind"], request.match_info["key"]
        self.asked[key] += 1
        self.kinds[key] = kind
        if kind not in ONCE_A_KEY or not self.done[key]:
            self.done[key] += 1
        return web.json_response({"key": key, "asked": self.asked[key]})

    async def look(self, request: web.Request) -> web.Response:
        return web.json_response({"done": self.done[request.match_info["key"]] > 0})

    async def report(self, _request: web.Request) -> web.Response:
        return web.json_response({"asked": self.asked, "done": self.done, "kinds": self.kinds})


async def serve() -> None:
    """Serve until stdin closes, which it does with the process that started this one; the port is the first line of output."""
    counts, app = Counts(), web.Application()
    app.router.add_post("/effects/{kind}/{key:.+}", counts.do)
    app.router.add_get("/effects/{key:.+}", counts.look)
    app.router.add_get("/report", counts.report)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(json.dumps({"port": runner.addresses[0][1]}), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(serve())
