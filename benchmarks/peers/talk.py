"""How a measured process talks with the benchmark: one JSON object a line, orders come in, reports go out.

Standard library alone: peers have environments of their own, without this package.
"""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from typing import Any

Order = dict[str, Any]


def say(**report: object) -> None:
    """Report in one write, so that what several threads say does not mix."""
    os.write(1, (json.dumps(report) + "\n").encode())


async def orders() -> AsyncIterator[Order]:
    """Yield what the benchmark asks for, until it closes our input."""
    say(answer="ready")
    while line := await asyncio.to_thread(sys.stdin.readline):
        yield json.loads(line)


def options() -> Order:
    """Return what the process was started with."""
    given: Order = json.loads(sys.argv[1])
    return given
