"""Steps that are runs of their own: how they begin, how their ends come back, and what the parent's end means for them."""

import asyncio
from collections.abc import Sequence

import pytest
from pydantic import JsonValue

from agent_sdk.core.codec import to_json
from agent_sdk.core.errors import LimitError, StorageError
from agent_sdk.core.events import Fact, RunCreated
from agent_sdk.core.ids import RunId, StepId, TenantId
from agent_sdk.core.labels import Label
from agent_sdk.core.ports import InboxItem, SessionMove
from agent_sdk.core.tools import Wait
from agent_sdk.execution.waits import child_id
from agent_sdk.testing import Call
from tests.unit.execution.fakes import RUN, TENANT, CountingJournal, FakeTool, plan, ref, sleeper, step
from tests.unit.execution.test_crash import Killer
from tests.unit.execution.world import World

PARENT = RunId("parent")


def subagent() -> FakeTool:
    return FakeTool("help", waits=Wait("child", text="do it", name="helper"))


def with_child(*more: FakeTool) -> World:
    return World([subagent(), *more], [Call("help"), "done"])


def child_of(world: World, step: str = "t1.1") -> RunId:
    return child_id(world.run, StepId(step))


def ended(child: str, state: str = "succeeded", **more: JsonValue) -> dict[str, JsonValue]:
    return {"child": child, "state": state, **more}


async def inbox(world: World, run: RunId) -> list[InboxItem]:
    return await world.journal.inbox(TENANT, run, after=0)


async def test_a_child_is_journaled_before_it_is_made_and_the_run_waits_without_a_lease() -> None:
    world = with_child()
    assert await world.drive() == "waiting"
    assert await world.state() == "waiting: child"
    assert (await world.story())[-3:] == ["child.started t1.1", "run.waiting child", "run.released waiting"]
    child = child_of(world)
    assert world.children == [("t1.1", child)]
    assert (await world.journal.row(TENANT, child)).parent == RUN
    assert (await world.journal.row(TENANT, RUN)).wake_at is None


async def test_the_childs_answer_and_its_label_are_the_steps() -> None:
    world = with_child()
    await world.drive()
    await world.slip("child", ended(child_of(world), output={"n": 1}, label={"untrusted": ["tool:web"], "readers": None}))
    assert await world.resume() == "ended"
    assert await world.since_the_wait() == ["child.finished t1.1", "model.called t2", "run.succeeded"]
    assert [part.output for part in world.results] == [{"n": 1}]
    assert "tool:web" in world.run.label.untrusted


@pytest.mark.parametrize(
    ("state", "more", "error"),
    [
        ("failed", {"code": "turn_limit", "message": "too long"}, ("turn_limit", "the child run {} failed: too long")),
        ("failed", {}, ("child_failed", "the child run {} failed")),
        ("cancelled", {}, ("child_cancelled", "the child run {} was cancelled")),
        ("expired", {}, ("child_expired", "the child run {} passed its deadline")),
    ],
)
async def test_a_child_that_ends_badly_fails_its_step(state: str, more: dict[str, JsonValue], error: tuple[str, str]) -> None:
    world = with_child()
    await world.drive()
    child = child_of(world)
    await world.slip("child", ended(child, state, **more))
    assert await world.resume() == "ended"
    code, message = error
    assert [part.output for part in world.results] == [{"error": code, "message": message.format(child)}]


async def test_a_child_ends_once() -> None:
    world = with_child()
    await world.drive()
    child = child_of(world)
    await world.slip("child", ended(child, output=1))
    await world.slip("child", ended(child, "failed"))
    assert await world.resume() == "ended"
    assert (await world.since_the_wait())[:2] == ["child.finished t1.1", f"message.received no step waits for the child run {child!r}"]


@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        (ended("run_other"), "no step waits for the child run 'run_other'"),
        (None, "no step waits for the child run ''"),
        ({"child": "CHILD", "state": "asleep"}, "no step waits for the child run 'CHILD'"),
        (ended("CHILD", label={"untrusted": 5}), "the label of the child run 'CHILD' cannot be read"),
    ],
)
async def test_an_end_that_is_no_childs_is_refused(body: JsonValue, refusal: str) -> None:
    world = with_child()
    await world.drive()
    child = child_of(world)
    if isinstance(body, dict) and body.get("child") == "CHILD":
        body = {**body, "child": child}
    await world.slip("child", body)
    assert await world.resume() == "waiting"
    assert (await world.since_the_wait())[0] == f"message.received {refusal.replace('CHILD', child)}"


async def test_a_child_that_cannot_be_made_fails_its_step() -> None:
    world = with_child()

    def refuse() -> None:
        raise LimitError("too deep")

    world.before_child = refuse
    assert await world.drive() == "ended"
    output = world.results[0].output
    assert isinstance(output, dict)
    assert output["error"] == LimitError.code


async def test_a_crash_before_the_child_was_made_leaves_that_to_the_next_owner() -> None:
    world = with_child()
    await world.begin()
    Killer(world.journal, 1, is_durable=True)
    with pytest.raises(StorageError, match="dead"):
        await world.executor.drive()
    assert world.children == []
    world.journal.before = world.journal.after = lambda _number, _batch: None
    assert await world.resume() == "waiting"
    assert set(world.children) == {("t1.1", child_of(world))}
    assert (await world.journal.row(TENANT, child_of(world))).parent == RUN


async def test_every_owner_sees_to_the_children_once() -> None:
    world = with_child()
    await world.drive()
    for _ in range(2):
        await world.slip("message", "hello")
        await world.resume()
    assert len(world.children) == 3


class SlowToCreate(CountingJournal):
    async def create(self, tenant: TenantId, run_id: RunId, facts: Sequence[Fact], *, session: SessionMove | None = None) -> None:
        await asyncio.sleep(1)
        await super().create(tenant, run_id, facts, session=session)


async def test_a_child_that_ends_while_another_is_looked_after_is_not_looked_after() -> None:
    world = World([subagent()], [[Call("help"), Call("help")], "done"], journal=SlowToCreate())
    await world.drive()
    await world.again()
    async with asyncio.TaskGroup() as tasks:
        driving = tasks.create_task(world.executor.drive())
        await asyncio.sleep(0.5)
        await world.put("child", ended(child_of(world, "t1.2"), output=2))
    assert driving.result() == "waiting"
    assert world.run.graph.parked.keys() == {"t1.1"}
    assert [step for step, _ in world.children] == ["t1.1", "t1.2", "t1.1"]


async def test_what_waits_for_a_child_holds_up_nothing_else() -> None:
    steps = [step("a", "help"), step("b", "slow"), step("c", "slow", {"x": ref("a")})]
    slow = FakeTool("slow", sleeper(50))
    world = World([subagent(), slow], plan=plan(*steps, result=[ref("b"), ref("c")]))
    assert await world.drive() == "waiting"
    assert slow.steps == ["b"]


async def test_a_cancel_goes_down_to_the_children_in_the_append_of_the_end() -> None:
    world = with_child()
    await world.drive()
    await world.slip("cancel")
    assert await world.resume() == "ended"
    (mail,) = await inbox(world, child_of(world))
    assert (mail.kind, mail.body) == ("cancel", {"note": f"its parent run {RUN} ended: cancelled"})
    assert len(world.children) == 1, "a run that is to end makes no children"


async def test_a_parent_that_expires_ends_its_children() -> None:
    world = with_child()
    world.deadline_s = 60
    await world.drive()
    world.clock.advance(60)
    assert await world.resume() == "ended"
    assert [item.kind for item in await inbox(world, child_of(world))] == ["cancel"]


async def parented(world: World) -> World:
    world.parent = PARENT
    await world.journal.create(TENANT, PARENT, [Fact(1, 0, 0, RunCreated("boss", "1", {}, "all"))])
    return world


async def test_the_parent_gets_the_childs_answer() -> None:
    world = await parented(World([FakeTool("look")], [Call("look"), "an answer"]))
    assert await world.drive() == "ended"
    (mail,) = await inbox(world, PARENT)
    assert mail.kind == "child"
    assert mail.body == {"child": RUN, "state": "succeeded", "output": "an answer", "label": to_json(Label, world.run.label)}
    assert world.run.label.untrusted == ("tool:look",)


async def test_the_parent_gets_the_childs_failure() -> None:
    world = await parented(World([], plan=plan(step("a", "unheard_of"))))
    assert await world.drive() == "ended"
    (mail,) = await inbox(world, PARENT)
    assert isinstance(mail.body, dict)
    assert (mail.body["state"], mail.body["code"]) == ("failed", world.run.failure.code if world.run.failure is not None else None)


async def test_the_parent_hears_that_its_child_was_cancelled_though_it_read_new_mail_first() -> None:
    world = await parented(World([], ["done"]))
    await world.begin()
    await world.put("cancel")
    await world.slip("message", "too late")
    assert await world.executor.drive() == "ended"
    (mail,) = await inbox(world, PARENT)
    assert mail.body == {"child": RUN, "state": "cancelled"}
