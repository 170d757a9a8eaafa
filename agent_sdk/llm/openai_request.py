"""A question in the bytes of OpenAI's Chat Completions."""

from collections.abc import Iterator, Mapping
from dataclasses import field

from pydantic import JsonValue

from agent_sdk.core.errors import BadRequest
from agent_sdk.core.frozen import frozen
from agent_sdk.core.messages import FilePart, Message, ReasoningPart, TextPart, ToolCallPart, ToolResultPart
from agent_sdk.core.model import ModelRequest, ModelSettings
from agent_sdk.core.tools import ToolSpec
from agent_sdk.llm.encoding import Once, encode_extra, encode_json
from agent_sdk.llm.offers import Offers, forced_tool, tool_choice
from agent_sdk.llm.output import Output
from agent_sdk.llm.strict_schema import NotStrict, strict_schema
from agent_sdk.llm.tool_names import wire_id, wire_name

DIALECT = "openai.chat"
_TAKEN = frozenset({"messages", "model", "response_format", "stream", "stream_options", "tools"})
_AUDIO = {"audio/wav": "wav", "audio/x-wav": "wav", "audio/mpeg": "mp3", "audio/mp3": "mp3"}


@frozen
class RequestWriter:
    """Writes the body of requests. `is_openai` says whether the vendor's own server is asked: others know less, and by older names."""

    is_openai: bool = False
    offers: Offers = field(default_factory=lambda: Offers(_tool))
    _formats: Once[bytes] = field(default_factory=Once[bytes])

    def body(self, request: ModelRequest, *, is_stream: bool, has_schema: bool) -> bytes:
        """Return the request's JSON; without `has_schema`, an output schema stands in the instructions instead.

        Raises:
            BadRequest: a message refers to a file that this protocol cannot carry.
            ConfigError: two tools have the same name, or `extra` says what other settings say.
        """
        tail: list[bytes] = [b"]"]
        instructions = request.instructions
        output = self.offers.output(request)
        has_tools = bool(request.tools) or (output is not None and output.mode == "tool")
        if has_tools:
            tail.append(b',"tools":' + self.offers.toolbox(request).encoded)
        if output is not None:
            if output.mode == "native" and has_schema:
                tail.append(self._formats.get(output, lambda: _format(output)))
            elif output.mode != "tool":
                instructions = output.in_words(instructions)
                tail.append(b',"response_format":{"type":"json_object"}' if output.mode == "native" else b"")
        tail.extend(self._settings(request.settings, output, has_tools=has_tools))
        tail.append(b',"stream":true,"stream_options":{"include_usage":true}}' if is_stream else b"}")
        messages = request.conversation.encoded(DIALECT, encode_message)
        if instructions:
            messages = [b'{"role":"system","content":' + encode_json(instructions) + b"}", *messages]
        return b"".join([b'{"model":', encode_json(request.model), b',"messages":[', b",".join(messages), *tail])

    def _settings(self, settings: ModelSettings, output: Output | None, *, has_tools: bool) -> Iterator[bytes]:
        said = {
            "temperature": settings.temperature,
            "top_p": settings.top_p,
            "seed": settings.seed,
            "max_completion_tokens" if self.is_openai else "max_tokens": settings.max_output_tokens,
            "reasoning_effort": settings.reasoning,
            "stop": list(settings.stop_sequences) or None,
            "parallel_tool_calls": settings.parallel_tool_calls if has_tools else None,
            "prompt_cache_retention": "24h" if settings.cache == "long" and self.is_openai else None,
            "tool_choice": _tool_choice(settings, output, has_tools=has_tools),
        }
        given = {name: value for name, value in said.items() if value is not None}
        for name, value in given.items():
            yield b',"%b":%b' % (name.encode(), encode_json(value))
        if settings.extra:
            yield encode_extra(settings.extra, _TAKEN | given.keys())


def _tool_choice(settings: ModelSettings, output: Output | None, *, has_tools: bool) -> JsonValue:
    if (forced := forced_tool(settings, output)) is not None:
        return {"type": "function", "function": {"name": wire_name(forced)}}
    choice = tool_choice(settings, output)
    return choice if has_tools and choice != "auto" else None


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
            return _results([part for part in message.parts if isinstance(part, ToolResultPart)])


def _user_content(message: Message) -> bytes:
    if all(isinstance(part, TextPart) for part in message.parts):
        return encode_json(message.text)
    parts: list[JsonValue] = []
    for part in message.parts:
        match part:
            case TextPart(text=text):
                parts.append({"type": "text", "text": text})
            case FilePart():
                parts.append(_file(part))
            case _:
                pass
    return encode_json(parts)


def _file(part: FilePart) -> JsonValue:
    kind, is_data = part.media_type, part.ref.startswith("data:")
    if kind.startswith("image/") and (is_data or part.ref.startswith(("https://", "http://"))):
        return {"type": "image_url", "image_url": {"url": part.ref}}
    if kind in _AUDIO and is_data:
        return {"type": "input_audio", "input_audio": {"data": part.ref.partition(",")[2], "format": _AUDIO[kind]}}
    if kind == "application/pdf" and is_data:
        return {"type": "file", "file": {"filename": part.name or "file.pdf", "file_data": part.ref}}
    raise BadRequest(
        f"a {kind} file cannot be sent ({part.ref[:80]})", hint="give images as an https or data URL, and PDF, WAV or MP3 as a data URL"
    )


def _assistant(message: Message) -> bytes:
    calls = message.tool_calls
    content = message.text
    encoded = b'{"role":"assistant","content":' + (encode_json(content) if content or not calls else b"null")
    if calls:
        encoded += b',"tool_calls":[' + b",".join(map(_call, calls)) + b"]"
        # Servers of thinking models want their thoughts back within a turn of calls, and refuse them elsewhere.
        thoughts = "".join(part.text for part in message.parts if isinstance(part, ReasoningPart))
        if thoughts and message.protocol is None:
            encoded += b',"reasoning_content":' + encode_json(thoughts)
    return encoded + b"}"


def _call(call: ToolCallPart) -> bytes:
    """Encode a call; arguments that are no JSON are quoted, as servers that put them into a template want an object."""
    args = encode_json(call.args if call.args is not None else {"INVALID_JSON": call.raw or ""}).decode()
    function = b'{"name":' + encode_json(wire_name(call.tool)) + b',"arguments":' + encode_json(args) + b"}"
    return b'{"id":' + encode_json(wire_id(call.id)) + b',"type":"function","function":' + function + b"}"


def _results(parts: list[ToolResultPart]) -> bytes:
    """Encode the results of one turn; files, which a result cannot carry here, follow in a message of the user's."""
    encoded = [_result(part) for part in parts]
    files = [(part.id, file) for part in parts for file in part.files]
    if files:
        said: list[JsonValue] = [{"type": "text", "text": f"Files in results: {', '.join(wire_id(each) for each, _ in files)}"}]
        encoded.append(b'{"role":"user","content":' + encode_json([*said, *(_file(file) for _, file in files)]) + b"}")
    return b",".join(encoded)


def _result(part: ToolResultPart) -> bytes:
    text = part.output if isinstance(part.output, str) else encode_json(part.output).decode()
    return b'{"role":"tool","tool_call_id":' + encode_json(wire_id(part.id)) + b',"content":' + encode_json(text) + b"}"


def _tool(name: str, tool: ToolSpec) -> JsonValue:
    parameters: JsonValue = {"properties": {}, **tool.parameters}
    return {"type": "function", "function": {"name": name, "description": tool.description, "parameters": parameters}}


def _format(output: Output) -> bytes:
    """Return how the output is asked for natively: strictly, where the schema can be said so."""
    sent: Mapping[str, JsonValue] = output.schema
    try:
        sent, is_strict = strict_schema(output.schema), True
    except NotStrict:
        is_strict = False
    json_schema: JsonValue = {"name": "output", "schema": dict(sent), "strict": is_strict}
    return b',"response_format":' + encode_json({"type": "json_schema", "json_schema": json_schema})
