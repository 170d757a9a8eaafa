"""What the type checkers infer: this file is checked by mypy and pyright, and `assert_type` does nothing at run time."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import assert_type

from pydantic import BaseModel

from agent_sdk import Agent, App, RunHandle, RunInfo, Runtime, tool
from agent_sdk.testing import ScriptedModel


class Report(BaseModel):
    text: str


class Shop:
    pass


@asynccontextmanager
async def make_shop(_: RunInfo) -> AsyncGenerator[Shop]:
    yield Shop()


@tool(effect="read")
async def search(query: str, limit: int = 5) -> list[str]:
    """Search."""
    return [query] * limit


def test_an_agent_is_generic_in_its_dependencies_and_its_output() -> None:
    model = ScriptedModel([])
    assert_type(Agent(name="a", model=model), Agent[None, str])
    assert_type(Agent(name="a", model=model, output=Report), Agent[None, Report])
    assert_type(Agent(name="a", model=model, deps=make_shop), Agent[Shop, str])
    assert_type(Agent(name="a", model=model, deps=make_shop, output=Report), Agent[Shop, Report])
    assert_type(Agent(name="a", model=model, live_deps=Shop(), output=Report), Agent[Shop, Report])


async def test_run_returns_the_output_type() -> None:
    agent = Agent(name="a", model=ScriptedModel([{"text": "x"}]), output=Report)
    assert_type(await agent.run("go"), Report)


async def test_a_handle_returns_the_output_type() -> None:
    agent = Agent(name="a", model=ScriptedModel([{"text": "x"}]), output=Report)
    async with Runtime.open(app=App([agent])) as runtime:
        run = await runtime.start(agent, "go")
        assert_type(run, RunHandle[Report])
        assert_type(await run.result(), Report)


async def test_a_tool_is_still_its_function() -> None:
    assert_type(await search("x", limit=2), list[str])
