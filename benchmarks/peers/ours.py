"""The runs on this package: the loop, with a tool that is an effect or one that only reads; its own workers take what is enqueued."""

import asyncio
import time
from collections.abc import AsyncGenerator
from dataclasses import replace

from agent_sdk import Agent, App, Limits, Runtime, tool
from agent_sdk.core.messages import Message, TextPart, ToolCallPart
from agent_sdk.core.model import Delta, ModelReply, ModelRequest, ReplyDone
from agent_sdk.core.usage import Usage
from agent_sdk.llm.calls import call_id
from agent_sdk.runtime.worker import Worker, WorkerOptions
from benchmarks.peers import work
from benchmarks.peers.talk import Order, options, orders, say
from benchmarks.peers.work import ANSWER, Goal, call_of, parse_goal

CALLS_AT_ONCE = 16
AMPLE = Limits(max_turns=20_000, max_steps=20_000)


@tool(effect="idempotent")
async def change(number: int, run: str = "", hold: str = "") -> str:
    """Change an item."""
    return await work.perform(number, run, hold)


@tool(effect="read")
async def find(number: int, run: str = "", hold: str = "") -> str:
    """Find an item."""
    return await work.perform(number, run, hold)


class Scripted:
    """Answers from the script at once; it goes by the goal and the question's id, and keeps nothing."""

    def __init__(self, tool: str) -> None:
        self._tool = tool

    async def complete(self, request: ModelRequest) -> ModelReply:
        args = call_of(parse_goal(request.conversation.messages[0].text), int(request.id.removeprefix("t")))
        part = TextPart(ANSWER) if args is None else ToolCallPart(call_id(request.id, 0), self._tool, args)
        return ModelReply(Message("assistant", (part,)), Usage(100, 20), "end" if args is None else "tool_calls", "bench")

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Delta, None]:
        yield ReplyDone(await self.complete(request))


def agent_with(used: str) -> Agent[None, str]:
    chosen = {"read": find, "effect": change}[used]
    return Agent(name="finder", model=Scripted(chosen.name), tools=[chosen], limits=AMPLE)


async def perform_runs(runtime: Runtime, agent: Agent[None, str]) -> None:
    async for order in orders():
        began = time.perf_counter()
        assert await (await runtime.start(agent, str(Goal(order["steps"])))).result() == ANSWER
        say(answer=order["do"], s=time.perf_counter() - began, performed=work.performed.total())


async def work_for_others(runtime: Runtime, at_once: int) -> None:
    worker = Worker(runtime, WorkerOptions(concurrency=at_once))
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(worker.run())
        async for _ in orders():
            pass
        worker.drain()


async def enqueue(runtime: Runtime, agent: Agent[None, str]) -> None:
    async def one(goal: Goal, gate: asyncio.Semaphore) -> None:
        async with gate:
            await runtime.enqueue(agent, str(replace(goal, sent=time.time())))

    async for order in orders():
        began, gate = time.perf_counter(), asyncio.Semaphore(CALLS_AT_ONCE)
        async with asyncio.TaskGroup() as group:
            for goal in order["goals"]:
                group.create_task(one(Goal(**goal), gate))
        say(answer=order["do"], s=time.perf_counter() - began)


async def main(given: Order) -> None:
    agent = agent_with(given["tool"])
    async with Runtime.open(given["store"], app=App([agent]), lease_s=given["lease_s"]) as runtime:
        match given["role"]:
            case "steps":
                await perform_runs(runtime, agent)
            case "worker":
                await work_for_others(runtime, given["at_once"])
            case _:
                await enqueue(runtime, agent)


if __name__ == "__main__":
    asyncio.run(main(options()))
