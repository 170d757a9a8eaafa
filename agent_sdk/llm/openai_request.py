"""A question in the bytes of OpenAI's Chat Completions; each message, tool list and schema is encoded once, however often it is sent."""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Generic, TypeVar

from pydantic import JsonValue
from pydantic_core import to_json

from agent_sdk.core.errors import BadRequest, ConfigError
from agent_sdk.core.messages import FilePart, Message, ReasoningPart, TextPart, ToolCallPart, ToolResultPart
from agent_sdk.core.model import ModelRequest
from agent_sdk.core.tools import ToolSpec
from agent_sdk.llm.strict_schema import NotStrict, object_schema, strict_schema

DIALECT = "openai.chat"

_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
T = TypeVar("T")


class Once(Generic[T]):
    """Makes a value for each of the objects it is asked about once, as long as these are few; they are told apart by identity."""

    __slots__ = ("_made",)

    def __init__(self) -> None:
        self._made: dict[int, tuple[object, T]] = {}

    def get(self, key: object, make: Callable[[], T]) -> T:
        found = self._made.get(id(key))
        if found is None:
            if len(self._made) >= 256:
                self._made.clear()
            found = self._made[id(key)] = (key, make())  # holding the key keeps its identity from being taken again
        return found[1]


@dataclass(frozen=True, slots=True)
class Toolbox:
    """Tools as they are sent, and their own names by those on the wire, where the protocol forbids the own."""

    encoded: bytes
    names: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Format:
    """How JSON of a schema is asked for: `is_wrapped` where the output stands in an object of one property."""

    encoded: bytes
    is_wrapped: bool


@dataclass(frozen=True, slots=True)
class RequestWriter:
    """Writes the body of requests. `token_limit_field` is what the server calls the bound on a reply's tokens."""

    token_limit_field: str
    _toolboxes: Once[Toolbox] = field(default_factory=Once[Toolbox])
    _formats: Once[Format] = field(default_factory=Once[Format])

    def body(self, request: ModelRequest, *, is_stream: bool, has_schema: bool) -> bytes:
        """Return the request's JSON; without `has_schema`, an output schema stands in the instructions instead."""
        tail: list[bytes] = [b"]"]
        instructions = request.instructions
        if request.tools:
            tail.append(b',"tools":' + self.toolbox(request).encoded)
        if (output := self.format(request)) is not None:
            if has_schema:
                tail.append(output.encoded)
            else:
                instructions = _with_schema(instructions, request.output_schema)
                tail.append(b',"response_format":{"type":"json_object"}')
        settings = request.settings
        if settings.temperature is not None:
            tail.append(b',"temperature":' + _json(settings.temperature))
        if settings.max_output_tokens is not None:
            tail.append(b',"%b":%d' % (self.token_limit_field.encode(), settings.max_output_tokens))
        tail.append(b',"stream":true,"stream_options":{"include_usage":true}}' if is_stream else b"}")
        messages = request.conversation.encoded(DIALECT, encode_message)
        if instructions:
            messages = [b'{"role":"system","content":' + _json(instructions) + b"}", *messages]
        return b'{"model":' + _json(request.model) + b',"messages":[' + b",".join(messages) + b"".join(tail)

    def toolbox(self, request: ModelRequest) -> Toolbox:
        return self._toolboxes.get(request.tools, lambda: _toolbox(request.tools))

    def format(self, request: ModelRequest) -> Format | None:
        schema = request.output_schema
        return None if schema is None else self._formats.get(schema, lambda: _format(schema))


def encode_message(message: Message) -> bytes:
    """Return the message as the protocol has it; the results of one turn become a message each.

    Raises:
        BadRequest: it refers to a file that this protocol cannot carry.
    """
    match message.role:
        case "user":
            return b'{"role":"user","content":' + _user_content(message) + b"}"
        case "assistant":
            return _assistant(message)
        case "tool":
            return b",".join(_result(part) for part in message.parts if isinstance(part, ToolResultPart))


@lru_cache(maxsize=4096)
def wire_name(tool: str) -> str:
    """Return the name under which a tool is offered: its own where the protocol allows that, else one made of it, always the same."""
    if _NAME.fullmatch(tool):
        return tool
    return re.sub(r"[^A-Za-z0-9_-]", "_", tool)[:55] + "_" + hashlib.sha256(tool.encode()).hexdigest()[:8]


def _json(value: object) -> bytes:
    """Encode with pydantic's writer, which is several times as fast as the standard library's; half a character becomes a question mark."""
    try:
        return to_json(value)
    except ValueError:
        return _ENCODER.encode(value).encode(errors="replace")


def _wire_id(identity: str) -> str:
    """Return the id itself, or where it is longer than the protocol's 40 characters, a digest of it."""
    return identity if len(identity) <= 40 else hashlib.sha256(identity.encode()).hexdigest()[:40]


def _user_content(message: Message) -> bytes:
    if all(isinstance(part, TextPart) for part in message.parts):
        return _json(message.text)
    parts: list[JsonValue] = []
    for part in message.parts:
        match part:
            case TextPart(text=text):
                parts.append({"type": "text", "text": text})
            case FilePart(ref=ref, media_type=media_type):
                if not media_type.startswith("image/") or not ref.startswith(("https://", "http://", "data:")):
                    raise BadRequest(f"a {media_type} file cannot be sent ({ref[:80]})", hint="give images as an https or data URL")
                parts.append({"type": "image_url", "image_url": {"url": ref}})
            case _:
                pass
    return _json(parts)


def _assistant(message: Message) -> bytes:
    calls = message.tool_calls
    content = message.text
    encoded = b'{"role":"assistant","content":' + (_json(content) if content or not calls else b"null")
    if calls:
        encoded += b',"tool_calls":[' + b",".join(map(_call, calls)) + b"]"
        # Servers of thinking models want their thoughts back within a turn of calls, and refuse them elsewhere.
        if thoughts := "".join(part.text for part in message.parts if isinstance(part, ReasoningPart)):
            encoded += b',"reasoning_content":' + _json(thoughts)
    return encoded + b"}"


def _call(call: ToolCallPart) -> bytes:
    """Encode a call; arguments that are no JSON are quoted, as servers that put them into a template want an object."""
    args = _json(call.args if call.args is not None else {"INVALID_JSON": call.raw or ""}).decode()
    function = b'{"name":' + _json(wire_name(call.tool)) + b',"arguments":' + _json(args) + b"}"
    return b'{"id":' + _json(_wire_id(call.id)) + b',"type":"function","function":' + function + b"}"


def _result(part: ToolResultPart) -> bytes:
    text = part.output if isinstance(part.output, str) else _json(part.output).decode()
    return b'{"role":"tool","tool_call_id":' + _json(_wire_id(part.id)) + b',"content":' + _json(text) + b"}"


def _toolbox(tools: tuple[ToolSpec, ...]) -> Toolbox:
    names = {wire_name(tool.name): tool.name for tool in tools}
    if len(names) < len(tools):
        raise ConfigError("two tools have the same name", hint="rename one of them")
    encoded: list[JsonValue] = [
        {
            "type": "function",
            "function": {"name": name, "description": tool.description, "parameters": {"properties": {}, **tool.parameters}},
        }
        for name, tool in zip(names, tools, strict=True)
    ]
    return Toolbox(_json(encoded), {wire: own for wire, own in names.items() if wire != own})


def _format(schema: Mapping[str, JsonValue]) -> Format:
    rooted, is_wrapped = object_schema(schema)
    try:
        sent, is_strict = strict_schema(rooted), True
    except NotStrict:
        sent, is_strict = rooted, False
    json_schema: JsonValue = {"name": "output", "schema": sent, "strict": is_strict}
    return Format(b',"response_format":' + _json({"type": "json_schema", "json_schema": json_schema}), is_wrapped)


def _with_schema(instructions: str, schema: Mapping[str, JsonValue] | None) -> str:
    rooted, _ = object_schema(schema or {})
    text = f"Answer with one JSON object of this JSON Schema, and nothing else:\n{_json(rooted).decode()}"
    return f"{instructions}\n\n{text}" if instructions else text
