"""The simulated model holds plans, and nothing that a step should compute; it refuses all that it was not made for."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import JsonValue

from agent_sdk.core.findings import Finding
from agent_sdk.core.ids import DEFAULT_TENANT, RunId
from agent_sdk.core.plan import Plan
from agent_sdk.core.run import Run
from agent_sdk.planning import parse_plan
from agent_sdk.runtime.compose import make_checker
from agent_sdk.runtime.options import tool_name
from agent_sdk.testing import ChatReply, ChatRequest, RawReply
from agent_sdk.testing.chat_protocol import ChatMessage, JsonSchema, ResponseFormat
from agent_sdk.testing.demo import Script, demo_agent, scripts
from agent_sdk.testing.demo.provider import answer

PLAN_FORMAT = ResponseFormat(type="json_schema", json_schema=JsonSchema.model_validate({"name": "plan", "schema": {"type": "object"}}))


def request(*texts: str, response_format: ResponseFormat | None = PLAN_FORMAT) -> ChatRequest:
    """Return a request whose messages are the user's, but for those that are replies: they begin with a brace."""
    messages = [ChatMessage(role="assistant" if text.startswith("{") else "user", content=text) for text in texts]
    return ChatRequest(model="simulated", messages=messages, response_format=response_format)


def refusal(reply: ChatReply | RawReply) -> str:
    assert isinstance(reply, RawReply)
    assert reply.status == 400
    error: dict[str, dict[str, str]] = json.loads(reply.body)
    return error["error"]["code"]


def check(value: JsonValue, out: Path) -> tuple[Plan, list[Finding]]:
    agent = demo_agent(out, out)
    plan, findings = parse_plan(value)
    assert plan is not None, findings
    checker = make_checker(agent, {tool_name(tool): tool for tool in agent.tools})
    return plan, list(checker.plan(plan, Run(DEFAULT_TENANT, RunId("run_1"))))


def leaves(value: JsonValue, name: str = "") -> Iterator[tuple[str, JsonValue]]:
    """Yield all that is neither object nor list, with the name of the field it stands under."""
    match value:
        case dict():
            for key, inner in value.items():
                yield from leaves(inner, key)
        case list():
            for inner in value:
                yield from leaves(inner, name)
        case _:
            yield name, value


@pytest.mark.parametrize("script", scripts(), ids=lambda script: script.goal)
def test_the_last_plan_of_each_goal_holds_and_has_eight_steps_and_a_fan_out(script: Script, tmp_path: Path) -> None:
    plan, findings = check(dict(script.replies[-1]), tmp_path)
    assert findings == []
    assert len(plan.steps) >= 8
    assert any(step.for_each is not None for step in plan.steps)


def test_the_first_plan_for_docstrings_has_mistakes_of_several_kinds(tmp_path: Path) -> None:
    _, findings = check(dict(scripts()[1].replies[0]), tmp_path)
    assert {finding.code for finding in findings} >= {"invalid_argument", "reference_path", "unknown_tool", "unused_step"}


@pytest.mark.parametrize("script", scripts(), ids=lambda script: script.goal)
def test_plans_hold_no_number_but_what_a_step_is_told(script: Script) -> None:
    for plan in script.replies:
        assert {name for name, value in leaves(dict(plan)) if isinstance(value, int | float)} <= {"first", "parts", "value"}
        texts = [value for name, value in leaves(dict(plan)) if name in {"title", "how", "unit"} and isinstance(value, str)]
        assert texts
        assert not [text for text in texts if re.search(r"\d", text)]


def test_a_goal_is_answered_with_its_first_plan_and_then_with_the_mended_one() -> None:
    script = scripts()[1]
    first = answer(request(script.goal))
    assert isinstance(first, ChatReply)
    assert json.loads(first.text or "") == script.replies[0]
    second = answer(request(script.goal, first.text or "", "The plan does not hold"))
    assert isinstance(second, ChatReply)
    assert json.loads(second.text or "") == script.replies[1]


def test_another_goal_is_refused() -> None:
    assert refusal(answer(request("What is the answer?"))) == "unknown_goal"


def test_what_asks_for_no_plan_is_refused() -> None:
    assert refusal(answer(request(scripts()[0].goal, response_format=None))) == "no_plan_asked"


@pytest.mark.parametrize("texts", [("{}", "again"), ("A part of the plan could not be completed",)])
def test_what_it_has_no_plan_for_is_refused(texts: tuple[str, ...]) -> None:
    assert refusal(answer(request(scripts()[0].goal, *texts))) == "script_exhausted"
