from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal

import pytest
from pydantic import BaseModel, JsonValue

from agent_sdk.core.errors import ArgumentsInvalid, ConfigError, ToolDeclarationError
from agent_sdk.core.labels import TRUSTED
from agent_sdk.core.ports import Tool
from agent_sdk.core.tools import ToolContext, ToolSpec, Wait, output_misfit
from agent_sdk.tools import MAX_WAIT_S, WaitTool, ask_person, wait_for, wait_for_signal, wait_until


class Payment(BaseModel):
    amount: int
    note: str = ""


def test_a_question_waits_for_a_person() -> None:
    ask = ask_person(expires_s=3600)
    assert (ask.name, ask.spec.kind, ask.spec.effect, ask.spec.returns) == ("ask_person", "question", "read", {"type": "string"})
    assert ask.spec.description == "Ask a person a question, and wait for the answer."
    assert ask.wait({"question": "Red or blue?"}) == Wait("question", text="Red or blue?", after_s=3600)


@pytest.mark.parametrize(
    ("answer", "fits", "misfits"),
    [
        (str, "yes", 1),
        (bool, True, "yes"),
        (Literal["red", "blue"], "red", "green"),
        (Payment, {"amount": 3}, {"amount": "3"}),
        (list[int], [1, 2], [1, "2"]),
    ],
)
def test_an_answer_is_judged_by_its_type(answer: object, fits: JsonValue, misfits: JsonValue) -> None:
    spec = ask_person("ask", answer=answer).spec
    assert output_misfit(spec, fits) is None
    assert output_misfit(spec, misfits) is not None


def test_a_timer_waits_for_seconds() -> None:
    timer = wait_for()
    assert (timer.spec.kind, timer.spec.label, timer.spec.returns) == ("timer", TRUSTED, {"type": "string", "format": "date-time"})
    assert timer.wait({"seconds": 2}) == Wait("timer", after_s=2)
    assert timer.wait({"seconds": MAX_WAIT_S}) == Wait("timer", after_s=MAX_WAIT_S)
    assert output_misfit(timer.spec, datetime(2030, 1, 1, tzinfo=UTC).isoformat()) is None


@pytest.mark.parametrize(
    ("text", "at_us"),
    [
        ("2030-05-01T09:00:00Z", 1_903_856_400_000_000),
        ("2030-05-01T11:00:00.5+02:00", 1_903_856_400_500_000),
        ("0001-01-01T00:00:00+14:00", 0),
    ],
)
def test_a_timer_waits_until_a_time(text: str, at_us: int) -> None:
    assert wait_until().wait({"until": text}) == Wait("timer", at_us=at_us)


@pytest.mark.parametrize(
    ("made", "args"),
    [
        (wait_for(), {"seconds": -1}),
        (wait_for(), {"seconds": MAX_WAIT_S + 1}),
        (wait_for(), {"seconds": float("nan")}),
        (wait_for(), {"seconds": float("inf")}),
        (wait_for(), {"seconds": "5"}),
        (wait_for(), {"seconds": True}),
        (wait_for(), {}),
        (wait_until(), {"until": "2030-05-01T09:00:00"}),
        (wait_until(), {"until": "tomorrow"}),
        (wait_until(), {"until": 1903856400}),
        (ask_person(), {"question": ""}),
        (ask_person(), {"question": " \n"}),
        (ask_person(), {"question": "x" * 10_001}),
        (wait_for_signal("paid"), {"name": "other"}),
    ],
)
def test_a_wait_that_makes_no_sense_is_refused(made: WaitTool, args: dict[str, JsonValue]) -> None:
    (finding,) = made.problems(args)
    with pytest.raises(ArgumentsInvalid) as caught:
        made.wait(args)
    assert caught.value.findings == (finding,)


def test_a_signal_brings_its_payload() -> None:
    signal = wait_for_signal("payment.received", Payment, expires_s=60)
    assert (signal.name, signal.spec.kind) == ("wait_for_payment_received", "signal")
    assert signal.spec.description == "Wait for the signal 'payment.received' from outside, and get what it brings."
    assert signal.wait({}) == Wait("signal", name="payment.received", after_s=60)
    assert output_misfit(signal.spec, {"amount": 3}) is None
    assert output_misfit(signal.spec, {"note": "x"}) is not None


def test_a_signal_without_a_type_may_bring_anything() -> None:
    assert wait_for_signal("go").spec.returns == {}
    assert wait_for_signal("go", object, name="go", description="Go.").spec == ToolSpec(
        "go", "Go.", {"type": "object", "properties": {}, "additionalProperties": False}, {}, "read", kind="signal"
    )


@pytest.mark.parametrize(
    "make",
    [
        lambda: ask_person("no spaces"),
        lambda: ask_person(expires_s=0),
        lambda: ask_person(expires_s=float("nan")),
        lambda: ask_person(answer=ToolContext),
        lambda: wait_for(""),
        lambda: wait_until("x" * 65),
        lambda: wait_for_signal(" "),
        lambda: wait_for_signal("paid", expires_s=-1),
    ],
    ids=["name", "now", "nan", "type", "empty", "long", "signal", "past"],
)
def test_a_declaration_that_makes_no_wait_is_refused_with_a_hint(make: Callable[[], WaitTool]) -> None:
    with pytest.raises(ToolDeclarationError) as caught:
        make()
    assert caught.value.hint


@pytest.mark.parametrize("waits", [ask_person(), wait_for(), wait_until(), wait_for_signal("paid")], ids=repr)
async def test_nothing_of_a_wait_is_called(waits: Tool, context: ToolContext[object]) -> None:
    assert waits.approval({}) is None
    for refused in (waits.call({}, context), waits.verify(context), waits.compensate({}, None, context)):
        with pytest.raises(ConfigError, match="waits, and cannot be"):
            await refused


def hired(parameters: dict[str, JsonValue]) -> WaitTool:
    return WaitTool(
        ToolSpec("hire", "Hire.", parameters, {}, kind="child"), lambda args: Wait("child", text=str(args["goal"]), name="helper")
    )


GOAL: dict[str, JsonValue] = {
    "type": "object",
    "properties": {"goal": {"type": "string", "minLength": 1}, "limits": {"type": "object", "properties": {"turns": {"type": "integer"}}}},
    "required": ["goal"],
    "additionalProperties": False,
}


def test_a_wait_of_ones_own_is_held_to_its_schema() -> None:
    hire = hired(GOAL)
    assert hire.spec.parameters is GOAL
    assert hire.wait({"goal": "Find it.", "limits": {"turns": 2}}) == Wait("child", text="Find it.", name="helper")
    found = hire.problems({"goal": " ", "limits": {"turns": "2"}, "gaol": ""})
    assert [finding.path for finding in found] == ["$.goal", "$.limits", "$.gaol"]
    assert [finding.message for finding in found] == [
        "it needs at least 1 characters",
        "at turns it should be integer, and is '2'",
        "hire has no parameter 'gaol'",
    ]
    assert [finding.code for finding in hire.problems({"goal": 3})] == ["invalid_argument"]
    assert [finding.code for finding in hire.problems({})] == ["missing_argument"]
    assert not hire.problems({"goal": {"$ref": "a"}}, partial=frozenset({"goal"}))


def test_a_wait_of_ones_own_may_take_nothing() -> None:
    assert not hired({}).problems({})
    assert len(hired({}).problems({"goal": 1})) == 1
