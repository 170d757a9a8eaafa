"""What a simulated model says, in no protocol's words, and what saying it costs."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

from pydantic import BaseModel, JsonValue

from agent_sdk.core.frozen import frozen
from agent_sdk.core.model import Stop
from agent_sdk.core.usage import Usage
from agent_sdk.testing.chat_protocol import RawReply
from agent_sdk.testing.scripted_model import Call
from agent_sdk.testing.sim.faults import Fault
from agent_sdk.testing.sim.tokens import count_tokens, split_tokens

_PER_CALL = 8
_MILLION = -6


@frozen
class SimReply:
    """A whole reply. `stop` None is what fits; `usage` None counts the tokens."""

    text: str = ""
    calls: tuple[Call, ...] = ()
    reasoning: str = ""
    stop: Stop | None = None
    usage: Usage | None = None

    @property
    def stopped(self) -> Stop:
        return self.stop or ("tool_calls" if self.calls else "end")

    @property
    def output_tokens(self) -> int:
        called = sum(_PER_CALL + count_tokens(arguments_text(call)) for call in self.calls)
        return count_tokens(self.text) + count_tokens(self.reasoning) + called

    def cut(self, tokens: int, *, keeps_half_calls: bool) -> "SimReply":
        """Return the reply as far as so many tokens go; a call that is not whole stays where the protocol can carry it."""
        reasoning = split_tokens(self.reasoning)[:tokens]
        text = split_tokens(self.text)[: tokens - len(reasoning)]
        tokens -= len(reasoning) + len(text)
        kept = replace(self, reasoning="".join(reasoning), text="".join(text), calls=(), stop="length")
        for call in self.calls:
            pieces = split_tokens(arguments_text(call))
            tokens -= _PER_CALL
            if tokens < len(pieces):
                half = (Call(call.tool, "".join(pieces[:tokens])),) if tokens > 0 and keeps_half_calls else ()
                return replace(kept, calls=kept.calls + half)
            tokens -= len(pieces)
            kept = replace(kept, calls=(*kept.calls, call))
        return kept


SimSaid = str | Call | Sequence[Call] | Mapping[str, JsonValue] | BaseModel | SimReply | Fault | RawReply
"""A text, calls, a structured output, a whole reply, a failure, or (over HTTP) any response."""


def reply_of(said: str | Call | Sequence[Call] | Mapping[str, JsonValue] | BaseModel | SimReply) -> SimReply:
    """Return what is said as a whole reply."""
    match said:
        case SimReply():
            return said
        case str():
            return SimReply(said)
        case Call():
            return SimReply(calls=(said,))
        case BaseModel():
            return SimReply(said.model_dump_json())
        case Mapping():
            return SimReply(json.dumps(said, ensure_ascii=False))
        case _:
            return SimReply(calls=tuple(said))


def arguments_text(call: Call) -> str:
    """Return a call's arguments as the model writes them."""
    return call.args if isinstance(call.args, str) else json.dumps(call.args, ensure_ascii=False)


@frozen
class SimPrice:
    """What a model costs, in US dollars for a million tokens; what is None costs as much as other input."""

    input: Decimal
    output: Decimal
    cached_input: Decimal | None = None
    cache_write: Decimal | None = None

    def cost_usd(self, usage: Usage) -> Decimal:
        """Return the exact price; counts below zero are zero."""
        cached, written = max(0, usage.cached_tokens), max(0, usage.cache_write_tokens)
        plain = max(0, usage.input_tokens - cached - written)
        total = (
            plain * self.input
            + cached * (self.input if self.cached_input is None else self.cached_input)
            + written * (self.input if self.cache_write is None else self.cache_write)
            + max(0, usage.output_tokens) * self.output
        )
        return total.scaleb(_MILLION)


@frozen
class Charge:
    """What one question was billed by what the reply reported; `used` is what it used in truth, where the reply said something else."""

    model: str
    usage: Usage
    cost_usd: Decimal
    used: Usage | None = None
