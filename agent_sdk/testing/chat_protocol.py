"""OpenAI's Chat Completions from the server's side: what a well-formed request is, and how a reply is written."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field
from itertools import zip_longest
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, model_validator

from agent_sdk.core.frozen import frozen
from agent_sdk.testing.scripted_model import Call


class Wire(BaseModel):
    """Base of what a request holds: closed to unknown fields, as the vendor is."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class CalledFunction(Wire):
    """The function of a call that the model asked for."""

    name: Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
    arguments: str


class WireCall(Wire):
    """A call that the model asked for."""

    id: Annotated[str, Field(min_length=1, max_length=40)]
    type: Literal["function"]
    function: CalledFunction


class ImageUrl(Wire):
    """Where an image is."""

    url: str


class InlineFile(Wire):
    """A file in the message itself, or one that was sent before."""

    filename: str | None = None
    file_data: Annotated[str, Field(pattern="^data:")] | None = None
    file_id: str | None = None


class InlineAudio(Wire):
    """Sound in base64."""

    data: str
    format: Literal["wav", "mp3"]


class ContentPart(Wire):
    """A text, an image, a sound or another file."""

    type: Literal["text", "image_url", "input_audio", "file"]
    text: str = ""
    image_url: ImageUrl | None = None
    input_audio: InlineAudio | None = None
    file: InlineFile | None = None


class ChatMessage(Wire):
    """A message of any role."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[ContentPart] | None = None
    tool_calls: Annotated[list[WireCall], Field(min_length=1)] | None = None
    tool_call_id: str | None = None
    reasoning_content: str | None = None

    @property
    def text(self) -> str:
        return self.content if isinstance(self.content, str) else "".join(part.text for part in self.content or ())

    @model_validator(mode="after")
    def _fits_role(self) -> Self:
        if (self.role == "tool") != (self.tool_call_id is not None):
            raise ValueError("'tool_call_id' stands in messages with role 'tool', and in all of them")
        if self.tool_calls is not None and self.role != "assistant":
            raise ValueError(f"a message with role '{self.role}' has no 'tool_calls'")
        if self.content is None and self.tool_calls is None:
            raise ValueError("expected a string, got null")
        return self


class Function(Wire):
    """A function that the model may call."""

    name: Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
    description: str = ""
    parameters: dict[str, JsonValue] = Field(default_factory=dict)
    strict: bool = False


class FunctionTool(Wire):
    """A tool that is offered."""

    type: Literal["function"]
    function: Function


class JsonSchema(Wire):
    """The schema that a structured output must have."""

    name: Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
    schema_: dict[str, JsonValue] = Field(alias="schema")
    strict: bool = False

    @model_validator(mode="after")
    def _is_in_dialect(self) -> Self:
        if self.schema_.get("type") != "object":
            raise ValueError("schema must be a JSON Schema of 'type: \"object\"'")
        if self.strict:
            check_strict(self.schema_, ())
        return self


class ResponseFormat(Wire):
    """The form of the answer."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None


class StreamOptions(Wire):
    """What a stream brings beside the reply."""

    include_usage: bool = False


class NamedFunction(Wire):
    """A function by its name."""

    name: str


class ForcedFunction(Wire):
    """The one function that must be called."""

    type: Literal["function"]
    function: NamedFunction


class ChatRequest(Wire):
    """A well-formed request."""

    model: Annotated[str, Field(min_length=1)]
    messages: Annotated[list[ChatMessage], Field(min_length=1)]
    tools: Annotated[list[FunctionTool], Field(min_length=1)] | None = None
    tool_choice: Literal["auto", "required", "none"] | ForcedFunction | None = None
    parallel_tool_calls: bool | None = None
    response_format: ResponseFormat | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    seed: int | None = None
    stop: str | Annotated[list[str], Field(min_length=1, max_length=4)] | None = None
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh"] | None = None
    verbosity: Literal["low", "medium", "high"] | None = None
    service_tier: str | None = None
    store: bool | None = None
    metadata: dict[str, str] | None = None
    user: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    prompt_cache_retention: Literal["in_memory", "24h"] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    stream: bool = False
    stream_options: StreamOptions | None = None

    @property
    def instructions(self) -> str:
        return "\n".join(message.text for message in self.messages if message.role in {"system", "developer"})

    @property
    def goal(self) -> str:
        """The first message of the user."""
        return next((message.text for message in self.messages if message.role == "user"), "")

    @property
    def results(self) -> list[str]:
        """What the tools of the last turn answered, in the order of their calls."""
        results: list[str] = []
        for message in reversed(self.messages):
            if message.role != "tool":
                break
            results.insert(0, message.text)
        return results

    @property
    def output_schema(self) -> Mapping[str, JsonValue] | None:
        schema = self.response_format.json_schema if self.response_format is not None else None
        return None if schema is None else schema.schema_

    @model_validator(mode="after")
    def _choice_has_tools(self) -> Self:
        if self.tools is None and self.tool_choice is not None:
            raise ValueError("'tool_choice' is only allowed when 'tools' are specified")
        if self.tools is None and self.parallel_tool_calls is not None:
            raise ValueError("'parallel_tool_calls' is only allowed when 'tools' are specified")
        if isinstance(self.tool_choice, ForcedFunction):
            name = self.tool_choice.function.name
            if name not in {tool.function.name for tool in self.tools or ()}:
                raise ValueError(f"Tool choice {name!r} not found in 'tools' parameter")
        return self

    @model_validator(mode="after")
    def _results_follow_calls(self) -> Self:
        owed: list[str] = []
        for number, message in enumerate(self.messages):
            if message.role == "tool":
                if message.tool_call_id not in owed:
                    raise ValueError(f"messages[{number}] with role 'tool' must be a response to a preceding message with 'tool_calls'")
                owed.remove(message.tool_call_id)
            elif owed:
                raise ValueError(f"'tool_calls' must be followed by tool messages; no response to {owed[0]}")
            else:
                owed = [call.id for call in message.tool_calls or ()]
        if owed:
            raise ValueError(f"'tool_calls' must be followed by tool messages; no response to {owed[0]}")
        return self


class Malformed(ValueError):
    """A request that the vendor answers with 400; `param` names the field."""

    def __init__(self, message: str, param: str | None) -> None:
        self.param = param
        super().__init__(message)


def parse_request(body: bytes) -> ChatRequest:
    """Return the request.

    Raises:
        Malformed: it is not well-formed.
    """
    try:
        return ChatRequest.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        param = ".".join(map(str, first["loc"]))
        kind = "Unrecognized request argument" if first["type"] == "extra_forbidden" else "Invalid value"
        raise Malformed(f"{kind}: '{param}': {first['msg']}", param or None) from None


@frozen
class Delivery:
    """How the bytes of a reply travel: in pieces of so many, cut off after so many, silent from so many on, or compressed."""

    piece_bytes: int | None = None
    closes_after: int | None = None
    stalls_after: int | None = None
    is_gzip: bool = False


@frozen
class ChatReply:
    """What the model says. `usage` None counts plausible tokens; `has_usage` False leaves them out; `finish_reason` None is what fits."""

    text: str | None = None
    calls: tuple[Call, ...] = ()
    reasoning: str | None = None
    refusal: str | None = None
    finish_reason: str | None = None
    usage: Mapping[str, JsonValue] | None = None
    has_usage: bool = True
    delivery: Delivery = field(default_factory=Delivery)

    @property
    def finish(self) -> str:
        return self.finish_reason or ("tool_calls" if self.calls else "stop")


@frozen
class RawReply:
    """Any HTTP response, right or wrong."""

    body: bytes
    status: int = 200
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    delivery: Delivery = field(default_factory=Delivery)


def error_reply(status: int, message: str, *, code: str | None = None, kind: str = "invalid_request_error", **headers: str) -> RawReply:
    """Return an error as the vendor writes it; underscores in the names of headers become hyphens."""
    body: JsonValue = {"error": {"message": message, "type": kind, "param": None, "code": code}}
    return RawReply(_json(body), status, headers={name.replace("_", "-"): value for name, value in headers.items()})


def write_whole(reply: ChatReply, request: ChatRequest, number: int) -> bytes:
    """Return the reply as one JSON object."""
    message: dict[str, JsonValue] = {"role": "assistant", "content": reply.text, "refusal": reply.refusal}
    if reply.reasoning is not None:
        message["reasoning_content"] = reply.reasoning
    if reply.calls:
        message["tool_calls"] = [
            {"id": f"call_{number}x{n}", "type": "function", "function": {"name": call.tool, "arguments": _arguments(call)}}
            for n, call in enumerate(reply.calls)
        ]
    choice: JsonValue = {"index": 0, "message": message, "logprobs": None, "finish_reason": reply.finish}
    usage: dict[str, JsonValue] = {"usage": _usage(reply, request)} if reply.has_usage else {}
    return _json({**_head(request, number, "chat.completion"), "choices": [choice], **usage})


def write_events(reply: ChatReply, request: ChatRequest, number: int) -> list[bytes]:
    """Return the reply as server-sent events, a token each; the pieces of parallel calls are interleaved."""
    head = _head(request, number, "chat.completion.chunk")

    def event(delta: JsonValue, finish: str | None = None) -> bytes:
        choice: JsonValue = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return _event({**head, "choices": [choice]})

    events = [event({"role": "assistant", "content": None if reply.calls else "", "refusal": None})]
    events += [event({"reasoning_content": token}) for token in _tokens(reply.reasoning)]
    events += [event({"content": token}) for token in _tokens(reply.text)]
    events += [event({"refusal": token}) for token in _tokens(reply.refusal)]
    events += [event({"tool_calls": [piece]}) for piece in _call_pieces(reply.calls, number)]
    events.append(event({}, reply.finish))
    if reply.has_usage and request.stream_options is not None and request.stream_options.include_usage:
        events.append(_event({**head, "choices": [], "usage": _usage(reply, request)}))
    return [*events, b"data: [DONE]\n\n"]


def _call_pieces(calls: Iterable[Call], number: int) -> Iterator[JsonValue]:
    for n, call in enumerate(calls):
        yield {"index": n, "id": f"call_{number}x{n}", "type": "function", "function": {"name": call.tool, "arguments": ""}}
    for row in zip_longest(*(_tokens(_arguments(call)) for call in calls)):
        for n, token in enumerate(row):
            if token is not None:
                yield {"index": n, "function": {"arguments": token}}


def _usage(reply: ChatReply, request: ChatRequest) -> JsonValue:
    if reply.usage is not None:
        return dict(reply.usage)
    asked = sum(4 + len(message.text) // 4 for message in request.messages)
    said = sum(map(len, map(_tokens, (reply.text, reply.reasoning, reply.refusal, *map(_arguments, reply.calls)))))
    return {"prompt_tokens": asked, "completion_tokens": said, "total_tokens": asked + said}


def _head(request: ChatRequest, number: int, kind: str) -> dict[str, JsonValue]:
    return {"id": f"chatcmpl-{number}", "object": kind, "created": 1_700_000_000, "model": request.model}


def _arguments(call: Call) -> str:
    return call.args if isinstance(call.args, str) else json.dumps(call.args, ensure_ascii=False)


def _tokens(text: str | None) -> list[str]:
    return re.findall(r"\s*\S{1,6}|\s+", text or "")


def _event(value: JsonValue) -> bytes:
    return b"data: " + _json(value) + b"\n\n"


def _json(value: JsonValue) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def check_strict(schema: JsonValue, path: tuple[str, ...] = ()) -> None:
    """Refuse a schema that the strict dialect of structured outputs cannot say.

    Raises:
        ValueError: it is none.
    """
    if not isinstance(schema, dict):
        raise ValueError(f"In context={path}, a schema must be an object")
    properties = schema.get("properties")
    if schema.get("type") == "object":
        if schema.get("additionalProperties") is not False:
            raise ValueError(f"In context={path}, 'additionalProperties' is required to be supplied and to be false")
        if not isinstance(properties, dict) or schema.get("required") != list(properties):
            raise ValueError(f"In context={path}, 'required' is required to be an array including every key in properties")
    if unknown := schema.keys() & {"allOf", "default", "dependentRequired", "else", "if", "not", "oneOf", "patternProperties", "then"}:
        raise ValueError(f"In context={path}, '{min(unknown)}' is not permitted")
    for key in ("properties", "$defs"):
        group = schema.get(key)
        for name, each in (group if isinstance(group, dict) else {}).items():
            check_strict(each, (*path, key, name))
    branches = schema.get("anyOf")
    for n, each in enumerate(branches if isinstance(branches, list) else ()):
        check_strict(each, (*path, "anyOf", str(n)))
    if "items" in schema:
        check_strict(schema["items"], (*path, "items"))
