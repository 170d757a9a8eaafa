"""The boundary to a model of the user's own: whatever it raises or returns becomes a reply of the port, or a `ModelError`."""

from collections.abc import AsyncGenerator, Sequence
from decimal import Decimal
from typing import cast, get_args

from agent_sdk.core.codec import dump
from agent_sdk.core.errors import AgentSDKError, ModelError
from agent_sdk.core.frozen import frozen
from agent_sdk.core.messages import Part, ReasoningPart, TextPart, ToolCallPart
from agent_sdk.core.model import Delta, ModelReply, ModelRequest, ReplyDone, Stop
from agent_sdk.core.ports import Model
from agent_sdk.core.strict_json import require_storable
from agent_sdk.core.usage import Usage
from agent_sdk.llm.calls import MAX_CALLS, TOO_MANY
from agent_sdk.llm.retry import close_stream
from agent_sdk.llm.wire import MOST_TOKENS

_MOST_USD = 1_000_000
_STOPS = frozenset(get_args(Stop))
_USAGE_HINT = "give whole numbers of tokens, none below 0, and a Decimal or None as cost_usd"


@frozen
class OwnModel:
    """A model object that somebody else wrote."""

    model: Model

    async def complete(self, request: ModelRequest) -> ModelReply:
        try:
            return _checked(await self.model.complete(request))
        except AgentSDKError as error:
            _check_usage(error)
            raise
        except (Exception, SystemExit) as error:
            raise self._broken(error) from error

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Delta, None]:
        deltas = self.model.stream(request)
        try:
            async for delta in deltas:
                if isinstance(delta, ReplyDone):
                    _checked(delta.reply)
                yield delta
        except AgentSDKError as error:
            _check_usage(error)
            raise
        except (Exception, SystemExit) as error:
            raise self._broken(error) from error
        finally:
            await close_stream(deltas)

    def _broken(self, error: Exception | SystemExit) -> ModelError:
        said = f"{type(self.model).__name__} raised {type(error).__name__}: {error}"
        return ModelError(said[:1000], hint="raise a ModelError such as Unavailable where another attempt may help")


def _checked(reply: object) -> ModelReply:
    """Return the reply, if the journal can keep it."""
    if not isinstance(reply, ModelReply):
        raise ModelError(f"the model object returned a {type(reply).__name__}", hint="return a ModelReply")
    if len(reply.message.tool_calls) > MAX_CALLS:
        raise ModelError(f"the model object gave {TOO_MANY}", hint="ask for less at once")
    try:
        _require_named(reply)
        "".join([text for part in reply.message.parts for text in _texts(part)]).encode()
    except (TypeError, ValueError) as error:
        raise ModelError(
            f"the model object's reply cannot be kept: {error}", hint="reply in whole characters and plain JSON data"
        ) from error
    if not _is_possible(reply.usage):
        raise ModelError(f"the model object says that it used {reply.usage!r}"[:1000], hint=_USAGE_HINT)
    return reply


def _require_named(reply: ModelReply) -> None:
    """Check what a reply says of itself.

    Raises:
        ValueError: the journal could not keep it, or read it again.
    """
    model, request_id = cast("tuple[object, object]", (reply.model, reply.request_id or ""))
    if reply.stop not in _STOPS or not isinstance(model, str) or not isinstance(request_id, str):
        raise ValueError(f"model, request_id and stop are {reply.model!r}, {reply.request_id!r} and {reply.stop!r}")
    f"{model}{request_id}{reply.message.protocol or ''}".encode()


def _texts(part: Part) -> Sequence[str]:
    """Return what a part says, which must be text that UTF-8 can hold.

    Raises:
        ValueError: there is more in it, and the journal could not keep that.
    """
    match part:
        case ToolCallPart():
            require_storable(part.args)
            return part.id, part.tool, part.raw or "", part.problem or "", part.signature or ""
        case TextPart() | ReasoningPart():
            return part.text, part.signature or ""
        case _:
            dump(part)
            return ()


def _check_usage(error: AgentSDKError) -> None:
    """Take away what cannot have been used: it would spoil the ledger of every budget that the run spends from."""
    if isinstance(error, ModelError) and error.usage is not None and not _is_possible(error.usage):
        error.usage = None


def _is_possible(usage: Usage) -> bool:
    cost = cast("object", usage.cost_usd)
    for each in (usage.input_tokens, usage.output_tokens, usage.cached_tokens, usage.reasoning_tokens, usage.cache_write_tokens):
        if type(each) is not int or not 0 <= each <= MOST_TOKENS:
            return False
    return cost is None or (isinstance(cost, Decimal) and cost.is_finite() and 0 <= cost <= _MOST_USD)
