from collections.abc import AsyncGenerator, AsyncIterator

import pytest

from agent_sdk.core.errors import ReplyInvalid
from agent_sdk.core.ids import StepId
from agent_sdk.core.messages import Conversation, Message, TextPart
from agent_sdk.core.model import Delta, ModelReply, ModelRequest, ReplyDone, TextDelta
from agent_sdk.core.usage import Usage
from agent_sdk.llm import StreamedModel, with_complete
from agent_sdk.testing import ScriptedModel

REQUEST = ModelRequest(StepId("t1"), "m", Conversation())
REPLY = ModelReply(Message("assistant", (TextPart("ok"),)), Usage())


class Own:
    """A user's model that only streams."""

    def __init__(self, *deltas: Delta) -> None:
        self.deltas = deltas
        self.is_closed = False

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Delta, None]:
        try:
            for delta in self.deltas:
                yield delta
        finally:
            self.is_closed = True


class Iterating:
    """A user's model whose stream is an iterator by hand, with nothing to close."""

    def stream(self, request: ModelRequest) -> AsyncIterator[Delta]:
        return self

    def __aiter__(self) -> AsyncIterator[Delta]:
        return self

    async def __anext__(self) -> Delta:
        return ReplyDone(REPLY)


async def test_the_reply_is_the_last_delta() -> None:
    own = Own(TextDelta("ok"), ReplyDone(REPLY), TextDelta("never read"))
    assert await StreamedModel(own).complete(REQUEST) is REPLY
    assert own.is_closed


async def test_a_stream_without_a_reply_is_named_as_such() -> None:
    with pytest.raises(ReplyInvalid, match="without a reply"):
        await with_complete(Own(TextDelta("ok"))).complete(REQUEST)


async def test_deltas_pass_unchanged() -> None:
    deltas = (TextDelta("ok"), ReplyDone(REPLY))
    assert [delta async for delta in with_complete(Own(*deltas)).stream(REQUEST)] == list(deltas)


async def test_any_async_iterator_will_do() -> None:
    assert await with_complete(Iterating()).complete(REQUEST) is REPLY


def test_a_model_that_has_both_stays_as_it_is() -> None:
    model = ScriptedModel([])
    assert with_complete(model) is model
