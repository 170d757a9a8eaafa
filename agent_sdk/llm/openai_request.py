"""A question in the bytes of OpenAI's Chat Completions."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from pydantic import JsonValue

from agent_sdk.core.errors import BadRequest
from agent_sdk.core.messages import FilePart, Message, ReasoningPart, TextPart, ToolCallPart, ToolResultPart
from agent_sdk.core.model import ModelRequest, ModelSettings
from agent_sdk.core.tools import ToolSpec
from agent_sdk.llm.encoding import Once, encode_extra, encode_json
from agent_sdk.llm.output import Output
from agent_sdk.llm.strict_schema import NotStrict, strict_schema
from agent_sdk.llm.tool_names import Toolbox, pack, wire_id, wire_name

DIALECT = "openai.chat"
_TAKEN = frozenset({"messages", "model", "response_format", "stream", "stream_options", "tools"})
_AUDIO = {"audio/wav": "wav", "audio/x-wav": "wav", "audio/mpeg": "mp3", "audio/mp3": "mp3"}


@dataclass(frozen=True, slots=True)
class _Asked:
    """An output and its encoded format."""

    output: Output
    encoded: bytes


@dataclass(frozen=True, slots=True)
class RequestWriter:
    """Writes the body of requests. `token_limit_field` is what the server calls the bound on a reply's tokens."""

    token_limit_field: str
    _toolboxes: Once[Toolbox] = field(default_factory=Once[Toolbox])
    _with_output: Once[Once[Toolbox]] = field(default_factory=Once[Once[Toolbox]])
    _outputs: Once[dict[str, _Asked]] = field(default_factory=Once[dict[str, _Asked]])

    def body(self, request: ModelRequest, *, is_stream: bool, has_schema: bool) -> bytes:
        """Return the request's JSON; without `has_schema`, an output schema stands in the instructions instead."""
        tail: list[bytes] = [b"]"]
        instructions = request.instructions
        output = self.output(request)
        if request.tools or (output is not None and output.mode == "tool"):
            tail.append(b',"tools":' + self.toolbox(request).encoded)
        if output is not None:
            if output.mode == "native" and has_schema:
                tail.append(self._asked(request, output.mode).encoded)
            elif output.mode != "tool":
                instructions = output.in_words(instructions)
                tail.append(b',"response_format":{"type":"json_object"}' if output.mode == "native" else b"")
        tail.extend(self._settings(request.settings, output, has_tools=bool(request.tools)))
        tail.append(b',"stream":true,"stream_options":{"include_usage":true}}' if is_stream else b"}")
        messages = request.conversation.encoded(DIALECT, encode_message)
        if instructions:
            messages = [b'{"role":"system","content":' + encode_json(instructions) + b"}", *messages]
        return b'{"model":' + encode_json(request.model) + b',"messages":[' + b",".join(messages) + b"".join(tail)

    def toolbox(self, request: ModelRequest) -> Toolbox:
        """Return the request's tools, with the one that takes its output where there is one."""
        output = self.output(request)
        if output is None or output.mode != "tool":
            return self._toolboxes.get(request.tools, lambda: pack(request.tools, _tool))
        known = self._with_output.get(output, Once[Toolbox])
        return known.get(request.tools, lambda: pack((*request.tools, output.tool), _tool))

    def output(self, request: ModelRequest) -> Output | None:
        """Return how the request's output is asked for; None where it is text."""
        if request.output_schema is None:
            return None
        return self._asked(request, request.settings.output_mode or "native").output

    def _asked(self, request: ModelRequest, mode: str) -> _Asked:
        schema = request.output_schema or {}
        known = self._outputs.get(schema, dict[str, _Asked])
        if mode not in known:
            output = Output.of(schema, request.settings.output_mode or "native")
            known[mode] = _Asked(output, _format(output))
        return known[mode]

    def _settings(self, settings: ModelSettings, output: Output | None, *, has_tools: bool) -> Iterator[bytes]:
        for name, value in (
            ("temperature", settings.temperature),
            ("top_p", settings.top_p),
            ("seed", settings.seed),
            (self.token_limit_field, settings.max_output_tokens),
            ("reasoning_effort", settings.reasoning),
            ("stop", list(settings.stop_sequences) or None),
            ("parallel_tool_calls", settings.parallel_tool_calls if has_tools else None),
        ):
            if value is not None:
                yield b',"%b":%b' % (name.encode(), encode_json(value))
        if settings.force_tool is not None:
            yield b',"tool_choice":{"type":"function","function":{"name":%b}}' % encode_json(wire_name(settings.force_tool))
        elif settings.tool_choice != "auto" and has_tools:
            yield b',"tool_choice":"%b"' % settings.tool_choice.encode()
        elif output is not None and output.mode == "tool":
            yield b',"tool_choice":"required"'
        if settings.extra:
            yield encode_extra(settings.extra, _TAKEN)


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
        if thoughts := "".join(part.text for part in message.parts if isinstance(part, ReasoningPart)):
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
