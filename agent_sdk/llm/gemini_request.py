"""A question in the bytes of Gemini's `generateContent`."""

from collections.abc import Mapping, Sequence
from dataclasses import field
from itertools import pairwise

from pydantic import JsonValue

from agent_sdk.core.errors import ConfigError
from agent_sdk.core.frozen import frozen
from agent_sdk.core.messages import Conversation, Message
from agent_sdk.core.model import ModelRequest, ToolChoice
from agent_sdk.core.tools import ToolSpec
from agent_sdk.llm.encoding import Once, encode_extra, encode_json
from agent_sdk.llm.gemini_contents import DIALECT, MODEL, USER, ContentWriter, loose_files
from agent_sdk.llm.gemini_schema import gemini_schema
from agent_sdk.llm.gemini_thinking import generation, thinking_config
from agent_sdk.llm.offers import Offers, forced_tool, tool_choice
from agent_sdk.llm.output import Output
from agent_sdk.llm.tool_names import wire_name

_TAKEN = frozenset({"contents", "model", "systemInstruction", "toolConfig", "tools"})
_MODES: Mapping[ToolChoice, str | None] = {"auto": None, "required": "ANY", "none": "NONE"}
_THIRD = (3, 0)


@frozen
class Concessions:
    """What a server is known to want otherwise than asked: no schema, or another effort of thinking."""

    has_schema: bool = True
    relented: int = 0


AS_ASKED = Concessions()


@frozen
class RequestWriter:
    """Writes the body of requests.

    Models before the third generation take no output schema together with tools, and no files in results.
    """

    _offers: Offers = field(default_factory=lambda: Offers(_tool))
    _offers_before: Offers = field(default_factory=lambda: Offers(_tool, "tool"))
    _formats: Once[bytes] = field(default_factory=Once[bytes])

    def offers(self, request: ModelRequest) -> Offers:
        return self._offers_before if request.tools and generation(request.model) < _THIRD else self._offers

    def body(self, request: ModelRequest, concessions: Concessions = AS_ASKED) -> bytes:
        """Return the request's JSON; without a schema, it stands in the instructions instead.

        Raises:
            BadRequest: a message refers to a file that this protocol cannot carry, or answers no call.
            ConfigError: two tools have the same name, or `extra` says what other settings say.
        """
        offers, instructions = self.offers(request), request.instructions
        output = offers.output(request)
        in_words = output is not None and output.mode != "tool" and (output.mode == "prompt" or not concessions.has_schema)
        if output is not None and in_words:
            instructions = output.in_words(instructions)
        fields = [b'"contents":[' + b",".join(encode_contents(request.conversation, generation(request.model))) + b"]"]
        if instructions:
            fields.append(b'"systemInstruction":{"parts":[{"text":' + encode_json(instructions) + b"}]}")
        if request.tools or (output is not None and output.mode == "tool"):
            fields.append(b'"tools":[{"functionDeclarations":' + offers.toolbox(request).encoded + b"}]")
            if (choice := _choice(request, output)) is not None:
                fields.append(b'"toolConfig":{"functionCallingConfig":' + encode_json(choice) + b"}")
        if config := self._config(request, None if in_words else output, concessions):
            fields.append(b'"generationConfig":{' + config + b"}")
        more = {name: value for name, value in request.settings.extra.items() if name != "generationConfig"}
        return b"{" + b",".join(fields) + encode_extra(more, _TAKEN) + b"}"

    def _config(self, request: ModelRequest, output: Output | None, concessions: Concessions) -> bytes:
        settings = request.settings
        thinking = None if settings.reasoning is None else thinking_config(request.model, settings.reasoning, concessions.relented)
        said = {
            "temperature": settings.temperature,
            "topP": settings.top_p,
            "seed": settings.seed,
            "maxOutputTokens": settings.max_output_tokens,
            "stopSequences": list(settings.stop_sequences) or None,
            "thinkingConfig": thinking,
        }
        given = {name: value for name, value in said.items() if value is not None}
        config = b",".join([encode_json(name) + b":" + encode_json(value) for name, value in given.items()])
        taken = set(given)
        if output is not None and output.mode == "native":
            config += (b"," if config else b"") + self._formats.get(output, lambda: _format(output))
            taken |= {"responseJsonSchema", "responseMimeType"}
        more = settings.extra.get("generationConfig", {})
        if not isinstance(more, dict):
            raise ConfigError(
                "the model setting `extra` has a generationConfig that is no object", hint="write the fields that it shall have"
            )
        encoded = encode_extra(more, taken)
        return config + encoded if config else encoded[1:]


def encode_contents(conversation: Conversation, born: tuple[int, int]) -> Sequence[bytes]:
    """Return the conversation as contents in which roles alternate, but for results, with which nothing else shares a content.

    Raises:
        BadRequest: a message refers to a file that this protocol cannot carry, or answers no call.
    """
    is_third = born >= _THIRD
    encoded = conversation.encoded(DIALECT if is_third else DIALECT + ".before-3", ContentWriter(conversation, has_files=is_third))
    roles = [message.role for message in conversation.messages]
    if b"" in encoded or any(role == after for role, after in pairwise(roles)):
        return _alternating(conversation.messages, encoded)
    return encoded


def _alternating(messages: Sequence[Message], encoded: Sequence[bytes]) -> Sequence[bytes]:
    contents: list[bytes] = []
    before: Message | None = None
    for message, content in zip(messages, encoded, strict=True):
        if not content:
            continue
        if before is not None and before.role == message.role and not loose_files(before):
            contents[-1] = contents[-1][:-2] + b"," + content[len(MODEL if message.role == "assistant" else USER) :]
        else:
            contents.append(content)
        before = message
    return contents


def _choice(request: ModelRequest, output: Output | None) -> Mapping[str, JsonValue] | None:
    """Return how tools are to be called; None leaves it to the model."""
    if (forced := forced_tool(request.settings, output)) is not None:
        return {"mode": "ANY", "allowedFunctionNames": [wire_name(forced)]}
    mode = _MODES[tool_choice(request.settings, output)]
    return None if mode is None else {"mode": mode}


def _tool(name: str, tool: ToolSpec) -> JsonValue:
    said: dict[str, JsonValue] = {"name": name, "description": tool.description}
    if tool.parameters.get("properties") or tool.parameters.get("additionalProperties"):
        said["parametersJsonSchema"] = gemini_schema(tool.parameters)
    return said


def _format(output: Output) -> bytes:
    return b'"responseMimeType":"application/json","responseJsonSchema":' + encode_json(gemini_schema(output.schema))
