"""Performs runs that spend from the tenant's budget, in a process of its own: `python -m ... JOURNAL FOLDER RUNS CALL_S`.

It says `started` once its runs are begun, and how much they were billed when all have succeeded, whoever raised the budget meanwhile.
"""

import asyncio
import sys
from dataclasses import asdict
from pathlib import Path

from pydantic_core import to_json

from agent_sdk.testing import Latency, Sim, constant
from tests.integration.budget_scene import bill, clerk, five_turns, opened, rested, until


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


async def main(url: str, folder: Path, runs: int, call_s: float) -> None:
    sim = Sim(script=five_turns, latency=Latency(constant(call_s)))
    agent = clerk(sim)
    async with opened(url, folder, agent) as runtime:
        handles = [await runtime.start(agent, f"goal {n}") for n in range(runs)]
        _say("started")

        async def have_succeeded() -> bool:
            return all(run.state == "succeeded" for run in await rested(handles))

        await until(have_succeeded, 0.05)
        _say(to_json(asdict(bill(sim))).decode())


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])))
