"""A process that performs, or goes on with, one run of the demo, and kills itself at the append that it is told.

    python demo_killed.py '{"root": ..., "out": ..., "goal": 1, "kill_at": 3, "is_durable": true}'

Each call of a tool leaves the step's id in the file `calls` before the tool begins. The end of the run is printed as JSON: `answer`, and
how many `appends` there were.
"""

import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, JsonValue

from agent_sdk.config import load_settings
from agent_sdk.core.findings import Finding
from agent_sdk.core.ports import Tool, Verdict
from agent_sdk.core.tools import ToolContext, ToolSpec, Wait
from agent_sdk.runtime import App, Runtime
from agent_sdk.testing.demo import demo_agent, scripts, simulated_model
from agent_sdk.tools import FunctionTool, ThreadPool
from tests.integration.deadly import Fuse, Point, arm


class Order(BaseModel):
    """What the process shall do.

    `kill_at` counts appends from 1, the creation of the run among them; 0 means never. `is_durable`: the append is done, and nobody has
    learned of it.
    """

    root: Path
    out: Path
    goal: int
    kill_at: int = 0
    is_durable: bool = True

    @property
    def journal(self) -> str:
        return f"sqlite:///{self.out / 'journal.db'}"


@dataclass(frozen=True)
class Noted:
    """A tool whose calls are noted in a file before they begin."""

    tool: Tool
    calls: Path

    @property
    def spec(self) -> ToolSpec:
        return self.tool.spec

    def problems(self, args: Mapping[str, JsonValue], *, partial: frozenset[str] = frozenset()) -> Sequence[Finding]:
        return self.tool.problems(args, partial=partial)

    async def call(self, args: Mapping[str, JsonValue], context: ToolContext[object]) -> JsonValue:
        with self.calls.open("a") as file:
            file.write(f"{context.step_id}\n")
        return await self.tool.call(args, context)

    async def verify(self, context: ToolContext[object]) -> Verdict:
        return await self.tool.verify(context)

    def approval(self, args: Mapping[str, JsonValue]) -> str | None:
        return self.tool.approval(args)

    def wait(self, args: Mapping[str, JsonValue]) -> Wait:
        return self.tool.wait(args)

    async def compensate(self, args: Mapping[str, JsonValue], output: JsonValue, context: ToolContext[object]) -> None:
        await self.tool.compensate(args, output, context)


def in_threads(tool: Tool, pool: ThreadPool) -> Tool:
    return tool.bound_to(pool) if isinstance(tool, FunctionTool) else tool  # pyright: ignore[reportUnknownVariableType]  (isinstance forgets them)


async def perform(order: Order) -> tuple[str, int]:
    """Begin the run, or go on with the one that the journal holds."""
    fuse = Fuse(Point(kind="append", number=order.kill_at, is_before=not order.is_durable))
    arm(fuse)
    pool = ThreadPool()
    agent = demo_agent(order.root, order.out)
    tools = [Noted(in_threads(tool, pool), order.out / "calls") for tool in agent.tools]
    agent = agent.with_options(tools=tools)
    async with simulated_model() as model:
        settings = load_settings(overrides={"openai.base_url": model.base_url, "openai.api_key": None}, environ={}, cwd=order.out)
        async with Runtime.open(order.journal, app=App([agent]), settings=settings) as runtime:
            rows = await runtime.runs()
            run = await runtime.resume(rows[0].run_id) if rows else await runtime.start(agent, scripts()[order.goal - 1].goal)
            return await run.result(), fuse.counts["append"]


if __name__ == "__main__":
    answer, appends = asyncio.run(perform(Order.model_validate_json(sys.argv[1])))
    sys.stdout.write(json.dumps({"answer": answer, "appends": appends}))
