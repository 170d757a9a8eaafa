import pytest
from pydantic import JsonValue

from agent_sdk.core.ids import StepId
from agent_sdk.core.messages import ReasoningPart, TextPart, ToolCallPart
from agent_sdk.llm.output import OUTPUT_TOOL, Output

OBJECT: dict[str, JsonValue] = {"type": "object", "properties": {"n": {"type": "integer"}}}
LIST: dict[str, JsonValue] = {"type": "array", "items": {"type": "integer"}}
THOUGHT = ReasoningPart("hm", "sig")


def given(args: dict[str, JsonValue] | None, raw: str | None = None) -> ToolCallPart:
    return ToolCallPart(StepId("t1.1"), OUTPUT_TOOL, args, raw, None if raw is None else "not JSON")


def test_an_object_is_asked_for_whatever_the_schema_says() -> None:
    assert not Output.of(OBJECT, "native").is_wrapped
    output = Output.of(LIST, "tool")
    assert output.is_wrapped
    assert output.tool.parameters["properties"] == {"value": LIST}
    assert (output.tool.name, output.tool.effect) == (OUTPUT_TOOL, "read")


def test_words_ask_behind_the_instructions() -> None:
    assert Output.of(OBJECT, "prompt").in_words("Be brief.").startswith("Be brief.\n\nAnswer with one JSON object")
    assert Output.of(OBJECT, "prompt").in_words("").startswith("Answer with one JSON object")


def test_the_answer_is_taken_out_of_its_call_and_its_wrapping() -> None:
    output = Output.of(LIST, "tool")
    assert output.parts([THOUGHT, TextPart("Here it is:"), given({"value": [1, 2]})]) == [THOUGHT, TextPart("[1, 2]")]
    assert Output.of(OBJECT, "tool").parts([given({"n": "é"})]) == [TextPart('{"n": "é"}')]


def test_an_answer_that_is_no_json_is_handed_on_to_whoever_checks_it() -> None:
    assert Output.of(OBJECT, "tool").parts([given(None, '{"n": ')]) == [TextPart('{"n": ')]
    assert Output.of(LIST, "native").parts([TextPart("[1, 2")]) == [TextPart("[1, 2")]


def test_an_answer_beside_calls_was_given_too_early() -> None:
    call = ToolCallPart(StepId("t1.2"), "search", {})
    assert Output.of(OBJECT, "tool").parts([TextPart("Let me see."), given({"n": 1}), call]) == [TextPart("Let me see."), call]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"value": [1]}', "[1]"),
        ('{"value": "é"}', '"é"'),
        ("[1]", "[1]"),
        ('{"value": 1, "more": 2}', '{"value": 1, "more": 2}'),
        ("", ""),
        ('```json\n{"value": [1]}\n```\n', "[1]"),
    ],
)
def test_what_is_not_wrapped_stays_as_it_is(text: str, expected: str) -> None:
    assert Output.of(LIST, "native").parts([TextPart(text, "sig")]) == [TextPart(expected, "sig")]
