import pytest
from pydantic import JsonValue

from agent_sdk.core.ids import StepId
from agent_sdk.core.messages import FilePart, Message, Part, ReasoningPart, TextPart, ToolCallPart, ToolResultPart
from agent_sdk.core.tokens import (
    LEAST_RATIO,
    MOST_RATIO,
    PER_CALL,
    PER_FILE,
    PER_MESSAGE,
    corrected,
    ratio_of,
    tokens_of_message,
    tokens_of_text,
    tokens_of_tools,
)
from agent_sdk.core.tools import ToolSpec

CALL, IMAGE = StepId("t1.1"), FilePart("https://example.org/a.png", "image/png")


@pytest.mark.parametrize(("text", "tokens"), [("", 0), ("abc", 1), ("abcd", 2), ("漢字", 2), ("\ud800", 1)])
def test_three_bytes_count_as_a_token(text: str, tokens: int) -> None:
    assert tokens_of_text(text) == tokens


@pytest.mark.parametrize(
    ("part", "tokens"),
    [
        (TextPart("abc"), 1),
        (ReasoningPart("abc", "abcd"), 3),
        (ReasoningPart("abc"), 1),
        (ToolCallPart(CALL, "look", {"q": 1}), PER_CALL + 2 + 3),
        (ToolCallPart(CALL, "look", None, "{broken"), PER_CALL + 2 + 3),
        (ToolCallPart(CALL, "look"), PER_CALL + 2),
        (ToolResultPart(CALL, "abc"), PER_CALL + 1),
        (ToolResultPart(CALL, {"n": [1]}, files=(IMAGE, IMAGE)), PER_CALL + 3 + 2 * PER_FILE),
        (IMAGE, PER_FILE),
    ],
)
def test_every_part_of_a_message_counts(part: Part, tokens: int) -> None:
    assert tokens_of_message(Message("user", (part,))) == PER_MESSAGE + tokens


def test_the_declarations_of_tools_count() -> None:
    parameters: dict[str, JsonValue] = {"type": "object"}
    tool = ToolSpec("look", "Looks.", parameters, {}, "read")
    assert tokens_of_tools((tool, tool)) == 2 * (PER_CALL + 2 + 2 + 6)
    assert tokens_of_tools(()) == 0


@pytest.mark.parametrize(("tokens", "estimated", "ratio"), [(150, 100, 1.5), (10**9, 1, MOST_RATIO), (1, 10**9, LEAST_RATIO), (1, 0, 1.0)])
def test_a_count_corrects_within_reason(tokens: int, estimated: int, ratio: float) -> None:
    assert ratio_of(tokens, estimated) == ratio


def test_what_was_never_counted_is_taken_as_estimated_and_all_else_a_little_higher() -> None:
    assert corrected(100, None) == 100
    assert corrected(0, 2.0) == 0
    assert corrected(100, 2.0) == 211
