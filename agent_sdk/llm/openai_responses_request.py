"""A question in the bytes of OpenAI's Responses: the conversation as items, of which a message of ours may become several."""

from collections.abc import Iterator, Mapping
from dataclasses import field

from pydantic import JsonValue

from agent_sdk.core.errors import BadRequest
from agent_sdk.core.frozen import frozen
from agent_sdk.core.messages import FilePart, Message, Part, ReasoningPart, TextPart, ToolCallPart, ToolResultPart
from agent_sdk.core.model import ModelRequest, ModelSettings
from agent_sdk.core.tools import ToolSpec
from agent_sdk.llm.encoding import Once, encode_extra, encode_json
from agent_sdk.llm.offers import Offers, forced_tool, tool_choice
from agent_sdk.llm.output import Output
from agent_sdk.llm.strict_schema import NotStrict, asks_for_all, strict_schema
from agent_sdk.llm.tool_names import wire_id, wire_name

PROTOCOL = "openai.responses"
_TAKEN = frozenset({"input", "instructions", "model", "stream", "tools"})
_SEALS: JsonValue = ["reasoning.encrypted_content"]
"""Nothing is kept at the vendor's, so that the thoughts come sealed, and go back with the conversation."""


@frozen
class ResponseWriter:
    """Writes the body of requests. `is_openai` says whether the vendor's own server is asked, which may be asked to cache for long."""

    is_openai: bool = False
    offers: Offers = field(default_factory=lambda: Offers(_tool))
    _formats: Once[bytes] = field(default_factory=Once[bytes])

    def body(self, request: ModelRequest, *, is_stream: bool, has_schema: bool = True, has_seals: bool = True) -> bytes:
        """Return the request's JSON; without `has_schema`, an output schema stands in the instructions instead.

        Without `has_seals`, sealed thoughts are not asked for.

        Raises:
            BadRequest: a message refers to a file that this protocol cannot carry, or stop sequences are asked for.
            ConfigError: two tools have the same name, or `extra` says what other settings say.
        """
        settings = request.settings
        if settings.stop_sequences:
            raise BadRequest(
                "OpenAI's Responses know no stop sequences", hint="leave them out, or ask the model by openai: (Chat Completions)"
            )
        said: dict[str, JsonValue] = {
            "temperature": settings.temperature,
            "top_p": settings.top_p,
            "max_output_tokens": settings.max_output_tokens,
            "prompt_cache_retention": "24h" if settings.cache == "long" and self.is_openai else None,
            "store": False if "store" not in settings.extra else None,
            "include": _SEALS if has_seals and "include" not in settings.extra else None,
        }
        pieces, taken = self._question(request, has_schema=has_schema)
        given = {name: value for name, value in said.items() if value is not None}
        pieces.extend(_field(name, value) for name, value in given.items())
        if settings.extra:
            pieces.append(encode_extra(settings.extra, _TAKEN | given.keys() | taken))
        pieces.append(b',"stream":true}' if is_stream else b"}")
        return b"".join(pieces)

    def counted(self, request: ModelRequest, *, has_schema: bool) -> bytes:
        """Return the JSON by which the vendor is asked how many tokens the question has."""
        pieces, _ = self._question(request, has_schema=has_schema)
        return b"".join([*pieces, b"}"])

    def _question(self, request: ModelRequest, *, has_schema: bool) -> tuple[list[bytes], set[str]]:
        """Return the beginning of a body with all that makes up the input, in pieces that are joined once, and its optional fields."""
        instructions, settings = request.instructions, request.settings
        output = self.offers.output(request)
        has_tools = bool(request.tools) or (output is not None and output.mode == "tool")
        items = b",".join(filter(None, request.conversation.encoded(PROTOCOL, encode_message)))
        pieces = [b'{"model":', encode_json(request.model), b',"input":[', items, b"]"]
        if has_tools:
            pieces += [b',"tools":', self.offers.toolbox(request).encoded]
        text = b""
        if output is not None and output.mode == "native" and has_schema:
            text = self._formats.get(output, lambda: _format(output))
        elif output is not None and output.mode != "tool":
            instructions = output.in_words(instructions)  # no `json_object`, as servers want that word in the input then
        said: dict[str, JsonValue] = {
            "reasoning": None if settings.reasoning is None else {"effort": settings.reasoning},
            "parallel_tool_calls": settings.parallel_tool_calls if has_tools else None,
            "tool_choice": _tool_choice(settings, output, has_tools=has_tools),
        }
        given = {name: value for name, value in said.items() if value is not None}
        pieces.extend(_field(name, value) for name, value in given.items())
        if instructions:
            pieces.append(_field("instructions", instructions))
        pieces.append(text)
        return pieces, {*given, "text"} if text else set(given)


def encode_message(message: Message) -> bytes:
    """Return the message as the items of the protocol, none where nothing of it can be sent.

    Raises:
        BadRequest: it refers to a file that this protocol cannot carry.
    """
    match message.role:
        case "user":
            return b'{"role":"user","content":' + _content(message.parts) + b"}"
        case "assistant":
            return b",".join(_assistant(message))
        case "tool":
            return b",".join(_result(part) for part in message.parts if isinstance(part, ToolResultPart))


def _content(parts: tuple[Part, ...]) -> bytes:
    if len(parts) == 1 and isinstance(parts[0], TextPart):
        return encode_json(parts[0].text)
    content: list[JsonValue] = []
    for part in parts:
        match part:
            case TextPart(text=text):
                content.append({"type": "input_text", "text": text})
            case FilePart():
                content.append(_file(part))
            case _:
                pass
    return encode_json(content)


def _file(part: FilePart) -> JsonValue:
    is_data, is_url = part.ref.startswith("data:"), part.ref.startswith(("https://", "http://"))
    if part.media_type.startswith("image/") and (is_data or is_url):
        return {"type": "input_image", "image_url": part.ref, "detail": "auto"}
    if part.media_type.startswith(("audio/", "video/")) or not (is_data or is_url):
        raise BadRequest(
            f"a {part.media_type} file cannot be sent ({part.ref[:80]})",
            hint="give images, PDF and other documents as an https or data URL",
        )
    if is_url:
        return {"type": "input_file", "file_url": part.ref}
    return {"type": "input_file", "filename": part.name or f"file.{part.media_type.rpartition('/')[2]}", "file_data": part.ref}


def _assistant(message: Message) -> Iterator[bytes]:
    """Encode a reply. Thoughts go back where they came from, and before what they led to: the vendor refuses those that nothing follows."""
    thoughts: list[bytes] = []
    is_own = message.protocol == PROTOCOL
    for part in message.parts:
        match part:
            case ReasoningPart(signature=str(signature)) if is_own:
                thoughts.append(signature.encode())
            case TextPart() if part.text:
                yield from thoughts
                thoughts.clear()
                phase = b',"phase":' + encode_json(part.signature) if is_own and part.signature else b""
                yield b'{"role":"assistant","content":' + encode_json(part.text) + phase + b"}"
            case ToolCallPart():
                yield from thoughts
                thoughts.clear()
                yield _call(part)
            case _:
                pass


def _call(call: ToolCallPart) -> bytes:
    args = encode_json(call.args if call.args is not None else {"INVALID_JSON": call.raw or ""}).decode()
    head = b'{"type":"function_call","call_id":' + encode_json(wire_id(call.id))
    return head + b',"name":' + encode_json(wire_name(call.tool)) + b',"arguments":' + encode_json(args) + b"}"


def _result(part: ToolResultPart) -> bytes:
    text = part.output if isinstance(part.output, str) else encode_json(part.output).decode()
    output = _content((TextPart(text), *part.files))
    return b'{"type":"function_call_output","call_id":' + encode_json(wire_id(part.id)) + b',"output":' + output + b"}"


def _field(name: str, value: JsonValue) -> bytes:
    return b',"%b":%b' % (name.encode(), encode_json(value))


def _tool_choice(settings: ModelSettings, output: Output | None, *, has_tools: bool) -> JsonValue:
    if (forced := forced_tool(settings, output)) is not None:
        return {"type": "function", "name": wire_name(forced)}
    choice = tool_choice(settings, output)
    return choice if has_tools and choice != "auto" else None


def _tool(name: str, tool: ToolSpec) -> JsonValue:
    """Return the tool: strictly, where that makes no argument required which is not. Unsaid, the vendor would make all of them so."""
    parameters: Mapping[str, JsonValue] = {"properties": {}, **tool.parameters}
    is_strict = asks_for_all(dict(parameters))
    try:
        parameters = strict_schema(parameters) if is_strict else parameters
    except NotStrict:
        is_strict = False
    return {"type": "function", "name": name, "description": tool.description, "parameters": dict(parameters), "strict": is_strict}


def _format(output: Output) -> bytes:
    """Return how the output is asked for natively: strictly, where the schema can be said so."""
    sent: Mapping[str, JsonValue] = output.schema
    try:
        sent, is_strict = strict_schema(output.schema), True
    except NotStrict:
        is_strict = False
    return _field("text", {"format": {"type": "json_schema", "name": "output", "schema": dict(sent), "strict": is_strict}})
