"""What every simulated protocol is made of: how it reads a question, writes a reply, a stream and an error."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from typing import Protocol, TypeVar

from pydantic import BaseModel, JsonValue, ValidationError

from agent_sdk.core.frozen import frozen
from agent_sdk.core.usage import Usage
from agent_sdk.testing.chat_protocol import Malformed, RawReply
from agent_sdk.testing.sim.asked import Dialect, SimRequest
from agent_sdk.testing.sim.faults import Fault
from agent_sdk.testing.sim.sim import Verdict

WireT = TypeVar("WireT", bound=BaseModel)


@frozen
class HttpAsked:
    """A request as it came; `model` and `action` stand in the path of protocols that have them there."""

    body: bytes
    headers: Mapping[str, str]
    query: Mapping[str, str] = field(default_factory=dict[str, str])
    model: str = ""
    action: str = ""


@frozen
class WireEvent:
    """A server-sent event. `reported` is what the reader knows, once it came, of what the reply used; None while it knows nothing."""

    data: bytes
    reported: Usage | None = None
    is_token: bool = False


class Speaker(Protocol):
    """The server's side of a vendor's protocol."""

    @property
    def dialect(self) -> Dialect: ...

    def refusal(self, asked: HttpAsked, api_key: str | None) -> RawReply | None:
        """Return the vendor's answer to a request with missing headers or another key; None where they are well."""
        ...

    def parse(self, asked: HttpAsked) -> SimRequest:
        """Return the question.

        Raises:
            Malformed: the vendor would refuse it.
        """
        ...

    def whole(self, verdict: Verdict) -> bytes: ...

    def events(self, verdict: Verdict) -> list[WireEvent]: ...

    def counted(self, tokens: int) -> bytes | None:
        """Return the answer to a question for its number of tokens; None where the protocol has no such question."""
        ...

    def error(self, fault: Fault, request: SimRequest) -> RawReply:
        """Return the vendor's own error for a failure instead of a reply."""
        ...

    def bad_request(self, message: str, param: str | None, code: str | None = None) -> RawReply: ...

    def error_event(self) -> bytes:
        """Return what breaks off a stream."""
        ...


def to_wire(value: JsonValue) -> bytes:
    """Return the value as JSON, without white space."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def data_event(value: JsonValue) -> bytes:
    """Return an event that is nothing but data."""
    return b"data: " + to_wire(value) + b"\n\n"


def named_event(value: Mapping[str, JsonValue]) -> bytes:
    """Return an event that says its type in a line of its own."""
    return b"event: " + str(value["type"]).encode() + b"\n" + data_event(dict(value))


def parsed(shape: type[WireT], body: bytes) -> WireT:
    """Return the body in its shape.

    Raises:
        Malformed: it has another one; the message names the innermost place that is wrong.
    """
    try:
        return shape.model_validate_json(body)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=False, include_input=False)
        inner = max(problems, key=lambda each: len(each["loc"]))  # of a union's branches, the one that was meant goes deepest
        place = ".".join(map(str, inner["loc"]))
        problem = inner["msg"].removeprefix("Value error, ")
        raise Malformed(f"{place}: {problem}" if place else problem, place or None) from None


def body_json(body: bytes) -> JsonValue:
    """Return a body that was parsed before as plain JSON."""
    value: JsonValue = json.loads(body)
    return value


def seal(text: str) -> str:
    """Return the signature under what the simulated model thought, which must come back with it unaltered."""
    return "sim" + hashlib.sha256(text.encode(errors="replace")).hexdigest()[:29]


def call_ids(verdict: Verdict, prefix: str) -> list[str]:
    """Return an id for each call of the reply; the same for all where that is what goes wrong."""
    count = len(verdict.reply.calls)
    return [f"{prefix}{verdict.number}x{0 if verdict.kind == 'duplicate_call_ids' else n}" for n in range(count)]


def check_pairs(asked: Sequence[str], answered: Iterable[str]) -> str | None:
    """Return the id of a call that no result answers, or of a result that answers no call; None where each has its own."""
    left = list(asked)
    for identity in answered:
        if identity not in left:
            return identity
        left.remove(identity)
    return left[0] if left else None
