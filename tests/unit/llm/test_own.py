from collections.abc import AsyncGenerator
from dataclasses import replace
from decimal import Decimal
from typing import Any, cast

import pytest

from agent_sdk.core.errors import ModelError, Overloaded
from agent_sdk.core.ids import StepId
from agent_sdk.core.messages import Conversation, FilePart, Message, Part, ReasoningPart, TextPart, ToolCallPart
from agent_sdk.core.model import Delta, ModelReply, ModelRequest, ReplyDone, TextDelta
from agent_sdk.core.usage import Usage
from agent_sdk.llm import OwnModel
from agent_sdk.llm.calls import MAX_CALLS

REQUEST = ModelRequest(StepId("t1"), "own", Conversation())


def reply(*parts: Part) -> ModelReply:
    return ModelReply(Message("assistant", parts), Usage())


class Own:
    """Streams a word, then what it was given: an error, or a reply."""

    def __init__(self, end: ModelReply | Exception | SystemExit) -> None:
        self._end = end
        self.is_closed = False

    async def complete(self, request: ModelRequest) -> ModelReply:
        if isinstance(self._end, Exception | SystemExit):
            raise self._end
        return self._end

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Delta, None]:
        try:
            yield TextDelta("so")
            yield ReplyDone(await self.complete(request))
        finally:
            self.is_closed = True


async def streamed(model: Own) -> list[Delta]:
    return [delta async for delta in OwnModel(model).stream(REQUEST)]


async def test_a_good_reply_comes_out_as_it_is() -> None:
    good = reply(ReasoningPart("so"), TextPart("fine"), FilePart("https://example.org/a.png", "image/png"))
    assert await OwnModel(Own(good)).complete(REQUEST) is good
    assert await streamed(Own(good)) == [TextDelta("so"), ReplyDone(good)]


async def test_what_the_model_raises_is_a_model_error_that_names_it() -> None:
    for error in (KeyError("boo"), ZeroDivisionError()):
        with pytest.raises(ModelError, match=f"Own raised {type(error).__name__}") as caught:
            await OwnModel(Own(error)).complete(REQUEST)
        assert caught.value.__cause__ is error
        model = Own(error)
        with pytest.raises(ModelError, match=f"Own raised {type(error).__name__}"):
            await streamed(model)
        assert model.is_closed


async def test_a_model_error_keeps_its_kind() -> None:
    with pytest.raises(Overloaded):
        await OwnModel(Own(Overloaded("later"))).complete(REQUEST)
    with pytest.raises(Overloaded):
        await streamed(Own(Overloaded("later")))


@pytest.mark.parametrize(
    "part",
    [
        TextPart("half \ud83d"),
        ToolCallPart(StepId("t1.1"), "send", {"text": "half \ud83d"}),
        ToolCallPart(StepId("t1.1"), "send", {"rate": float("nan")}),
        ToolCallPart(StepId("t1.1"), "half \ud83d", {}),
        ToolCallPart(StepId("t1.1"), cast("str", 7), {}),
        ReasoningPart("half \ud83d"),
        FilePart("https://example.org/half\ud83d", "image/png"),
    ],
    ids=["text", "argument", "number", "tool", "no name", "thought", "file"],
)
async def test_a_reply_that_the_journal_cannot_keep_is_refused(part: Part) -> None:
    with pytest.raises(ModelError, match="cannot be kept"):
        await OwnModel(Own(reply(part))).complete(REQUEST)
    with pytest.raises(ModelError, match="cannot be kept"):
        await streamed(Own(reply(part)))


IMPOSSIBLE = (
    Usage(10**18, 1),
    Usage(-5, 1),
    Usage(1, 1, cached_tokens=-1),
    Usage(cast("int", 1.5), 1),
    Usage(cast("int", True), 1),
    Usage(1, 1, cost_usd=Decimal(-1)),
    Usage(1, 1, cost_usd=Decimal("NaN")),
    Usage(1, 1, cost_usd=Decimal("1e30")),
    Usage(1, 1, cost_usd=cast("Decimal", 0.5)),
)


@pytest.mark.parametrize("usage", IMPOSSIBLE, ids=str)
async def test_usage_that_cannot_be_never_reaches_the_ledger(usage: Usage) -> None:
    told = ModelReply(Message("assistant", (TextPart("fine"),)), usage)
    with pytest.raises(ModelError, match="says that it used"):
        await OwnModel(Own(told)).complete(REQUEST)
    with pytest.raises(ModelError, match="says that it used"):
        await streamed(Own(told))
    failed = Overloaded("busy")
    failed.usage = usage
    with pytest.raises(Overloaded) as caught:
        await OwnModel(Own(failed)).complete(REQUEST)
    assert caught.value.usage is None


@pytest.mark.parametrize(
    "change",
    [{"model": "half \ud83d"}, {"request_id": "half \ud83d"}, {"model": None}, {"request_id": 5}, {"stop": "because"}],
    ids=str,
)
async def test_what_a_reply_says_of_itself_must_be_what_the_journal_can_keep_and_read_again(change: dict[str, Any]) -> None:
    odd = replace(reply(TextPart("fine")), **change)
    with pytest.raises(ModelError, match="cannot be kept"):
        await OwnModel(Own(odd)).complete(REQUEST)
    with pytest.raises(ModelError, match="cannot be kept"):
        await streamed(Own(odd))


async def test_more_calls_than_a_reply_can_have_are_refused_before_any_is_looked_at() -> None:
    calls = [ToolCallPart(StepId(f"t1.{at}"), "send", {}) for at in range(MAX_CALLS)]
    await OwnModel(Own(reply(*calls))).complete(REQUEST)
    with pytest.raises(ModelError, match="more than 10,000 calls in one reply"):
        await OwnModel(Own(reply(*calls, ToolCallPart(StepId("t1.x"), "send", {"rate": float("nan")})))).complete(REQUEST)


async def test_a_model_that_wants_to_end_the_process_ends_its_call() -> None:
    with pytest.raises(ModelError, match="Own raised SystemExit: 3"):
        await OwnModel(Own(SystemExit(3))).complete(REQUEST)
    with pytest.raises(ModelError, match="Own raised SystemExit: 3"):
        await streamed(Own(SystemExit(3)))
