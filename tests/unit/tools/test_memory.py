"""The tools by which a model remembers: whose memory it is, is the run's affair alone."""

import pytest
from pydantic import JsonValue

from agent_sdk.core.errors import ArgumentsInvalid, NotDone, RequestError
from agent_sdk.core.ids import PrincipalId, RunId, StepId, TenantId
from agent_sdk.core.labels import TRUSTED
from agent_sdk.core.memory import Memory, Person, Scope
from agent_sdk.core.ports import Tool
from agent_sdk.core.tools import ToolContext
from agent_sdk.runtime.system import SystemClock
from agent_sdk.storage.memories import KeptMemory, open_memory_rows
from agent_sdk.tools.child import Request
from agent_sdk.tools.isolation import Home, Limits
from agent_sdk.tools.memory import memory_tools

TENANT, ANN, BOB = TenantId("t"), PrincipalId("ann"), PrincipalId("bob")


@pytest.fixture
async def memory() -> Memory:
    return KeptMemory(await open_memory_rows("memory://", clock=SystemClock()))


def named(tools: tuple[Tool, ...]) -> dict[str, Tool]:
    return {tool.spec.name: tool for tool in tools}


def call_of(user: PrincipalId | None, agent: str = "helper", *, key: str = "run_1/t1.1", tenant: TenantId = TENANT) -> ToolContext[object]:
    return ToolContext(tenant, RunId("run_1"), StepId("t1.1"), 1, key, None, principal=user, agent=agent)


async def test_a_model_remembers_recalls_and_forgets(memory: Memory) -> None:
    tools = named(memory_tools(memory))
    made = await tools["remember"].call({"text": "Ann drinks tea", "kind": "preference"}, call_of(ANN))
    found = await tools["recall"].call({"query": "tea?"}, call_of(ANN, key="run_2/t1.1"))
    assert isinstance(found, dict)
    assert isinstance(found["memories"], list)
    (hit,) = found["memories"]
    assert isinstance(hit, dict)
    assert (hit["id"], hit["text"], hit["kind"], hit["metadata"], found["note"]) == (made, "Ann drinks tea", "preference", {}, None)
    assert str(hit["remembered_at"]).endswith("+00:00")
    assert await tools["forget"].call({"id": made}, call_of(ANN)) == {"id": made, "was_kept": True}
    assert await tools["forget"].call({"id": made}, call_of(ANN)) == {"id": made, "was_kept": False}


async def test_a_repeated_call_keeps_one_memory(memory: Memory) -> None:
    tools = named(memory_tools(memory))
    first = await tools["remember"].call({"text": "tea"}, call_of(ANN))
    assert await tools["remember"].call({"text": "tea"}, call_of(ANN)) == first
    assert await tools["remember"].call({"text": "tea"}, call_of(ANN, key="run_1/t1.2")) != first
    assert len((await memory.list(Person(TENANT, ANN))).memories) == 2


async def test_whose_it_is_comes_from_the_run_alone(memory: Memory) -> None:
    tools = named(memory_tools(memory))
    await tools["remember"].call({"text": "tea of Ann"}, call_of(ANN))
    for other in (call_of(BOB), call_of(ANN, "writer"), call_of(ANN, tenant=TenantId("u"))):
        assert await tools["recall"].call({"query": "tea"}, other) == {"memories": [], "note": None}
    (kept,) = (await memory.list(Person(TENANT, ANN))).memories
    assert kept.scope == Scope(TENANT, ANN, "helper")
    for name in ("user", "tenant", "agent", "scope", "context", "principal"):
        with pytest.raises(ArgumentsInvalid):
            await tools["recall"].call({"query": "tea", name: "bob"}, call_of(BOB))
    assert await tools["forget"].call({"id": kept.id}, call_of(BOB)) == {"id": kept.id, "was_kept": False}


async def test_a_run_for_no_user_is_refused_and_nothing_is_kept(memory: Memory) -> None:
    for tool in memory_tools(memory):
        argument = {"remember": "text", "recall": "query", "forget": "id"}[tool.spec.name]
        with pytest.raises(NotDone, match="no user"):
            await tool.call({argument: "tea"}, call_of(None))
    assert (await memory.list(Scope(TENANT, None, "helper"))).memories == ()


async def test_everybodys_memory_is_shared_by_all_users_of_the_tenant(memory: Memory) -> None:
    tools = named(memory_tools(memory, whose="everybody", per_agent=False))
    await tools["remember"].call({"text": "the office closes at six"}, call_of(ANN))
    assert len((await memory.search(Scope(TENANT, BOB, "any"), "office")).hits) == 1
    found = await tools["recall"].call({"query": "office"}, call_of(None, "writer"))
    assert "the office closes at six" in str(found)
    private = named(memory_tools(memory))
    await private["remember"].call({"text": "Ann sits in the office at the window"}, call_of(ANN))
    found = await tools["recall"].call({"query": "window"}, call_of(ANN))
    assert found == {"memories": [], "note": None}


async def test_one_user_is_known_to_all_agents_where_it_is_not_per_agent(memory: Memory) -> None:
    tools = named(memory_tools(memory, per_agent=False))
    await tools["remember"].call({"text": "tea"}, call_of(ANN, "helper"))
    assert (await memory.list(Person(TENANT, ANN))).memories[0].scope == Scope(TENANT, ANN)
    assert (await memory.search(Scope(TENANT, ANN, "writer"), "tea")).hits


async def test_arguments_out_of_bounds_never_reach_the_memory(memory: Memory) -> None:
    tools = named(memory_tools(memory))
    wrong: list[tuple[str, dict[str, JsonValue]]] = [
        ("remember", {"text": ""}),
        ("remember", {"text": "x" * 8001}),
        ("remember", {"text": "tea", "kind": ""}),
        ("recall", {"query": "tea", "limit": 0}),
        ("recall", {"query": "tea", "limit": 10**9}),
    ]
    for name, args in wrong:
        with pytest.raises(ArgumentsInvalid):
            await tools[name].call(args, call_of(ANN))
    with pytest.raises(RequestError, match="is empty"):
        await tools["recall"].call({"query": "  "}, call_of(ANN))


async def test_what_is_recalled_is_untrusted_unless_said_otherwise(memory: Memory) -> None:
    tools = named(memory_tools(memory))
    assert tools["recall"].spec.label.untrusted == ("tool:recall",)
    assert named(memory_tools(memory, label=TRUSTED))["recall"].spec.label == TRUSTED
    assert {name: tool.spec.effect for name, tool in tools.items()} == {"remember": "idempotent", "recall": "read", "forget": "idempotent"}


def test_a_tool_in_a_process_of_its_own_knows_for_whom_it_is_called() -> None:
    home = Home("module", "function")
    request = Request(home, "{}", Limits(), TENANT, RunId("r"), StepId("s"), 1, "k", None, ANN, "helper")
    context = request.context()
    assert (context.principal, context.agent) == (ANN, "helper")
