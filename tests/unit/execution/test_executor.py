from agent_sdk.testing import Call
from tests.unit.execution.world import FakeTool, World, no_stray_tasks, plan, ref, step


async def test_a_loop_calls_tools_until_the_model_answers() -> None:
    tool = FakeTool("add", lambda args, _: len(args))
    world = World([tool], [Call("add", {"a": 1, "b": 2}), "two"])
    assert await world.drive() == "ended"
    assert await world.story() == [
        "run.created",
        "run.claimed",
        "model.called t1",
        "step.started t1.1 #1",
        "step.finished t1.1 #1",
        "model.called t2",
        "run.succeeded",
    ]
    assert world.run.answer == "two"
    assert await world.state() == "succeeded"
    assert no_stray_tasks()
    context, args = tool.calls[0]
    assert (args, context.step_id, context.attempt, context.idempotency_key, context.deps) == ({"a": 1, "b": 2}, "t1.1", 1, "", "the deps")


async def test_a_plan_is_performed_and_its_result_is_the_answer() -> None:
    tool = FakeTool("echo", lambda args, _: args["x"])
    world = World([tool], plan=plan(step("a", "echo", {"x": 1}), step("b", "echo", {"x": ref("a")})))
    assert await world.drive() == "ended"
    assert world.run.answer == 1
    assert await world.story() == [
        "run.created",
        "run.claimed",
        "plan.accepted",
        "step.started a #1",
        "step.finished a #1",
        "step.started b #1",
        "step.finished b #1",
        "run.succeeded",
    ]
