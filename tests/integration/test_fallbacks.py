"""Other models for when one fails, from end to end: an agent with two vendors' servers, the first of which has its troubles."""

import asyncio
import json
import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydantic import JsonValue

from agent_sdk import Agent, App, RunHandle, Runtime, tool
from agent_sdk.config import load_settings
from agent_sdk.core.events import ModelCalled
from agent_sdk.core.model import ModelSettings, ReasoningDelta, TextDelta, ToolCallDelta
from agent_sdk.core.ports import TokenDelta
from agent_sdk.core.usage import Attempt
from agent_sdk.runtime import World
from agent_sdk.testing import Call, Fault, Latency, Sim, SimReply, SimServer, constant
from agent_sdk.testing.sim.sim import SimScript
from tests.integration.rest import NoJitter

KEYS = {"OPENAI_API_KEY": "k", "ANTHROPIC_API_KEY": "k", "GEMINI_API_KEY": "k"}
SHOWN = TextDelta, ReasoningDelta, ToolCallDelta
NOWHERE = "http://127.0.0.1:9"
PAIRS = [("anthropic", "gemini"), ("gemini", "openai-responses"), ("openai", "anthropic"), ("openai-responses", "anthropic")]
pairs = pytest.mark.parametrize("pair", PAIRS, ids=[" then ".join(pair) for pair in PAIRS])


@tool(effect="read", inline=True)
def look(what: str) -> str:
    """Look something up."""
    return f"{what} was found"


@dataclass(frozen=True, slots=True)
class Two:
    """Two vendors' simulated models, and a runtime with an agent that asks the second where the first fails."""

    first: Sim
    second: Sim
    runtime: Runtime
    agent: Agent[None, str]

    async def run(self) -> RunHandle[str]:
        return await self.runtime.start(self.agent, "go")


@asynccontextmanager
async def two(
    folder: Path,
    pair: tuple[str, str],
    first: SimScript,
    second: SimScript,
    *,
    is_up: bool = True,
    options: Mapping[str, JsonValue] | None = None,
) -> AsyncGenerator[Two]:
    slow = Latency(per_token=constant(0.2))  # a hundredth of which is really slept
    sims = Sim(script=first, thinks=True, latency=slow), Sim(script=second, thinks=True, latency=slow)
    async with AsyncExitStack() as stack:
        urls: dict[str, JsonValue] = {}
        for vendor, sim in zip(pair, sims, strict=True):
            server = await stack.enter_async_context(SimServer(sim))
            url = server.url if is_up or sim is sims[1] else NOWHERE
            urls[f"{vendor.partition('-')[0]}.base_url"] = url + {"anthropic": "", "gemini": "/v1beta"}.get(vendor, "/v1")
        overrides = {"model_call.max_attempts": 1, "breaker.failures": None, **urls, **(options or {})}
        loaded = load_settings(overrides=overrides, environ=KEYS, cwd=folder)
        names = [f"{vendor}:model-{place}" for place, vendor in enumerate(pair, 1)]
        asked = ModelSettings(reasoning="low")
        agent = Agent(name="careful", model=names[0], fallbacks=names[1:], tools=[look], settings=asked)
        runtime = await stack.enter_async_context(
            Runtime.open("memory://", app=App([agent]), settings=loaded, world=World(random=NoJitter()))
        )
        yield Two(*sims, runtime, agent)


async def called(handle: RunHandle[str]) -> list[ModelCalled]:
    return [fact.event async for fact in handle.facts() if isinstance(fact.event, ModelCalled)]


def tries(event: ModelCalled) -> list[tuple[str | None, str | None]]:
    """Return which models were tried, and what became of that."""

    def told(attempt: Attempt) -> tuple[str | None, str | None]:
        return attempt.model, attempt.code

    return [told(attempt) for attempt in event.attempts]


@pairs
async def test_a_model_that_cannot_be_reached_is_stood_in_for(tmp_path: Path, pair: tuple[str, str]) -> None:
    async with two(tmp_path, pair, [], ["from the second"], is_up=False) as scene:
        run = await scene.run()
        assert await run.result() == "from the second"
        (event,) = await called(run)
        assert tries(event) == [(None, "model_unavailable"), ("model-2", None)]
        assert event.model == "model-2"


@pairs
async def test_a_model_that_wants_to_be_asked_less_often_is_stood_in_for(tmp_path: Path, pair: tuple[str, str]) -> None:
    async with two(tmp_path, pair, [Fault("rate_limited", retry_after_s=60)], ["from the second"]) as scene:
        run = await scene.run()
        assert await run.result() == "from the second"
        (event,) = await called(run)
        assert tries(event) == [(None, "model_rate_limited"), ("model-2", None)]


async def test_a_model_whose_circuit_is_open_is_not_asked_at_all(tmp_path: Path) -> None:
    options: dict[str, JsonValue] = {"breaker.failures": 1, "breaker.open_s": 600}
    async with two(tmp_path, PAIRS[0], [Fault("server_error")], ["once", "twice"], options=options) as scene:
        assert await (await scene.run()).result() == "once"
        run = await scene.run()
        assert await run.result() == "twice"
        (event,) = await called(run)
        assert tries(event) == [(None, "circuit_open"), ("model-2", None)]
        assert len(scene.first.requests) == 1


@pairs
async def test_what_was_shown_of_a_reply_that_broke_off_is_void(tmp_path: Path, pair: tuple[str, str]) -> None:
    voided = 0
    async with two(tmp_path, pair, [Fault("closed")] * 8 + ["no"], ["and this is all that was said in the end"] * 8) as scene:
        for _ in range(8):
            run = await scene.run()
            pieces = [item async for item in run.stream() if isinstance(item, TokenDelta) and isinstance(item.delta, SHOWN)]
            assert await run.result() == "and this is all that was said in the end"
            last = [item.delta for item in pieces if item.attempt == 2]
            assert "".join(delta.text for delta in last if isinstance(delta, TextDelta)) == "and this is all that was said in the end"
            assert [item.attempt for item in pieces] == sorted(item.attempt for item in pieces)
            voided += len(pieces) - len(last)
            (event,) = await called(run)
            assert [model for model, _ in tries(event)] == [None, "model-2"]
    assert voided > 0


@pairs
async def test_signatures_of_one_protocol_never_reach_another(tmp_path: Path, pair: tuple[str, str]) -> None:
    first: list[SimReply | Fault | str] = [
        SimReply(calls=(Call("look", {"what": "one"}),), reasoning="FIRST"),
        Fault("server_error"),
        "done",
    ]
    second = [SimReply(calls=(Call("look", {"what": "two"}),), reasoning="SECOND")]
    async with two(tmp_path, pair, first, second) as scene:
        run = await scene.run()
        async with asyncio.timeout(60):
            assert await run.result() == "done"
        events = await called(run)
        assert [tries(event)[-1][0] for event in events] == [None, "model-2", None]
        own, others = (seals(str(event.message)) for event in events[:2])
        assert seals(json.dumps(scene.second.requests[0].body)) & own == set()
        assert seals(json.dumps(scene.first.requests[2].body)) == own
        assert bool(own) == (pair[0] != "openai")
        assert others
        assert own & others == set()


def seals(text: str) -> set[str]:
    """Return the signatures of the simulated vendors that stand in a text."""
    return set(re.findall(r"sim[0-9a-f]{29}", text))
