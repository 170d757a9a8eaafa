"""The boundary to a model of the user's own: whatever it raises or returns becomes a reply of the port, or a `ModelError`."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass

from agent_sdk.core.codec import dump
from agent_sdk.core.errors import AgentSDKError, ModelError
from agent_sdk.core.messages import ToolCallPart
from agent_sdk.core.model import Delta, ModelReply, ModelRequest, ReplyDone
from agent_sdk.core.ports import Model
from agent_sdk.core.strict_json import require_storable
from agent_sdk.llm.retry import close_stream


@dataclass(frozen=True, slots=True)
class OwnModel:
    """A model object that somebody else wrote."""

    model: Model

    async def complete(self, request: ModelRequest) -> ModelReply:
        try:
            return _checked(await self.model.complete(request))
        except AgentSDKError:
            raise
        except Exception as error:
            raise self._broken(error) from error

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Delta, None]:
        deltas = self.model.stream(request)
        try:
            async for delta in deltas:
                if isinstance(delta, ReplyDone):
                    _checked(delta.reply)
                yield delta
        except AgentSDKError:
            raise
        except Exception as error:
            raise self._broken(error) from error
        finally:
            await close_stream(deltas)

    def _broken(self, error: Exception) -> ModelError:
        said = f"{type(self.model).__name__} raised {type(error).__name__}: {error}"
        return ModelError(said[:1000], hint="raise a ModelError such as Unavailable where another attempt may help")


def _checked(reply: object) -> ModelReply:
    """Return the reply, if the journal can keep it."""
    if not isinstance(reply, ModelReply):
        raise ModelError(f"the model object returned a {type(reply).__name__}", hint="return a ModelReply")
    try:
        for part in reply.message.parts:
            if isinstance(part, ToolCallPart):
                require_storable(part.args)
        dump(reply.message)
    except ValueError as error:
        raise ModelError(
            f"the model object's reply cannot be kept: {error}", hint="reply in whole characters and plain JSON data"
        ) from error
    return reply
