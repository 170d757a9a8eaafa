"""Calls that a person must allow first: approve, deny, edit, and the time that passes meanwhile."""

import asyncio

import pytest
from pydantic import JsonValue

from agent_sdk.core.digest import digest_of
from agent_sdk.core.events import ApprovalDecided, ApprovalRequested, RunWaiting
from agent_sdk.core.ids import StepId
from agent_sdk.core.labels import Label
from agent_sdk.core.plan import OnError
from agent_sdk.core.tools import Effect
from agent_sdk.testing import Call
from tests.unit.execution.fakes import RUN, TENANT, FakeTool, gives, plan, raiser, ref, sleeper, step
from tests.unit.execution.world import World, at, no_stray_tasks

DAY_S = 86_400.0


def pay(*, approval_s: float | None = None, effect: Effect = "once") -> FakeTool:
    return FakeTool("pay", gives("paid"), effect, need="it costs money", approval_s=approval_s)


def asking(*, approval_s: float | None = None, after: str = "done") -> World:
    """Return a loop whose first call needs a person's word."""
    return World([pay(approval_s=approval_s)], [Call("pay", {"x": 1}), after, after])


async def test_a_call_that_needs_a_word_parks_the_run_before_anything_is_done() -> None:
    world = asking(approval_s=60)
    assert await world.drive() == "waiting"
    assert await world.state() == "waiting: approval"
    assert (await world.story())[-4:] == ["model.called t1", "approval.requested t1.1", "run.waiting approval", "run.released waiting"]
    requested = next(fact.event for fact in await world.facts() if isinstance(fact.event, ApprovalRequested))
    assert (requested.tool, requested.why, requested.args) == ("pay", "it costs money", {"x": 1})
    assert requested.digest == digest_of({"x": 1})
    assert requested.expires_at == world.clock.now_us() + 60_000_000
    row = await world.journal.row(TENANT, RUN)
    assert (row.owner, row.wake_at) == (None, requested.expires_at)
    assert world.tools[0].calls == []


async def test_an_approved_call_is_made_days_later_by_another_process() -> None:
    world = asking()
    await world.drive()
    world.clock.advance(20 * DAY_S)
    await world.slip("approve", {"step": "t1.1", "ruling": "approve", "digest": digest_of({"x": 1}), "note": "go"})
    assert await world.resume() == "ended"
    assert await world.since_the_wait() == [
        "approval.decided t1.1 approve",
        "step.started t1.1 #1",
        "step.finished t1.1 #1",
        "model.called t2",
        "run.succeeded",
    ]
    decided = next(fact for fact in await world.facts() if isinstance(fact.event, ApprovalDecided))
    assert isinstance(decided.event, ApprovalDecided)
    assert (decided.event.by, decided.event.note, decided.cause) == ("ann", "go", "inbox:1")


async def test_the_model_is_told_why_its_call_was_denied() -> None:
    world = asking()
    await world.drive()
    await world.slip("approve", {"step": "t1.1", "ruling": "deny", "note": "too much"})
    assert await world.resume() == "ended"
    assert [part.output for part in world.results] == [
        {"error": "approval_denied", "message": "a person denied the call: too much"},
    ]
    assert "step.started t1.1 #1" not in await world.story()


async def test_a_denial_needs_no_reason() -> None:
    world = asking()
    await world.drive()
    await world.slip("approve", {"step": "t1.1", "ruling": "deny"})
    await world.resume()
    assert [part.output for part in world.results] == [{"error": "approval_denied", "message": "a person denied the call"}]


@pytest.mark.parametrize(
    ("on_error", "state", "finished"),
    [("fail", "failed", ["b"]), ("retry", "failed", ["b"]), ("skip", "succeeded", ["b", "c"]), ("repair", "failed", ["b"])],
)
async def test_a_denial_in_a_plan_is_a_failure_of_its_step(on_error: OnError, state: str, finished: list[str]) -> None:
    steps = [step("a", "pay", {"x": 1}, on_error=on_error), step("b", "look"), step("c", "look", after=("a",))]
    world = World([pay(effect="idempotent"), FakeTool("look")], plan=plan(*steps, result=[ref("b"), ref("c")]))
    await world.drive()
    assert await world.state() == "waiting: approval"
    await world.slip("approve", {"step": "a", "ruling": "deny"})
    assert await world.resume() == "ended"
    assert await world.state() == state
    assert [line.split()[1] for line in await world.story() if line.startswith("step.finished")] == finished


async def test_a_plan_is_repaired_behind_a_denial_and_the_planner_knows_the_reason() -> None:
    first = '{"steps": [{"id": "a", "tool": "pay", "args": {}, "on_error": "repair"}], "result": {"$ref": "a"}}'
    second = '{"steps": [{"id": "b", "tool": "look", "args": {}}], "result": {"$ref": "b"}}'
    world = World([pay(), FakeTool("look")], [first, second], strategy="plan")
    await world.drive()
    await world.slip("approve", {"step": "a", "ruling": "deny", "note": "look first"})
    assert await world.resume() == "ended"
    assert await world.state() == "succeeded"
    assert "a person denied the call: look first [approval_denied]" in world.asked[1]


async def test_an_edit_is_a_step_of_its_own_with_a_key_of_its_own_and_the_model_is_told() -> None:
    world = asking()
    await world.drive()
    await world.slip("approve", {"step": "t1.1", "ruling": "edit", "args": {"x": 2}, "note": "less"})
    assert await world.resume() == "ended"
    story = await world.since_the_wait()
    becomes = story[1].split()[1]
    assert becomes.startswith("t1.1~")
    assert story == [
        "approval.decided t1.1 edit",
        f"step.started {becomes} #1",
        f"step.finished {becomes} #1",
        "model.called t2",
        "run.succeeded",
    ]
    tool = world.tools[0]
    ((context, args),) = tool.calls
    assert (context.step_id, context.idempotency_key, args) == (becomes, f"{RUN}/{becomes}", {"x": 2})
    note = "a person changed the arguments before the call was made"
    assert [part.output for part in world.results] == [{"note": note, "arguments": {"x": 2}, "result": "paid"}]
    assert [part.id for part in world.results] == ["t1.1"]


async def test_the_model_is_told_of_an_edit_whose_call_failed_too() -> None:
    tool = FakeTool("pay", raiser(ValueError("no")), need="it costs money")
    world = World([tool], [Call("pay", {"x": 1}), "done"])
    await world.drive()
    await world.slip("approve", {"step": "t1.1", "ruling": "edit", "args": {"x": 2}})
    assert await world.resume() == "ended"
    (told,) = [part.output for part in world.results]
    assert isinstance(told, dict)
    assert (told["error"], told["arguments"]) == ("tool_failed", {"x": 2})


async def test_what_hangs_on_an_edited_step_gets_its_output_under_the_old_name() -> None:
    look = FakeTool("look", label=Label(("tool:look",)))
    steps = [step("s", "look", {"x": 5}), step("a", "pay", {"x": ref("s")}), step("b", "look", {"x": ref("a")})]
    world = World([pay(), look], plan=plan(*steps))
    await world.drive()
    await world.slip("approve", {"step": "a", "ruling": "edit", "args": {"x": {"$ref": "s"}}})
    assert await world.resume() == "ended"
    assert world.run.answer == {"x": "paid"}
    ((_, args),) = world.tools[0].calls
    assert args == {"x": {"$ref": "s"}}, "what a person gives is a value, and never a reference"
    assert "tool:look" in world.run.graph.steps[StepId("b")].label.untrusted


async def test_an_edited_member_of_a_group_takes_its_place_in_the_list() -> None:
    echo = FakeTool("pay", lambda args, _: args["x"], "once", need="it costs money")
    world = World(
        [FakeTool("look", gives([1, 2, 3])), echo], plan=plan(step("s", "look"), step("g", "pay", {"x": ref("item")}, for_each="s"))
    )
    await world.drive()
    assert world.run.graph.parked.keys() == {"g[0]", "g[1]", "g[2]"}
    for name in ("g[0]", "g[2]"):
        await world.slip("approve", {"step": name, "ruling": "approve"})
    await world.slip("approve", {"step": "g[1]", "ruling": "edit", "args": {"x": 20}})
    assert await world.resume() == "ended"
    assert world.run.answer == [1, 20, 3]


async def test_a_repair_keeps_what_an_edited_step_gave() -> None:
    first = (
        '{"steps": [{"id": "a", "tool": "pay", "args": {}},'
        ' {"id": "b", "tool": "fail", "args": {"x": {"$ref": "a"}}, "on_error": "repair"}], "result": {"$ref": "b"}}'
    )
    second = '{"steps": [{"id": "c", "tool": "look", "args": {"x": {"$ref": "a"}}}], "result": {"$ref": "c"}}'
    world = World([pay(), FakeTool("look"), FakeTool("fail", raiser(ValueError("no")))], [first, second], strategy="plan")
    await world.drive()
    await world.slip("approve", {"step": "a", "ruling": "edit", "args": {"x": 2}})
    assert await world.resume() == "ended"
    assert await world.state() == "succeeded"
    assert world.run.answer == {"x": "paid"}
    assert len(world.tools[0].calls) == 1


async def test_a_failed_edit_is_repaired_under_the_name_that_the_planner_knows() -> None:
    first = '{"steps": [{"id": "a", "tool": "fail", "args": {}, "on_error": "repair"}], "result": {"$ref": "a"}}'
    second = '{"steps": [{"id": "c", "tool": "look", "args": {}}], "result": {"$ref": "c"}}'
    tools = [FakeTool("look"), FakeTool("fail", raiser(ValueError("no")), need="it may fail")]
    world = World(tools, [first, second], strategy="plan")
    await world.drive()
    await world.slip("approve", {"step": "a", "ruling": "edit", "args": {"x": 2}})
    assert await world.resume() == "ended"
    assert await world.state() == "succeeded"
    assert "- step a: " in world.asked[1]
    assert "~" not in world.asked[1]


@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        ({"step": "t9.9", "ruling": "approve"}, "step 't9.9' waits for no approval: it was decided, it expired, or it never asked"),
        ({"ruling": "approve"}, "step None waits for no approval: it was decided, it expired, or it never asked"),
        ({"step": "t1.1", "ruling": "approve", "digest": "other"}, "what was shown of step 't1.1' is not what it would do now: look again"),
        ({"step": "t1.1", "ruling": "expire"}, "'expire' is no ruling; it is one of approve, deny, edit"),
        ({"step": "t1.1"}, "None is no ruling; it is one of approve, deny, edit"),
        ({"step": "t1.1", "ruling": "edit"}, "an edit brings the arguments as an object, for a tool that the agent has"),
        ("yes", "step None waits for no approval: it was decided, it expired, or it never asked"),
    ],
)
async def test_a_ruling_that_cannot_be_taken_is_refused_in_one_event(body: JsonValue, refusal: str) -> None:
    world = asking()
    await world.drive()
    await world.slip("approve", body)
    assert await world.resume() == "waiting"
    assert await world.since_the_wait() == [f"message.received {refusal}", "run.waiting approval", "run.released waiting"]


async def test_an_edit_that_its_tool_would_not_take_is_refused() -> None:
    tool = pay()
    world = World([tool], [Call("pay", {"x": 1}), "done"])
    await world.drive()
    tool.refused = "argument_unknown"
    await world.slip("approve", {"step": "t1.1", "ruling": "edit", "args": {"y": 2}})
    assert await world.resume() == "waiting"
    assert "message.received the edited arguments do not hold: it is refused (at $)" in await world.story()


async def test_a_call_is_ruled_once_though_two_people_rule_at_once() -> None:
    world = asking()
    await world.drive()
    await world.slip("approve", {"step": "t1.1", "ruling": "approve"})
    await world.slip("approve", {"step": "t1.1", "ruling": "deny"})
    await world.slip("approve", {"step": "t1.1", "ruling": "edit", "args": {}})
    assert await world.resume() == "ended"
    ruled = [line for line in await world.story() if line.startswith(("approval.decided", "message.received"))]
    refused = "message.received step 't1.1' waits for no approval: it was decided, it expired, or it never asked"
    assert ruled == ["approval.decided t1.1 approve", refused, refused]
    assert len(world.tools[0].calls) == 1


async def test_what_nobody_allowed_in_time_is_denied() -> None:
    world = asking(approval_s=60)
    await world.drive()
    world.clock.advance(60)
    assert await world.resume() == "ended"
    assert "approval.decided t1.1 expire" in await world.story()
    (told,) = [part.output for part in world.results]
    assert told == {"error": "approval_expired", "message": "nobody approved the call in time, so it counts as denied"}


async def test_an_approval_that_came_after_its_time_is_refused_though_nobody_saw_the_time_pass() -> None:
    world = asking(approval_s=60)
    await world.drive()
    world.clock.advance(61)
    await world.slip("approve", {"step": "t1.1", "ruling": "approve"})
    assert await world.resume() == "ended"
    assert (await world.since_the_wait())[:2] == [
        "message.received step 't1.1' waits for no approval: it was decided, it expired, or it never asked",
        "approval.decided t1.1 expire",
    ]
    assert world.tools[0].calls == []


async def test_an_approval_that_came_in_time_counts_though_it_is_read_too_late() -> None:
    world = asking(approval_s=60)
    await world.drive()
    world.clock.advance(59)
    await world.slip("approve", {"step": "t1.1", "ruling": "approve"})
    world.clock.advance(DAY_S)
    assert await world.resume() == "ended"
    assert "approval.decided t1.1 approve" in await world.story()


async def test_mail_that_the_owner_has_not_heard_of_yet_is_read_before_a_time_is_up() -> None:
    slow = FakeTool("slow", sleeper(100), timeout_s=1e6)
    world = World([pay(approval_s=50), slow], plan=plan(step("a", "pay"), step("b", "slow"), result=[ref("a"), ref("b")]))
    assert await at(world, 49.5, lambda: world.slip("approve", {"step": "a", "ruling": "approve"})) == "ended"
    assert "approval.decided a approve" in await world.story()
    assert await world.state() == "succeeded"


async def test_the_time_for_an_approval_passes_beside_work_in_flight() -> None:
    slow = FakeTool("slow", sleeper(100), timeout_s=1e6)
    steps = [step("a", "pay", on_error="skip"), step("b", "slow"), step("c", "slow", after=("a",))]
    world = World([pay(approval_s=50), slow], plan=plan(*steps, result=[ref("b"), ref("c")]))
    assert await world.drive() == "ended"
    assert world.clock.monotonic() == 150
    assert await world.state() == "succeeded"


async def test_others_go_on_while_one_waits_and_the_run_parks_when_nothing_else_can_run() -> None:
    look = FakeTool("look", sleeper(10))
    steps = [step("a", "pay"), step("b", "look"), step("c", "look", {"x": ref("b")}), step("d", "look", {"x": ref("a")})]
    world = World([pay(), look], plan=plan(*steps, result=[ref("c"), ref("d")]))
    assert await world.drive() == "waiting"
    assert look.steps == ["b", "c"]
    assert world.clock.monotonic() == 20


async def test_an_approved_call_starts_beside_a_lone_slow_neighbour() -> None:
    slow = FakeTool("slow", sleeper(100), timeout_s=1e6)
    world = World(
        [FakeTool("pay", sleeper(50), need="why"), slow], plan=plan(step("a", "pay"), step("b", "slow"), result=[ref("a"), ref("b")])
    )
    assert await at(world, 10, lambda: world.put("approve", {"step": "a", "ruling": "approve"})) == "ended"
    assert world.clock.monotonic() == 100


async def test_several_approvals_are_given_one_by_one() -> None:
    world = World([pay()], [[Call("pay", {"x": 1}), Call("pay", {"x": 2}), Call("pay", {"x": 3})], "done"])
    await world.drive()
    assert (await world.story())[-2:] == ["run.waiting approval", "run.released waiting"]
    for number in (2, 1, 3):
        assert await world.state() == "waiting: approval"
        await world.slip("approve", {"step": f"t1.{number}", "ruling": "approve"})
        await world.resume()
    assert await world.state() == "succeeded"
    assert world.tools[0].steps == ["t1.2", "t1.1", "t1.3"]
    assert [part.id for part in world.results] == ["t1.1", "t1.2", "t1.3"]


async def test_an_approved_call_that_is_tried_again_asks_nobody_again() -> None:
    tool = FakeTool("put", raiser(TimeoutError(), then="done"), "idempotent", retries=2, need="it writes")
    world = World([tool], [Call("put"), "done"])
    await world.drive()
    await world.slip("approve", {"step": "t1.1", "ruling": "approve"})
    assert await world.resume() == "ended"
    assert tool.steps == ["t1.1", "t1.1"]
    assert (await world.story()).count("approval.requested t1.1") == 1


async def test_an_unknown_effect_and_an_approval_wait_side_by_side() -> None:
    broken = FakeTool("send", raiser(ValueError("mid-send")), "once")
    world = World([pay(), broken], [[Call("pay"), Call("send")], "done"])
    await world.drive()
    assert await world.state() == "waiting: unknown_effect"
    waiting = (await world.facts())[-2].event
    assert isinstance(waiting, RunWaiting)
    assert waiting.steps == ("t1.2", "t1.1")
    await world.slip("decide", {"step": "t1.2", "decision": "skip"})
    assert await world.resume() == "waiting"
    assert await world.state() == "waiting: approval"
    await world.slip("approve", {"step": "t1.1", "ruling": "approve"})
    assert await world.resume() == "ended"


async def test_a_message_to_a_run_that_waits_for_an_approval_is_read_behind_it() -> None:
    world = asking()
    await world.drive()
    await world.slip("message", "hurry up")
    assert await world.resume() == "waiting"
    assert await world.since_the_wait() == ["message.received", "run.waiting approval", "run.released waiting"]
    await world.slip("approve", {"step": "t1.1", "ruling": "approve"})
    assert await world.resume() == "ended"
    assert [message.role for message in world.run.conversation][:4] == ["user", "assistant", "tool", "user"]


async def test_a_cancel_ends_a_run_that_waits_for_an_approval() -> None:
    world = asking()
    await world.drive()
    await world.slip("cancel", {"note": "never mind"})
    assert await world.resume() == "ended"
    assert await world.since_the_wait() == ["run.cancel_requested", "run.cancelled"]
    assert world.tools[0].calls == []


async def test_the_deadline_passes_while_a_run_waits_for_an_approval() -> None:
    world = asking(approval_s=DAY_S)
    world.deadline_s = 100
    await world.drive()
    assert (await world.journal.row(TENANT, RUN)).wake_at == world.clock.now_us() + 100_000_000
    world.clock.advance(100)
    assert await world.resume() == "ended"
    assert await world.since_the_wait() == ["run.expired"]


async def test_a_suspended_run_with_a_time_that_is_up_waits_quietly_for_the_effect_under_way() -> None:
    slow = FakeTool("slow", sleeper(100), "once", timeout_s=1e6)
    world = World([pay(approval_s=50), slow], plan=plan(step("a", "pay"), step("b", "slow"), result=[ref("a"), ref("b")]), kept_s=1000)
    await world.begin()
    async with asyncio.TaskGroup() as tasks:
        driving = tasks.create_task(world.executor.drive())
        await asyncio.sleep(10)
        world.executor.interrupt("suspend")
    assert driving.result() == "suspended"
    assert world.clock.monotonic() == 100
    assert no_stray_tasks()
    await world.resume()
    assert "approval.decided a expire" in await world.story()
