# The peers live in an environment that the type checkers do not see.
# mypy: disable-error-code="import-not-found, no-any-return, misc, untyped-decorator"
# pyright: basic, reportMissingImports=false
"""The runs on LangGraph: its graph of a model and a ToolNode, with its SQLite or Postgres saver.

It has no queue and no workers: a process performs what it is given, and somebody must know which runs to resume after a crash.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, TypedDict
from uuid import uuid4

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage
from langchain_core.tools import tool
from langgraph.channels.delta import DeltaChannel
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.graph.message import _messages_delta_reducer
from langgraph.graph.state import CompiledStateGraph
from langgraph.prebuilt import ToolNode, tools_condition
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool

from benchmarks.peers import work
from benchmarks.peers.talk import Order, options, orders, say
from benchmarks.peers.work import ANSWER, Goal, call_of, parse_goal


class DeltaState(TypedDict):
    """The state whose messages are stored as differences: in beta."""

    messages: Annotated[list[AnyMessage], DeltaChannel(_messages_delta_reducer)]


@tool
async def find(number: int, run: str = "", hold: str = "") -> str:
    """Find an item."""
    return await work.perform(number, run, hold)


async def model(state: dict[str, list[AnyMessage]]) -> dict[str, list[AIMessage]]:
    messages = state["messages"]
    turn = len(messages) // 2 + 1
    args = call_of(parse_goal(messages[0].content), turn)
    if args is None:
        return {"messages": [AIMessage(ANSWER)]}
    return {"messages": [AIMessage("", tool_calls=[{"name": "find", "args": args, "id": f"c{turn}"}])]}


@asynccontextmanager
async def saver_at(url: str) -> AsyncIterator[BaseCheckpointSaver]:
    if url.startswith("sqlite:///"):
        async with AsyncSqliteSaver.from_conn_string(url.removeprefix("sqlite:///")) as saver:
            await saver.setup()
            yield saver
        return
    settings = {"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row}
    async with AsyncConnectionPool(url, min_size=1, max_size=8, kwargs=settings) as pool:
        saver = AsyncPostgresSaver(pool)
        await saver.setup()
        yield saver


def graph_with(saver: BaseCheckpointSaver, *, is_delta: bool) -> CompiledStateGraph:
    graph = StateGraph(DeltaState if is_delta else MessagesState)
    graph.add_node("model", model)
    graph.add_node("tools", ToolNode([find]))
    graph.add_edge(START, "model")
    graph.add_conditional_edges("model", tools_condition)
    graph.add_edge("tools", "model")
    return graph.compile(checkpointer=saver)


async def main(given: Order) -> None:
    async with saver_at(given["store"]) as saver:
        graph = graph_with(saver, is_delta=given.get("delta", False))

        async def one_run(goal: Goal, *, is_new: bool = True) -> None:
            config = {"configurable": {"thread_id": goal.name or str(uuid4())}, "recursion_limit": 2 * goal.steps + 10}
            start = {"messages": [HumanMessage(str(goal))]} if is_new else None
            state = await graph.ainvoke(start, config, durability=given["durability"])
            assert state["messages"][-1].content == ANSWER

        async def several(goals: list[Goal]) -> None:
            gate = asyncio.Semaphore(given["at_once"])

            async def one(goal: Goal) -> None:
                async with gate:
                    await one_run(goal)

            async with asyncio.TaskGroup() as group:
                for goal in goals:
                    group.create_task(one(goal))

        async for order in orders():
            began = time.perf_counter()
            match order["do"]:
                case "run":
                    await one_run(Goal(order["steps"]))
                case "enqueue":
                    await several([Goal(**goal) for goal in order["goals"]])
                case "resume":
                    await one_run(Goal(**order["goal"]), is_new=False)
                case other:
                    raise ValueError(other)
            say(answer=order["do"], s=time.perf_counter() - began, performed=work.performed.total())


if __name__ == "__main__":
    asyncio.run(main(options()))
