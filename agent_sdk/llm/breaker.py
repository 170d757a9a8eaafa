"""A circuit breaker around a model: what fails again and again is left alone for a while, and then tried with care."""

from collections.abc import AsyncGenerator

from agent_sdk.core.errors import ModelError
from agent_sdk.core.model import Delta, ModelReply, ModelRequest, ReplyDone
from agent_sdk.core.ports import Model
from agent_sdk.llm.circuit import Circuit
from agent_sdk.llm.failures import treatment
from agent_sdk.llm.retry import close_stream, no_reply

_IS_UP = {"up": True, "down": False, "unknown": None}


class BreakerModel:
    """Asks `model` where the circuit lets it, and tells the circuit how it went; a call that is cancelled says nothing."""

    __slots__ = ("_circuit", "_model")

    def __init__(self, model: Model, circuit: Circuit) -> None:
        self._model = model
        self._circuit = circuit

    async def complete(self, request: ModelRequest) -> ModelReply:
        probe = await self._circuit.enter()
        is_up: bool | None = None
        try:
            reply = await self._model.complete(request)
            is_up = True
        except ModelError as error:
            is_up = _IS_UP[treatment(error).vendor]
            raise
        finally:
            await self._circuit.leave(probe, is_up=is_up)
        return reply

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Delta, None]:
        probe = await self._circuit.enter()
        is_up: bool | None = None
        deltas = self._model.stream(request)
        try:
            async for delta in deltas:
                is_up = True if isinstance(delta, ReplyDone) else None
                yield delta
            if not is_up:
                raise no_reply()
        except ModelError as error:
            is_up = _IS_UP[treatment(error).vendor]
            raise
        finally:
            try:
                await close_stream(deltas)
            finally:
                await self._circuit.leave(probe, is_up=is_up)
