"""The agent's declaration and its short forms."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from pydantic import BaseModel

from agent_sdk import (
    Agent,
    Budget,
    ConfigError,
    ContextPolicy,
    ModelSettings,
    Plan,
    RunFailed,
    RunInfo,
    RunWaits,
    ToolContext,
    ToolStep,
    tool,
)
from agent_sdk.core.errors import ModelNotNamed, PlanRefused, RequestError
from agent_sdk.core.ids import StepId
from agent_sdk.testing import Call, ScriptedModel


@tool(effect="read")
async def add(a: int, b: int = 5) -> int:
    """Add two numbers."""
    return a + b


@tool(effect="read")
def double(a: int) -> int:
    """Double a number, in a thread."""
    return a * 2


class Total(BaseModel):
    total: int


@dataclass
class Shop:
    prefix: str


@tool(effect="read")
async def greet(name: str, ctx: ToolContext[Shop]) -> str:
    """Greet somebody."""
    return f"{ctx.deps.prefix} {name}"


async def test_run_gives_the_answer_as_text() -> None:
    agent = Agent(name="adder", model=ScriptedModel([Call("add", {"a": 1}), "six"]), tools=[add])
    assert await agent.run("add one and five") == "six"


async def test_run_gives_the_answer_in_the_declared_type() -> None:
    agent = Agent(name="adder", model=ScriptedModel([Call("double", {"a": 4}), {"total": 8}]), tools=[double], output=Total)
    assert await agent.run("double four") == Total(total=8)


async def test_an_answer_of_the_wrong_type_goes_back_to_the_model_with_the_exact_complaint() -> None:
    model = ScriptedModel([{"total": "many"}, {"total": 8}])
    assert await Agent(name="adder", model=model, output=Total).run("double four") == Total(total=8)
    complaint = model.requests[1].conversation.messages[-1].text
    assert "$.total" in complaint
    assert "'many'" in complaint


def test_run_sync_works_without_a_loop() -> None:
    assert Agent(name="a", model=ScriptedModel(["hello"])).run_sync("greet") == "hello"


async def test_run_sync_works_inside_a_running_loop() -> None:
    assert Agent(name="a", model=ScriptedModel(["hello"])).run_sync("greet") == "hello"
    await asyncio.sleep(0)


async def test_run_sync_raises_what_the_run_raises_inside_a_running_loop() -> None:
    with pytest.raises(RunFailed):
        Agent(name="a", model=ScriptedModel([])).run_sync("greet")


async def test_dependencies_are_made_for_the_run_and_closed_after_it() -> None:
    seen: list[str] = []

    @asynccontextmanager
    async def shop(info: RunInfo) -> AsyncGenerator[Shop]:
        seen.append(f"open {info.agent}")
        yield Shop("hello")
        seen.append("closed")

    model = ScriptedModel([Call("greet", {"name": "Ann"}), "done"])
    await Agent(name="greeter", model=model, tools=[greet], deps=shop).run("greet Ann")
    assert seen == ["open greeter", "closed"]
    assert model.requests[1].conversation.messages[-1].parts[0] == _result("hello Ann")


async def test_live_dependencies_reach_the_tool_as_they_are() -> None:
    model = ScriptedModel([Call("greet", {"name": "Ann"}), "done"])
    await Agent(name="greeter", model=model, tools=[greet], live_deps=Shop("hi")).run("greet Ann")
    assert model.requests[1].conversation.messages[-1].parts[0] == _result("hi Ann")


def _result(output: str) -> object:
    from agent_sdk.core.messages import ToolResultPart  # noqa: PLC0415  (one use)

    return ToolResultPart(StepId("t1.1"), output)


async def test_an_authors_plan_runs_without_a_model() -> None:
    plan = Plan(
        steps=(
            ToolStep(StepId("one"), "add", {"a": 1, "b": 2}),
            ToolStep(StepId("two"), "double", {"a": {"$ref": "one"}}),
        ),
        result={"total": {"$ref": "two"}},
    )
    agent = Agent(name="fixed", tools=[add, double], strategy="fixed", plan=plan, output=Total)
    assert await agent.run("double the sum") == Total(total=6)


async def test_an_authors_plan_that_does_not_hold_is_refused_before_anything_exists() -> None:
    plan = Plan(steps=(ToolStep(StepId("one"), "sub", {}),), result={"$ref": "one"})
    with pytest.raises(PlanRefused) as refused:
        await Agent(name="fixed", tools=[add], strategy="fixed", plan=plan).run("subtract")
    assert [finding.code for finding in refused.value.findings] == ["unknown_tool"]


async def test_without_a_model_the_error_says_how_to_name_one() -> None:
    with pytest.raises(ModelNotNamed) as error:
        await Agent(name="a").run("anything")
    assert "--model openai:" in (error.value.hint or "")


@pytest.mark.parametrize("goal", ["", " \n"])
async def test_an_empty_goal_is_refused(goal: str) -> None:
    with pytest.raises(RequestError, match="empty"):
        await Agent(name="a", model=ScriptedModel(["x"])).run(goal)


async def test_a_goal_of_ten_megabytes_is_refused_with_its_size() -> None:
    with pytest.raises(RequestError, match="10,485,760 bytes"):
        await Agent(name="a", model=ScriptedModel(["x"])).run("x" * 10 * 1024 * 1024)


def plain(query: str) -> str:
    return query


@pytest.mark.parametrize(
    ("options", "message", "hint"),
    [
        ({"tool": [add]}, "there is no option 'tool'", "did you mean 'tools'?"),
        ({"zzz": 1}, "there is no option 'zzz'", "there are budget"),
        ({"strategy": "plann"}, "strategy cannot be 'plann'", "choose one of loop, plan, fixed"),
        ({"model": 5}, "model cannot be 5", "openai:gpt-5-mini"),
        ({"limits": {"max_turns": 3}}, "limits cannot be {'max_turns': 3}", "limits=Limits"),
        ({"instructions": 3}, "instructions cannot be 3", "give a text"),
        ({"version": 2}, "version cannot be 2", "version='2'"),
        ({"plan": {}}, "plan cannot be {}", "load_plan"),
        ({"tools": [plain]}, "'plain' is no tool", "put @tool above"),
        ({"instructions": lambda: ""}, "instructions cannot be", "a function (info: RunInfo)"),
        ({"settings": {"temperature": 0}}, "settings cannot be", "settings=ModelSettings"),
        ({"context": 1000}, "context cannot be 1000", "context=ContextPolicy"),
        ({"budget": 5}, "budget cannot be 5", "budget=Budget"),
        ({"fallbacks": "openai:gpt-5"}, "fallbacks cannot be 'openai:gpt-5'", "give a list"),
        ({"fallbacks": [5]}, "fallbacks cannot be [5]", "openai:gpt-5-mini"),
    ],
)
def test_an_option_that_is_wrong_is_refused_with_its_name_and_a_way_out(options: dict[str, object], message: str, hint: str) -> None:
    with pytest.raises(ConfigError) as error:
        Agent(name="a", **options)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]  (the types refuse it too)
    assert message in error.value.message
    assert hint in (error.value.hint or "")
    assert f"hint: {error.value.hint}" in error.value.__notes__


def test_an_output_that_is_no_type_is_refused() -> None:
    with pytest.raises(ConfigError, match="3 is no type that an answer can have"):
        _ = Agent(name="a", output=3).spec  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]  (the same)


@pytest.mark.parametrize(("output", "why"), [(Callable[[], int], "JsonSchema"), ("Missing", "not fully defined")])
def test_an_output_of_which_no_json_can_be_is_refused_with_the_reason(output: object, why: str) -> None:
    with pytest.raises(ConfigError, match=f"agent 'a': .* is no type that an answer can have: .*{why}"):
        _ = Agent(name="a", output=output).spec  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]  (the same)


def test_an_agent_shows_its_name_model_and_tools() -> None:
    assert repr(Agent(name="a", model="openai:x", tools=[add])) == "Agent(name='a', model='openai:x', tools=[add])"


async def test_an_unknown_effect_says_which_step_and_why_and_how_to_declare_it() -> None:
    @tool
    async def fetch() -> str:
        """Fetch something."""
        raise KeyError("no such row")

    with pytest.raises(RunWaits) as waits:
        await Agent(name="a", model=ScriptedModel([Call("fetch"), "done"]), tools=[fetch]).run("fetch")
    assert "step t1.1 (fetch): KeyError: 'no such row'" in waits.value.message
    assert "effect='read'" in (waits.value.hint or "")


async def test_an_authors_plan_of_tools_alone_needs_no_key_for_a_model_it_never_asks() -> None:
    plan = Plan(steps=(ToolStep(StepId("one"), "add", {"a": 1, "b": 2}),), result={"total": {"$ref": "one"}})
    agent = Agent(name="fixed", model="openai:never-asked", tools=[add], strategy="fixed", plan=plan, output=Total)
    assert await agent.run("add") == Total(total=3)


def test_an_agent_without_a_name_is_refused() -> None:
    with pytest.raises(ConfigError, match="needs a name"):
        Agent()


def test_two_tools_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigError, match="two tools named 'add'"):
        Agent(name="a", tools=[add, add])


def test_deps_and_live_deps_together_are_refused() -> None:
    @asynccontextmanager
    async def shop(_: RunInfo) -> AsyncGenerator[Shop]:
        yield Shop("")

    with pytest.raises(ConfigError, match="both deps and live_deps"):
        Agent(name="a", deps=shop, live_deps=Shop(""))  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]  (the types refuse it too)


def test_a_fixed_strategy_without_a_plan_is_refused() -> None:
    with pytest.raises(ConfigError, match="go together"):
        Agent(name="a", strategy="fixed")


def test_with_options_changes_what_is_given_and_keeps_the_rest() -> None:
    agent = Agent(name="a", model="openai:x", tools=[add], output=Total)
    changed = agent.with_options(model="openai:y")
    assert (agent.spec.model, changed.spec.model) == ("openai:x", "openai:y")
    assert changed.spec.tools == agent.spec.tools
    assert changed.spec.output_schema == agent.spec.output_schema


def test_the_declaration_pins_digests_of_tools_instructions_and_output() -> None:
    first = Agent(name="a", tools=[add], instructions="Be brief.", output=Total).spec.digests()
    assert set(first) == {"tool:add", "instructions", "output"}
    assert Agent(name="a", tools=[add], instructions="Be long.", output=Total).spec.digests()["instructions"] != first["instructions"]


def by_tenant(info: RunInfo) -> str:
    return f"You work for {info.tenant}."


def test_instructions_that_are_a_function_are_pinned_by_their_name() -> None:
    one = Agent(name="a", instructions=by_tenant)
    assert (one.instructions, one.spec.instructions) == (by_tenant, "")
    other = Agent(name="a", instructions=lambda _info: "x")
    digests = [agent.digests["instructions"] for agent in (one, other, Agent(name="a"))]
    assert len(set(digests)) == 3
    assert one.with_options(version="2").digests == one.digests


def test_settings_and_context_stand_in_the_declaration() -> None:
    settings, context = ModelSettings(temperature=0.5), ContextPolicy(max_tokens=8000)
    spec = Agent(name="a", settings=settings, context=context).spec
    assert (spec.settings, spec.context) == (settings, context)
    assert Agent(name="a", fallbacks=["openai:b"]).fallbacks == ["openai:b"]
    assert (Agent(name="a").budget, Agent(name="a", budget=Budget()).budget) == (None, None)


def test_an_agent_whose_context_is_bounded_can_read_what_it_was_not_shown() -> None:
    def tools(agent: Agent[None, str]) -> list[str]:
        return [spec.name for spec in agent.spec.tools]

    @tool(effect="read")
    async def read_artifact() -> str:
        """Read something else."""
        return ""

    policy = ContextPolicy(preview_chars=500)
    assert tools(Agent(name="a", tools=[add], context=policy)) == ["add", "read_artifact"]
    assert tools(Agent(name="a", tools=[add])) == ["add"]
    assert tools(Agent(name="a", context=policy)) == []
    assert tools(Agent(name="a", tools=[add], context=policy, strategy="plan")) == ["add"]
    own = Agent(name="a", tools=[add, read_artifact], context=policy)
    assert own.tools == [add, read_artifact]
    assert tools(own.with_options(tools=[add])) == ["add", "read_artifact"]
