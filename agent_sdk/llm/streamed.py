"""`complete` on top of `stream`, for models that have the latter alone."""

from collections.abc import AsyncIterator
from typing import Protocol, cast

from agent_sdk.core.frozen import frozen
from agent_sdk.core.model import Delta, ModelReply, ModelRequest, ReplyDone
from agent_sdk.core.ports import Model
from agent_sdk.llm.retry import close_stream, no_reply


class Streaming(Protocol):
    """What only streams."""

    def stream(self, request: ModelRequest) -> AsyncIterator[Delta]:
        """Yield deltas as they come; the last one is `ReplyDone`."""
        ...


@frozen
class StreamedModel:
    """A whole model made of one that only streams."""

    model: Streaming

    def stream(self, request: ModelRequest) -> AsyncIterator[Delta]:
        return self.model.stream(request)

    async def complete(self, request: ModelRequest) -> ModelReply:
        deltas = self.model.stream(request)
        try:
            async for delta in deltas:
                if isinstance(delta, ReplyDone):
                    return delta.reply
        finally:
            await close_stream(deltas)
        raise no_reply()


def with_complete(model: Model | Streaming) -> Model:
    """Return the model itself, or where it has no `complete` of its own, one made of its stream."""
    return cast("Model", model) if hasattr(model, "complete") else StreamedModel(model)
