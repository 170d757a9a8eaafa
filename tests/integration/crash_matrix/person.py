"""The person beside the workers: says a word wherever a run waits for one, each once, and decides on effects by a look outside."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from agent_sdk import App, PrincipalId, Runtime, StepId
from agent_sdk.core.graph import Pending
from agent_sdk.core.ids import RunId
from agent_sdk.core.run import Run
from tests.integration.crash_matrix.agents import ANSWER, SIGNAL, done

ANN = PrincipalId("ann")
LOOK_S = 0.03
Asked = tuple[RunId, StepId, str]


@dataclass(slots=True)
class Person:
    """Keeps in mind what was said. What the runs lose of it is lost: nothing is said twice."""

    counter: str
    said: set[Asked] = field(default_factory=set[Asked])
    _seen: dict[RunId, int] = field(default_factory=dict[RunId, int])

    @property
    def decided(self) -> set[tuple[RunId, StepId]]:
        return {(run_id, step) for run_id, step, kind in self.said if kind.startswith("effect")}

    async def attend(self, runtime: Runtime) -> None:
        """Look at the runs until cancelled."""
        async with aiohttp.ClientSession() as session:
            while True:
                for row in await runtime.runs():
                    if row.head > self._seen.get(row.run_id, 0):
                        self._seen[row.run_id] = row.head
                        await self._look_at(runtime, session, await runtime.attach(row.run_id).state())
                await asyncio.sleep(LOOK_S)

    async def _look_at(self, runtime: Runtime, session: aiohttp.ClientSession, run: Run) -> None:
        for step, pending in run.graph.parked.items():
            await self._say(runtime, run.run_id, step, pending)
        for step in run.graph.unknown:
            if self._is_new(run.run_id, step, f"effect, attempt {run.graph.steps[step].attempt}"):
                is_done = (await asked(session, f"{self.counter}/effects/{run.run_id}/{step}"))["done"]
                output = done(step) if is_done else None
                await runtime.decide(run.run_id, step, "done" if is_done else "retry", output=output, by=ANN)

    async def _say(self, runtime: Runtime, run_id: RunId, step: StepId, pending: Pending) -> None:
        if pending.kind in {"timer", "child"} or not self._is_new(run_id, step, pending.kind):
            return
        match pending.kind:
            case "approval":
                await runtime.approve(run_id, step, by=ANN)
            case "question":
                await runtime.answer(run_id, step, ANSWER, by=ANN)
            case _:
                await runtime.signal(run_id, SIGNAL, "brought", by=ANN)

    def _is_new(self, run_id: RunId, step: StepId, kind: str) -> bool:
        if (run_id, step, kind) in self.said:
            return False
        self.said.add((run_id, step, kind))
        return True


async def asked(session: aiohttp.ClientSession, url: str) -> Mapping[str, Any]:
    async with session.get(url) as reply:
        found: Mapping[str, Any] = await reply.json()
        return found


async def report(counter: str) -> Mapping[str, Mapping[str, int]]:
    """Return what the counter was asked for and what it did, by key."""
    async with aiohttp.ClientSession() as session:
        return await asked(session, f"{counter}/report")


NOBODY = App([])
