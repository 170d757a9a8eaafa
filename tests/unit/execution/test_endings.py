"""Whatever happens to a run, in whatever order: it ends exactly once (rule J9)."""

import asyncio

from hypothesis import given, strategies as st

from agent_sdk.core.errors import StorageError
from agent_sdk.core.model import ModelRequest
from agent_sdk.core.ports import Batch
from agent_sdk.testing import Call
from tests.unit.execution.fakes import Args, Body, Context, CountingJournal, FakeTool
from tests.unit.execution.world import World, no_stray_tasks

ENDS = ("run.succeeded", "run.failed", "run.cancelled", "run.expired")


def random_tool(effect: str) -> Body:
    async def body(args: Args, _context: Context) -> str:
        await asyncio.sleep(float(str(args["s"])))
        return effect

    return body


DELAYS_S = st.sampled_from([0, 0.5, 1, 1.25, 3])
CALLS = st.tuples(st.sampled_from(["look", "pay"]), DELAYS_S)
STOPS = st.sampled_from(["cancel", "suspend", "force", "message", "task", "storage"])


@given(
    calls=st.lists(st.lists(CALLS, min_size=1, max_size=4), max_size=3),
    deadline_s=st.sampled_from([None, 0, 1, 2.5]),
    stops=st.lists(st.tuples(DELAYS_S, STOPS), max_size=4),
    journal_delay_s=st.sampled_from([0, 0.25, 0.5]),
)
async def test_every_run_ends_exactly_once_whatever_happens_to_it(
    calls: list[list[tuple[str, float]]],
    deadline_s: float | None,
    stops: list[tuple[float, str]],
    journal_delay_s: float,
) -> None:
    async def answer(request: ModelRequest) -> list[Call] | str:
        await asyncio.sleep(0.5)
        turn = int(request.id.removeprefix("t"))
        return [Call(name, {"s": s, "turn": turn}) for name, s in calls[turn - 1]] if turn <= len(calls) else "done"

    look, pay = FakeTool("look", random_tool("look")), FakeTool("pay", random_tool("pay"), "once")
    world = World([look, pay], [answer] * 50, deadline_s=deadline_s, journal=CountingJournal(delay_s=journal_delay_s))
    await world.begin()
    left = sorted(stops)
    while True:
        outcome = await _driven(world, left)
        assert no_stray_tasks()
        story = await world.story()
        if outcome == "ended" or (outcome == "broken" and story[-1] in ENDS):
            break
        assert outcome in {"cancelled", "broken"} or story[-1].startswith("run.released")
        for state in list(world.run.graph.unknown) if outcome == "waiting" else ():
            await world.slip("decide", {"step": state, "decision": "done", "output": None})
        await world.again()
    assert [line for line in story if line in ENDS] == story[-1:]
    assert max((pay.steps.count(each) for each in pay.steps), default=0) <= 1
    assert story[-1] in {"run.succeeded", "run.cancelled", "run.expired"}
    await world.state()


async def _driven(world: World, left: list[tuple[float, str]]) -> str:
    """Drive once, and meanwhile do what is left to be done."""

    def fail(number: int, _batch: Batch) -> None:
        if number % 2:
            raise StorageError("the disk is full")

    async def disturb() -> None:
        while left:
            delay_s, kind = left.pop(0)
            await asyncio.sleep(delay_s)
            match kind:
                case "suspend":
                    world.executor.interrupt("suspend")
                case "force":
                    world.executor.interrupt("suspend", force=True)
                case "task":
                    driving.cancel()
                case "storage":
                    world.journal.before = world.journal.after = fail
                case "message" | "cancel" if not world.run.is_ended:
                    await world.put(kind, "note")
                case _:
                    pass

    async def drive() -> str:
        try:
            return await world.executor.drive()
        except StorageError:
            return "broken"

    world.journal.before = world.journal.after = lambda _number, _batch: None
    async with asyncio.TaskGroup() as tasks:
        driving = tasks.create_task(drive())
        disturbing = tasks.create_task(disturb())
        await asyncio.wait([driving])
        disturbing.cancel()
    return "cancelled" if driving.cancelled() else driving.result()
