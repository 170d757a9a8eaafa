"""Scheduling without barriers: every step starts the moment its own inputs are there."""

import asyncio

from hypothesis import given, strategies as st
from pydantic import JsonValue

from agent_sdk.core.agent import Limits
from agent_sdk.core.plan import Plan, When
from agent_sdk.core.ports import Batch
from agent_sdk.core.tools import Effect
from agent_sdk.testing import Call
from tests.unit.execution.fakes import Args, Context, FakeTool, plan, raiser, ref, step
from tests.unit.execution.world import World


class Worker:
    """A tool that works as long as it is told, and knows how many work at once."""

    def __init__(self) -> None:
        self.working = self.most = 0

    async def __call__(self, args: Args, context: Context) -> JsonValue:
        self.working += 1
        self.most = max(self.most, self.working)
        await asyncio.sleep(float(str(args["s"])))
        self.working -= 1
        return args.get("give", args["s"])


Dag = list[tuple[int, set[int], Effect]]


@st.composite
def dags(draw: st.DrawFn) -> Dag:
    """Draw steps with their seconds, the earlier steps that they wait for, and their effect."""
    size = draw(st.integers(1, 12))
    effects: list[Effect] = ["read", "once", "idempotent"]
    return [
        (draw(st.integers(1, 8)), draw(st.sets(st.integers(0, index - 1), max_size=3)) if index else set(), draw(st.sampled_from(effects)))
        for index in range(size)
    ]


def plan_of(dag: Dag) -> Plan:
    steps = [
        step(f"s{index}", effect, {"s": seconds, "from": [ref(f"s{source}") for source in sorted(sources)]})
        for index, (seconds, sources, effect) in enumerate(dag)
    ]
    return plan(*steps, result=[ref(each.id) for each in steps])


def world_of(dag: Dag, limits: Limits) -> tuple[World, Worker]:
    worker = Worker()
    effects: list[Effect] = ["read", "once", "idempotent"]
    return World([FakeTool(effect, worker, effect) for effect in effects], plan=plan_of(dag), limits=limits, kept_s=1e6), worker


@given(dags())
async def test_a_plan_takes_as_long_as_its_longest_path(dag: Dag) -> None:
    world, _ = world_of(dag, Limits(max_parallel=100))
    began_at = world.clock.monotonic()
    assert await world.drive() == "ended"
    ends = list[int]()
    for seconds, sources, _effect in dag:
        ends.append(seconds + max((ends[source] for source in sources), default=0))
    assert abs(world.clock.monotonic() - began_at - max(ends)) < 1e-6
    assert world.run.answer == [seconds for seconds, _, _ in dag]


@given(dags(), st.integers(1, 4))
async def test_no_more_work_at_once_than_allowed_and_nobody_idles(dag: Dag, room: int) -> None:
    world, worker = world_of(dag, Limits(max_parallel=room))
    began_at = world.clock.monotonic()
    assert await world.drive() == "ended"
    assert worker.most <= room
    assert world.clock.monotonic() - began_at <= sum(seconds for seconds, _, _ in dag) + 1e-6
    assert world.run.answer == [seconds for seconds, _, _ in dag]


async def test_a_branch_does_not_wait_for_the_slowest() -> None:
    worker = FakeTool("work", Worker())
    steps = [
        step("root", "work", {"s": 1}),
        step("slow", "work", {"s": 100, "x": ref("root")}, after=("root",)),
        step("quick", "work", {"s": 1, "x": ref("root")}),
        step("next", "work", {"s": 98, "x": ref("quick")}),
        step("join", "work", {"s": 1, "x": [ref("slow"), ref("next")]}),
    ]
    world = World([worker], plan=plan(*steps), limits=Limits(step_timeout_s=1e6))
    assert await world.drive() == "ended"
    assert world.clock.monotonic() == 102


async def test_a_list_fans_out_and_comes_together_in_order() -> None:
    worker = Worker()
    steps = [step("list", "work", {"s": 1, "give": [3, 1, 2]}), step("each", "work", {"s": ref("item")}, for_each="list")]
    world = World([FakeTool("work", worker)], plan=plan(*steps))
    assert await world.drive() == "ended"
    assert world.run.answer == [3, 1, 2]
    assert (world.clock.monotonic(), worker.most) == (4, 3)
    assert [line for line in await world.story() if "each" in line] == [
        "step.started each #1",
        "step.started each[0] #1",
        "step.started each[1] #1",
        "step.started each[2] #1",
        "step.finished each[1] #1",
        "step.finished each[2] #1",
        "step.finished each[0] #1",
    ]


async def test_an_empty_list_fans_out_into_nothing() -> None:
    steps = [step("list", "give", {"x": []}), step("each", "give", {"x": ref("item")}, for_each="list.x")]
    world = World([FakeTool("give")], plan=plan(*steps))
    assert await world.drive() == "ended"
    assert world.run.answer == []


async def test_members_of_a_fan_out_that_fail_are_left_out_where_the_plan_skips() -> None:
    def odd(args: Args, _context: Context) -> JsonValue:
        if args["x"] == 2:
            raise ValueError("even")
        return args["x"]

    steps = [step("list", "give", {"x": [1, 2, 3]}), step("each", "odd", {"x": ref("item")}, for_each="list.x", on_error="skip")]
    world = World([FakeTool("give"), FakeTool("odd", odd)], plan=plan(*steps))
    assert await world.drive() == "ended"
    assert world.run.answer == [1, 3]


async def test_a_condition_skips_a_step_and_what_hangs_on_it() -> None:
    steps = [
        step("a", "give", {"x": 1}),
        step("b", "give", when=When("a.x", "gt", 5)),
        step("c", "give", {"x": ref("b")}),
        step("d", "give", {"x": ref("a.x")}, after=("c",)),
    ]
    world = World([FakeTool("give", effect="once")], plan=plan(*steps, result=ref("d")))
    assert await world.drive() == "ended"
    assert (await world.story())[-5:-1] == [
        "step.skipped b condition",
        "step.skipped c source_skipped",
        "step.started d #1",
        "step.finished d #1",
    ]
    assert world.run.answer == {"x": 1}


async def test_a_reference_that_leads_nowhere_fails_its_step() -> None:
    steps = [step("a", "give", {"x": []}), step("b", "give", {"x": ref("a.x.0")})]
    world = World([FakeTool("give")], plan=plan(*steps))
    assert await world.drive() == "ended"
    assert (await world.story())[-2:] == ["step.failed b reference_missing #0", "run.failed b reference_missing"]


async def test_a_failure_lets_what_is_under_way_end_and_starts_nothing_more() -> None:
    steps = [step("a", "fail"), step("b", "work", {"s": 10}), step("c", "work", {"s": 1, "x": ref("b")})]
    world = World([FakeTool("fail", raiser(ValueError("no")), "once"), FakeTool("work", Worker())], plan=plan(*steps))
    world.tools[0].effect = "idempotent"
    assert await world.drive() == "ended"
    assert (await world.story())[-3:] == ["step.failed a tool_failed #1", "step.finished b #1", "run.failed a tool_failed"]


async def test_tools_that_never_suspend_starve_neither_flush_nor_cancel() -> None:
    world = World([], [*(Call("spin", {"n": n}) for n in range(1000)), "done"], limits=Limits(max_turns=2000, max_steps=2000))

    def spin(_args: Args, _context: Context) -> JsonValue:
        world.clock.advance(0.001)
        return None

    world.tools = [FakeTool("spin", spin)]
    await world.begin()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(world.executor.drive())
        await asyncio.sleep(0.5)
        await world.put("cancel")
    assert world.clock.monotonic() < 0.52
    assert (await world.story())[-1] == "run.cancelled"
    gaps = [later - sooner for (sooner, _), (later, _) in zip(world.journal.appends, world.journal.appends[1:], strict=False)]
    assert max(gaps) < 0.06


async def test_many_reads_are_written_in_batches_of_256() -> None:
    sizes = list[int]()

    def note(_number: int, batch: Batch) -> None:
        sizes.append(len(batch.facts))

    steps = [step("list", "give", {"x": list(range(900))}), step("each", "give", {"x": ref("item")}, for_each="list.x")]
    world = World([FakeTool("give")], plan=plan(*steps), limits=Limits(max_steps=1000, max_parallel=1000))
    world.journal.before = note
    assert await world.drive() == "ended"
    assert sum(sizes) == world.run.head - 1
    assert len(sizes) <= 8
