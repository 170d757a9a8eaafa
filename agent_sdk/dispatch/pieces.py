"""Streamed tokens as they travel: many pieces of a run in one message, each with the name of its kind."""

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError

from agent_sdk.core.codec import adapter, dump
from agent_sdk.core.ids import RunId, StepId, TenantId
from agent_sdk.core.model import AttemptStarted, Delta, Progress, ReasoningDelta, ReplyDone, TextDelta, ToolCallDelta
from agent_sdk.core.ports import TokenDelta

MESSAGE_BYTES = 64 * 1024
"""A message ends with the piece that takes it over this size."""

_KINDS: Mapping[str, type[Delta | Progress]] = {
    "text": TextDelta,
    "reasoning": ReasoningDelta,
    "call": ToolCallDelta,
    "attempt": AttemptStarted,
    "done": ReplyDone,
    "progress": Progress,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}


def topic_of(tenant: TenantId, run_id: RunId) -> str:
    """Return the topic of a run's tokens: a digest, since names may hold anything and are nobody else's to read."""
    return "t_" + sha256(json.dumps([tenant, run_id]).encode()).hexdigest()[:32]


def encode_pieces(deltas: Sequence[TokenDelta]) -> Iterator[bytes]:
    """Yield messages that hold a run's deltas, in order; one that is no whole text cannot travel."""
    pieces, size = list[bytes](), 0
    for delta in deltas:
        with contextlib.suppress(PydanticSerializationError):
            pieces.append(_encode(delta))
            size += len(pieces[-1])
        if size >= MESSAGE_BYTES:
            yield b"[" + b",".join(pieces) + b"]"
            pieces, size = [], 0
    if pieces:
        yield b"[" + b",".join(pieces) + b"]"


def decode_pieces(data: bytes) -> list[TokenDelta]:
    """Return a message's deltas.

    Raises:
        ValueError: it is none that this version can read.
    """
    try:
        return [_decode(*piece) for piece in json.loads(data)]
    except (KeyError, TypeError, ValidationError) as error:
        raise ValueError(f"no message of streamed tokens: {type(error).__name__}") from error


def _encode(delta: TokenDelta) -> bytes:
    place = json.dumps([delta.run_id, delta.after_seq, delta.step, delta.attempt, delta.index, _NAMES[type(delta.delta)]])
    return place[:-1].encode() + b"," + dump(delta.delta) + b"]"


def _decode(run_id: str, after_seq: int, step: str, attempt: int, index: int, kind: str, content: object) -> TokenDelta:  # noqa: PLR0913 - as it lies in the message
    delta: Delta | Progress = adapter(_KINDS[kind]).validate_python(content)
    return TokenDelta(RunId(run_id), after_seq, StepId(step), attempt, index, delta)
