import json
from collections.abc import Callable

import pytest
from hypothesis import given, strategies as st
from pydantic import JsonValue

from agent_sdk.core.errors import ReplyInvalid
from agent_sdk.core.ids import StepId
from agent_sdk.core.messages import ToolCallPart
from agent_sdk.llm.anthropic import ANTHROPIC
from agent_sdk.llm.anthropic_reply import MessageAssembly
from agent_sdk.llm.calls import MAX_CALLS, call_id, parse_arguments, parse_call
from agent_sdk.llm.gemini_reply import ReplyAssembly as GeminiAssembly
from agent_sdk.llm.openai_reply import ReplyAssembly as ChatAssembly
from agent_sdk.llm.openai_responses import RESPONSES
from agent_sdk.llm.openai_responses_reply import ResponseAssembly
from agent_sdk.llm.transport import Assembly
from agent_sdk.llm.vendor_errors import Place

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), JSON, max_size=4))
def test_every_json_object_is_read_as_it_was_written(value: dict[str, JsonValue]) -> None:
    assert parse_arguments(json.dumps(value, ensure_ascii=False)) == (value, None)


@given(st.text())
def test_any_text_gives_arguments_or_a_problem_and_never_both(text: str) -> None:
    args, problem = parse_arguments(text)
    assert (args is None) != (problem is None)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "empty"),
        ("  \n", "empty"),
        ("I would search for cats.", "not JSON"),
        ('{"q": "ca', "not JSON: Unterminated string starting at at character 6 of 9"),
        ('{"q": 1} trailing', "Extra data"),
        ("[1]", "a JSON array; an object is expected"),
        ('"text"', "a JSON string"),
        ("1", "a JSON number"),
        ("1.5", "a JSON number"),
        ("true", "a JSON boolean"),
        ("null", "a JSON null"),
        ('{"a": 1, "a": 2}', "the key 'a' stands twice in one object"),
        ('{"deep": [{"a": 1, "b": 2, "b": 2}]}', "the key 'b' stands twice in one object"),
        ('{"a": NaN}', "NaN is no JSON number"),
        ('{"a": -Infinity}', "-Infinity is no JSON number"),
        ('{"a": 1e999}', "too large a number"),
        ('{"a": "\\ud83d"}', "half a character"),
        ('{"a": ' + "[" * 100_000, "more than 100 levels deep"),
        ('{"a": ' + "[" * 250 + "]" * 250 + "}", "more than 100 levels deep"),
        ('{"a": ' + "9" * 5000 + "}", "Exceeds the limit"),
    ],
)
def test_what_is_no_json_object_is_a_problem_that_says_why(text: str, problem: str) -> None:
    args, found = parse_arguments(text)
    assert args is None
    assert found is not None
    assert problem in found


def test_a_call_keeps_the_text_only_where_it_could_not_be_read() -> None:
    good = parse_call(StepId("t1.1"), "search", '{"q": "cats"}')
    bad = parse_call(StepId("t1.1"), "search", "cats")
    assert (good.args, good.raw, good.problem) == ({"q": "cats"}, None, None)
    assert (bad.args, bad.raw) == (None, "cats")
    assert bad.problem is not None


def test_calls_are_counted_from_one() -> None:
    assert [call_id(StepId("t7"), index) for index in range(2)] == ["t7.1", "t7.2"]


def chat_calls(name: str, count: int) -> object:
    return {"choices": [{"message": {"tool_calls": [{"function": {"name": name}}] * count}}]}


def responses_calls(name: str, count: int) -> object:
    return {"status": "completed", "output": [{"type": "function_call", "name": name}] * count}


def messages_calls(name: str, count: int) -> object:
    return {"content": [{"type": "tool_use", "name": name}] * count}


def gemini_calls(name: str, count: int) -> object:
    return {"candidates": [{"content": {"parts": [{"functionCall": {"name": name}}] * count}, "finishReason": "STOP"}]}


AT = StepId("t1"), Place("http://x")
PROTOCOLS: dict[str, tuple[Callable[[], Assembly], Callable[[str, int], object]]] = {
    "chat": (lambda: ChatAssembly(*AT, {}), chat_calls),
    "responses": (lambda: ResponseAssembly(*AT, RESPONSES, {}), responses_calls),
    "messages": (lambda: MessageAssembly(*AT, ANTHROPIC, {}), messages_calls),
    "gemini": (lambda: GeminiAssembly(*AT, {}), gemini_calls),
}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_reply_has_no_more_calls_than_anybody_can_act_on(protocol: str) -> None:
    made, calls = PROTOCOLS[protocol]
    full = made()
    full.add(json.dumps(calls("f", MAX_CALLS)).encode())
    assert len(full.reply().message.tool_calls) == MAX_CALLS
    with pytest.raises(ReplyInvalid, match="http://x sent more than 10,000 calls in one reply"):
        made().add(json.dumps(calls("f", MAX_CALLS + 1)).encode())


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_name_that_no_tool_can_have_is_kept_by_its_beginning(protocol: str) -> None:
    made, calls = PROTOCOLS[protocol]
    parts = made()
    deltas = parts.add(json.dumps(calls("f" * 100_000, 1)).encode())
    (call,) = parts.reply().message.parts
    assert isinstance(call, ToolCallPart)
    assert call.tool == "f" * 200 + "..."
    assert all(len(getattr(delta, "tool", None) or "") <= len(call.tool) for delta in deltas)
