"""What guardrails and budgets said is said again in a replay, whatever they would say today."""

from collections.abc import Callable
from decimal import Decimal

import pytest

from agent_sdk import Agent, App, Budget, ContextPolicy, GuardedCall, RunFailed, RunInfo, Runtime, RunWaits, inline, tool
from agent_sdk.core.events import BudgetRefused, CheckRefused, Event, RunWaiting
from agent_sdk.runtime.replay import code_of, load_recording, render_divergence, replay_recording
from agent_sdk.testing import Call, ScriptedModel, ScriptItem


@tool(effect="read")
async def look(q: str) -> str:
    """Look something up."""
    return f"found {q * 50}"


@inline
def no_threes(call: GuardedCall, info: RunInfo) -> str | None:
    return "three is not to be looked up" if call.args.get("q") == "3" else None


@inline
def is_polite(answer: str) -> str | None:
    return None if "please" in answer else "say please"


@inline
def never(text: object, info: RunInfo) -> str:
    return "no"


def looks(count: int, *answers: ScriptItem) -> ScriptedModel:
    return ScriptedModel([*(Call("look", {"q": str(index)}) for index in range(count)), *answers])


async def performed(agent: Agent[None, str], raised: Budget | None = None) -> tuple[list[Event], str | None]:
    """Perform a run, raising its budget where it waits for that; return its events, and how a replay differs."""
    async with Runtime.open(app=App([agent])) as runtime:
        run = await runtime.start(agent, "go")
        try:
            await run.result()
        except RunWaits:
            if raised is not None:
                await runtime.set_budget(raised, run=run.run_id)
                await run.result()
        except RunFailed:
            pass
        events = [fact.event async for fact in run.facts()]
        replayed = await replay_recording(await load_recording(runtime.journal, runtime.tenant, run.run_id), code_of(agent))
    return events, None if replayed.divergence is None else render_divergence(replayed.divergence)


async def test_calls_and_answers_that_were_refused_are_refused_again() -> None:
    model = looks(5, "done", "done, please")
    agent = Agent(
        name="a", model=model, tools=[look], context=ContextPolicy(preview_chars=30), call_guardrails=[no_threes], validators=[is_polite]
    )
    events, difference = await performed(agent)
    assert [event.codes for event in events if isinstance(event, CheckRefused)] == [("guardrail_refused",), ("answer_refused",)]
    assert difference is None


@pytest.mark.parametrize("kind", ["input_guardrails", "output_guardrails"])
async def test_a_run_that_a_guardrail_ended_ends_again(kind: str) -> None:
    make: dict[str, Callable[[], Agent[None, str]]] = {
        "input_guardrails": lambda: Agent(name="a", model=looks(0, "done"), input_guardrails=[never]),
        "output_guardrails": lambda: Agent(name="a", model=looks(0, "done"), output_guardrails=[never]),
    }
    events, difference = await performed(make[kind]())
    assert events[-1].type == "run.failed"
    assert difference is None


async def test_a_run_that_waited_for_its_budget_waits_and_goes_on_again() -> None:
    agent = Agent(name="a", model=looks(5, "done"), tools=[look], budget=Budget(calls=3))
    events, difference = await performed(agent, Budget(calls=20))
    assert any(isinstance(event, BudgetRefused) for event in events)
    assert difference is None


async def test_a_run_that_waited_for_a_price_waits_again() -> None:
    agent = Agent(name="a", model=looks(0, "done"), budget=Budget(usd=Decimal(1)))
    events, difference = await performed(agent)
    assert any(isinstance(event, RunWaiting) and event.shortfall is not None for event in events)
    assert difference is None
