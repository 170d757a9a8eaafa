"""Guardrails and validators: their complaints are told, their failures refuse, and a run that is cancelled is not held up."""

import asyncio
import logging
import threading
from dataclasses import replace
from typing import Any

import pytest
from pydantic import BaseModel, JsonValue

from agent_sdk import Agent, ConfigError, GuardedCall, Limits, PrincipalId, RunId, RunInfo, StepId, inline
from agent_sdk.core.errors import GuardrailRefused
from agent_sdk.core.events import Fact, RunCreated
from agent_sdk.core.findings import Finding
from agent_sdk.core.ids import TenantId
from agent_sdk.core.messages import ToolCallPart, user_message
from agent_sdk.core.ports import Guards
from agent_sdk.core.run import Run
from agent_sdk.runtime.functions import InputGuardrail, Validator, name_of, needs_info
from agent_sdk.runtime.guards import guards_of
from agent_sdk.testing import run_virtual
from agent_sdk.tools import ThreadPool

CREATED = RunCreated("a", "1", {}, goal="do it", principal=PrincipalId("ann"))
INFO = RunInfo(TenantId("t"), RunId("r"), "a", PrincipalId("ann"))
THREADS = ThreadPool()
CALL = ToolCallPart(StepId("t1.1"), "pay", {"to": ["bob"]})


def run_of(created: RunCreated = CREATED) -> Run:
    run = Run(TenantId("t"), RunId("r"), Limits())
    run.apply(Fact(1, 0, 0, created))
    return run


def guards(agent: "Agent[None, str] | Agent[None, Report]") -> Guards:
    found = guards_of(agent, THREADS)
    assert found is not None
    return found


class Report(BaseModel):
    total: int


def breaks(*_given: object) -> str | None:
    raise KeyError("sk-proj-abcdefghijklmnopqrstuvwxyz0123456789")


def test_an_agent_without_guards_has_none() -> None:
    assert guards_of(Agent(name="a"), THREADS) is None


async def test_an_input_guardrail_judges_the_goal_and_each_message() -> None:
    seen: list[tuple[str, RunInfo]] = []

    async def note(text: str, info: RunInfo) -> str | None:
        seen.append((text, info))
        return "rude" if "damn" in text else None

    one = guards(Agent(name="a", input_guardrails=[lambda _text, _info: None, note]))
    assert await one.goal(run_of()) is None
    assert await one.message(user_message("damn"), run_of()) == "rude"
    assert seen == [("do it", INFO), ("damn", INFO)]
    assert await one.goal(run_of(replace(CREATED, goal="damn"))) == "rude"


async def test_every_complaint_about_a_call_is_found_and_the_call_stays_as_it_was() -> None:
    def greedy(call: GuardedCall, _info: RunInfo) -> str | None:
        call.args["to"] = "me"
        return f"{call.tool} is too dear"

    one = guards(Agent(name="a", call_guardrails=[greedy, lambda call, _info: None if call.args["to"] == ["bob"] else "changed", greedy]))
    assert await one.call(CALL, run_of()) == [Finding("guardrail_refused", "$", "pay is too dear")] * 2
    assert CALL.args == {"to": ["bob"]}
    assert await one.call(ToolCallPart(StepId("t1.1"), "pay", None, raw="{"), run_of()) == []
    assert await one.answer("fine", run_of()) == []


async def test_validators_see_the_typed_answer_and_all_their_complaints_are_found() -> None:
    def positive(answer: Report) -> str | None:
        return None if answer.total > 0 else "total must be above 0"

    async def of_ann(answer: Report, info: RunInfo) -> None:
        assert info.principal == "bob", f"{info.principal} may not see {answer.total}"

    def small(answer: Report) -> None:
        if answer.total != 1:
            raise ValueError

    never: list[Report] = []
    agent = Agent(
        name="a",
        output=Report,
        validators=[positive, of_ann, small, lambda _answer: ""],
        output_guardrails=[lambda answer, _info: never.append(answer)],
    )
    found = await guards(agent).answer({"total": 0}, run_of())
    assert {finding.code for finding in found} == {"answer_refused"}
    assert [finding.message.splitlines()[0] for finding in found] == [
        "total must be above 0",
        "ann may not see 0",
        "ValueError",
        "refused",
    ]
    assert never == []


async def test_each_guard_judges_the_answer_that_is_given_whatever_another_did_to_its_own() -> None:
    def tidied(answer: dict[str, JsonValue]) -> None:
        answer["notes"], answer["total"] = [], 0

    def emptied(answer: dict[str, JsonValue], _info: RunInfo) -> None:
        notes = answer["notes"]
        assert isinstance(notes, list)
        notes.clear()

    seen: list[dict[str, JsonValue]] = []
    agent = Agent(
        name="a", output=dict[str, JsonValue], validators=[tidied], output_guardrails=[emptied, lambda answer, _: seen.append(answer)]
    )
    answer: JsonValue = {"total": 5, "notes": ["Bob paid"]}
    found = guards_of(agent, THREADS)
    assert found is not None
    assert await found.answer(answer, run_of()) == []
    assert seen == [answer] == [{"total": 5, "notes": ["Bob paid"]}]


async def test_an_output_guardrail_ends_the_run_over_a_valid_answer() -> None:
    one = guards(Agent(name="a", output_guardrails=[lambda answer, _info: "it names Bob" if "Bob" in answer else None]))
    assert await one.answer("Ann paid", run_of()) == []
    with pytest.raises(GuardrailRefused, match="agent 'a' refuses the answer: it names Bob") as caught:
        await one.answer("Bob paid", run_of())
    assert caught.value.hint


async def test_a_plan_is_no_answer_to_be_judged() -> None:
    one = guards(Agent(name="a", strategy="plan", validators=[breaks], output_guardrails=[breaks]))
    assert await one.answer({"steps": []}, run_of(replace(CREATED, strategy="plan", plan_only=True))) == []


async def test_a_guard_that_fails_refuses_and_its_secrets_stay_out(caplog: pytest.LogCaptureFixture) -> None:
    agent = Agent(name="a", input_guardrails=[breaks], call_guardrails=[breaks], output_guardrails=[breaks])
    with caplog.at_level(logging.ERROR):
        complaint = await guards(agent).goal(run_of())
    assert complaint is not None
    assert complaint.startswith("guardrail_failed: KeyError: ")
    assert "abcdefghijklmnopqrstuvwxyz" not in complaint
    assert caplog.records[0].exc_info is not None
    (finding,) = await guards(agent).call(CALL, run_of())
    assert finding.code == "guardrail_failed"
    with pytest.raises(GuardrailRefused, match="guardrail_failed: KeyError"):
        await guards(agent).answer("fine", run_of())


class Broken(Exception):
    def __str__(self) -> str:
        raise RuntimeError


def ends(_answer: str) -> None:
    raise SystemExit(1)


def is_broken(_answer: str) -> None:
    raise Broken


async def cancels_itself(_answer: str) -> None:
    raise asyncio.CancelledError


def says_yes(answer: str) -> Any:  # noqa: ANN401  (what no type checker sees)
    return bool(answer)


FAILING: dict[Validator, str] = {
    ends: "SystemExit: 1",
    is_broken: "Broken",
    cancels_itself: "CancelledError",
    says_yes: "TypeError: it returned bool",
}


@pytest.mark.parametrize(("validator", "told"), FAILING.items())
async def test_whatever_a_validator_does_wrong_is_a_finding(validator: Validator, told: str) -> None:
    agent = Agent(name="a", validators=[validator])
    (finding,) = await guards(agent).answer("fine", run_of())
    assert finding.code == "guardrail_failed"
    assert told in finding.message


async def test_a_guard_that_blocks_holds_up_nobody_else_and_the_loop_sets_it_free() -> None:
    freed = threading.Event()

    def blocking(_text: str, _info: RunInfo) -> str | None:
        return None if freed.wait(60) else "nobody set it free"

    async def free() -> None:
        freed.set()

    one = guards(Agent(name="a", input_guardrails=[blocking]))
    async with asyncio.TaskGroup() as tasks:
        judged = tasks.create_task(one.goal(run_of()))
        tasks.create_task(free())
    assert judged.result() is None


async def test_a_guard_that_blocks_for_too_long_is_given_up_and_its_thread_counts_as_abandoned() -> None:
    freed = threading.Event()

    def blocking(_answer: str) -> None:
        freed.wait(60)

    pool = ThreadPool()
    agent = Agent(name="a", validators=[blocking], limits=Limits(step_timeout_s=0.01))
    found = guards_of(agent, pool)
    assert found is not None
    try:
        (finding,) = await found.answer("fine", run_of())
        assert (finding.code, finding.message) == ("guardrail_failed", "guardrail_failed: TimeoutError")
        assert pool.abandoned == 1
    finally:
        freed.set()


async def test_a_guard_runs_in_a_thread_unless_it_is_async_or_inline() -> None:
    threads: list[threading.Thread] = []

    def note(_text: str, _info: RunInfo) -> None:
        threads.append(threading.current_thread())

    class Noting:
        async def __call__(self, text: str, info: RunInfo) -> None:
            note(text, info)

        def method(self, text: str, info: RunInfo) -> None:
            note(text, info)

    async def later(text: str, info: RunInfo) -> None:
        note(text, info)

    guardrails: list[InputGuardrail] = [
        note,
        lambda text, info: later(f"{text}!", info),
        inline(note),
        later,
        Noting(),
        inline(Noting().method),
    ]
    assert await guards(Agent(name="a", input_guardrails=guardrails)).goal(run_of()) is None
    assert [thread is threading.main_thread() for thread in threads] == [False, True, True, True, True, True]


async def test_an_inline_validator_is_still_known_by_its_name_and_what_it_takes() -> None:
    def of_whom(answer: str, info: RunInfo) -> str | None:
        return f"{info.principal} may not say {answer}"

    assert (name_of(inline(of_whom)), needs_info(inline(of_whom))) == (name_of(of_whom), True)
    (finding,) = await guards(Agent(name="a", validators=[inline(of_whom)])).answer("fine", run_of())
    assert finding.message == "ann may not say fine"


def test_a_guard_that_never_comes_back_is_given_up() -> None:
    async def sleepy(_text: str, _info: RunInfo) -> None:
        await asyncio.sleep(1e6)

    async def scene() -> None:
        agent = Agent(name="a", input_guardrails=[sleepy], limits=Limits(step_timeout_s=5))
        assert await guards(agent).goal(run_of()) == "guardrail_failed: TimeoutError"

    run_virtual(scene())


async def test_a_cancelled_run_is_not_held_up_by_its_guards() -> None:
    asked = asyncio.Event()

    async def sleepy(_text: str, _info: RunInfo) -> None:
        asked.set()
        await asyncio.Event().wait()

    async with asyncio.TaskGroup() as tasks:
        judging = tasks.create_task(guards(Agent(name="a", input_guardrails=[sleepy])).goal(run_of()))
        await asked.wait()
        judging.cancel()
    assert judging.cancelled()


def of_one(text: str) -> None:
    raise AssertionError(text)


def of_three(one: str, two: str, three: str) -> None:
    raise AssertionError(one + two + three)


WRONG: dict[str, tuple[dict[str, object], str, str]] = {
    "no list": ({"validators": breaks}, "validators: <function breaks", "give a list of functions, validators=[...]"),
    "no function": ({"call_guardrails": ["x"]}, "call_guardrails: 'x' is no function of (call: GuardedCall", "returns what is wrong"),
    "too few": ({"input_guardrails": [of_one]}, "cannot be called with (text: str, info: RunInfo)", "(text: str"),
    "too many": ({"validators": [of_three]}, "cannot be called with (answer), or (answer, info", "or None"),
}


@pytest.mark.parametrize(("options", "message", "hint"), WRONG.values(), ids=WRONG)
def test_functions_that_cannot_be_called_so_are_refused_at_once(options: dict[str, object], message: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Agent(name="a", **options)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]  (the types refuse it too)
    assert message in caught.value.message
    assert hint in (caught.value.hint or "")


async def test_a_guardrail_that_cancels_its_own_task_refuses_and_the_run_goes_on() -> None:
    def cancels(_text: str, _info: RunInfo) -> str | None:
        raise asyncio.CancelledError

    async def cancels_later(_text: str, _info: RunInfo) -> str | None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(0)
        return None

    for guard in (cancels, cancels_later):
        assert "guardrail_failed" in (await guards(Agent(name="a", input_guardrails=[guard])).goal(run_of()) or "")


async def test_an_exception_of_no_usual_kind_is_a_refusal_too() -> None:
    class Odd(BaseException):
        pass

    def raises(_text: str, _info: RunInfo) -> str | None:
        raise Odd

    assert "Odd" in (await guards(Agent(name="a", input_guardrails=[raises])).goal(run_of()) or "")
