# The peers live in an environment that the type checkers do not see.
# mypy: disable-error-code="import-not-found, no-any-return, misc, untyped-decorator"
# pyright: basic, reportMissingImports=false
"""The runs on Pydantic AI with DBOS: each run a workflow; model calls and the tool are its steps; DBOS's queue feeds the workers.

A killed process's workflows are recovered when a process with the same executor id starts; by another that lives, through Conductor alone.
"""

import asyncio
import time
from dataclasses import replace
from uuid import uuid4

from dbos import DBOS, DBOSClient, SetWorkflowID
from pydantic_ai import Agent
from pydantic_ai.durable_exec.dbos import DBOSDurability
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.settings import ModelSettings
from pydantic_ai.usage import UsageLimits

from benchmarks.peers import work
from benchmarks.peers.talk import Order, options, orders, say
from benchmarks.peers.work import ANSWER, Goal, call_of, parse_goal

QUEUE = "runs"
VERSION = "1"
CALLS_AT_ONCE = 16


class Scripted(Model):
    """Answers from the script at once; the model for tests would count the tokens of the whole conversation in each turn."""

    model_name = "scripted"
    system = "bench"

    async def request(
        self, messages: list[ModelMessage], model_settings: ModelSettings | None, model_request_parameters: ModelRequestParameters
    ) -> ModelResponse:
        turn = (len(messages) + 1) // 2
        args = call_of(parse_goal(messages[0].parts[0].content), turn)
        return ModelResponse(parts=[TextPart(ANSWER) if args is None else ToolCallPart("find", args, f"c{turn}")])


agent = Agent(Scripted(), name="finder", capabilities=[DBOSDurability()])


@agent.tool_plain
@DBOS.step()
async def find(number: int, run: str = "", hold: str = "") -> str:
    """Find an item."""
    return await work.perform(number, run, hold)


@DBOS.workflow(name="perform")
async def perform(goal: str) -> str:
    return (await agent.run(goal, usage_limits=UsageLimits(request_limit=None))).output


async def client(given: Order) -> None:
    caller = DBOSClient(system_database_url=given["store"])

    async def enqueue(goal: Goal, gate: asyncio.Semaphore) -> None:
        async with gate:
            sent = replace(goal, sent=time.time())
            await caller.enqueue_async({"queue_name": QUEUE, "workflow_name": "perform", "app_version": VERSION}, str(sent))

    async for order in orders():
        began, gate = time.perf_counter(), asyncio.Semaphore(CALLS_AT_ONCE)
        async with asyncio.TaskGroup() as group:
            for goal in order["goals"]:
                group.create_task(enqueue(Goal(**goal), gate))
        say(answer=order["do"], s=time.perf_counter() - began)


async def worker(given: Order) -> None:
    """Work the queue, and perform what is ordered besides."""
    DBOS(
        config={
            "name": "bench",
            "system_database_url": given["store"],
            "executor_id": given.get("name", "local"),
            "application_version": VERSION,
            "log_level": "CRITICAL",
        }
    )
    if given["role"] == "steps":
        DBOS.listen_queues([])
    DBOS.launch()
    if given["role"] == "worker":
        await DBOS.register_queue_async(QUEUE, polling_interval_sec=given["polling_s"], worker_concurrency=given["at_once"])
    async for order in orders():
        began = time.perf_counter()
        with SetWorkflowID(str(uuid4())):
            assert await perform(str(Goal(order["steps"]))) == ANSWER
        say(answer=order["do"], s=time.perf_counter() - began, performed=work.performed.total())
    DBOS.destroy()


if __name__ == "__main__":
    what = options()
    asyncio.run(client(what) if what["role"] == "client" else worker(what))
