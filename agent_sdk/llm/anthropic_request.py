"""A question in the bytes of Anthropic's Messages, and what models were found not to take of it."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from pydantic import JsonValue

from agent_sdk.core.frozen import frozen
from agent_sdk.core.messages import Conversation, ReasoningPart
from agent_sdk.core.model import ModelRequest, ModelSettings, Reasoning
from agent_sdk.core.tools import ToolSpec
from agent_sdk.llm.anthropic_messages import DIALECT, encode_message, taking_turns
from agent_sdk.llm.anthropic_options import AnthropicOptions
from agent_sdk.llm.anthropic_schema import output_schema, tool_schema
from agent_sdk.llm.encoding import Once, encode_extra, encode_json
from agent_sdk.llm.offers import Offers, forced_tool, tool_choice
from agent_sdk.llm.output import Output
from agent_sdk.llm.strict_schema import NotStrict
from agent_sdk.llm.tool_names import wire_name

_TAKEN = frozenset({"max_tokens", "messages", "model", "output_config", "stream", "system"})
_EFFORTS: Mapping[Reasoning, str] = {"minimal": "low", "low": "low", "medium": "medium", "high": "high"}
_BUDGETS: Mapping[Reasoning, int] = {"minimal": 1024, "low": 2048, "medium": 8192, "high": 16_384}
"""Tokens to think with, for models that are older than efforts."""
_LEAST_BUDGET = 1024
_SAMPLING_VERSION = "2023-06-01"
"""The last version that knows temperature and top_p, which older models take still."""
_CHOICES: Mapping[str, str] = {"auto": "auto", "required": "any", "none": "none"}

Kind = Literal["format", "adaptive", "effort", "force"]
_ABOUT: tuple[tuple[Kind, re.Pattern[str]], ...] = (
    ("format", re.compile(r"output_config\.format|output_config: |output.format|structured output|grammar|schema is too complex")),
    ("adaptive", re.compile(r"adaptive")),
    ("effort", re.compile(r"\beffort\b|output_config: ")),
    ("force", re.compile(r"tool_choice")),
)
"""How the vendor words that a model does not take what we said; each can be said in another way."""


@dataclass(slots=True)
class _Question:
    """A request and how it is put."""

    request: ModelRequest
    output: Output | None
    format: bytes
    is_forced: bool


@frozen
class MessagesWriter:
    """Writes the body of requests. `_refused` holds, for each model, what it does not take; a format by its own bytes."""

    options: AnthropicOptions
    offers: Offers = field(default_factory=lambda: Offers(_tool))
    _formats: Once[bytes] = field(default_factory=Once[bytes])
    _refused: set[tuple[str, Kind, bytes]] = field(default_factory=set[tuple[str, Kind, bytes]])

    def body(self, request: ModelRequest, *, is_stream: bool) -> bytes:
        """Return the request's JSON.

        Raises:
            BadRequest: a message refers to a file that this protocol cannot carry.
            ConfigError: two tools have the same name, or `extra` says what other settings say.
        """
        question, settings = self._question(request), request.settings
        said: dict[str, JsonValue] = {"temperature": settings.temperature, "top_p": settings.top_p}
        if settings.stop_sequences:
            said["stop_sequences"] = list(settings.stop_sequences)
        given = {name: value for name, value in said.items() if value is not None}
        pieces = [b'"max_tokens":%d' % self._limit(request), *self._fields(question)]
        pieces.extend(b'"%b":%b' % (name.encode(), encode_json(value)) for name, value in given.items())
        if is_stream:
            pieces.append(b'"stream":true')
        extra = {name: value for name, value in settings.extra.items() if name != "tools"}
        return _object(pieces, encode_extra(extra, _TAKEN | given.keys()) if extra else b"", request)

    def counted(self, request: ModelRequest) -> bytes:
        """Return the JSON of the question for how many tokens a request has."""
        return _object(self._fields(self._question(request), names_model=True), b"", request)

    def version(self, request: ModelRequest) -> str:
        """Return the version of the API that the request goes under."""
        samples = request.settings.temperature is not None or request.settings.top_p is not None
        return min(self.options.api_version, _SAMPLING_VERSION) if samples else self.options.api_version

    def asked(self, request: ModelRequest) -> ModelRequest:
        """Return the request with its output asked for as the model is known to take it."""
        if request.output_schema is None or request.settings.output_mode in {"tool", "prompt"}:
            return request
        output = self.offers.output(request)
        encoded = self._formats.get(output, lambda: _format(output))
        if encoded and (request.model, "format", encoded) not in self._refused:
            return request
        return replace(request, settings=replace(request.settings, output_mode="tool"))

    def concede(self, request: ModelRequest, complaint: str) -> bool:
        """Say whether the question can be put without what the complaint is about; from now on it is put so."""
        question = self._question(request)
        for kind, pattern in _ABOUT:
            key = (request.model, kind, question.format if kind == "format" else b"")
            if kind in self._risks(question) and pattern.search(complaint):
                self._refused.add(key)
                return True
        return False

    def _risks(self, question: _Question) -> set[Kind]:
        """Return what the question says that not every model takes."""
        model, reasons = question.request.model, question.request.settings.reasoning not in {None, "none"}
        risks: set[Kind] = {"format"} if question.format else set()
        if reasons and not self._has_refused(model, "adaptive"):
            risks |= {"adaptive"} if self._has_refused(model, "effort") else {"adaptive", "effort"}
        if question.is_forced:
            risks.add("force")
        return risks

    def _has_refused(self, model: str, kind: Kind) -> bool:
        return (model, kind, b"") in self._refused

    def _question(self, request: ModelRequest) -> _Question:
        request = self.asked(request)
        output = self.offers.output(request)
        is_native = output is not None and output.mode == "native"
        reasons = request.settings.reasoning not in {None, "none"}
        may_force = not reasons and not self._has_refused(request.model, "force")
        is_forced = output is not None and output.mode == "tool" and may_force
        return _Question(request, output, self._formats.get(output, lambda: _format(output)) if is_native else b"", is_forced)

    def _limit(self, request: ModelRequest) -> int:
        return request.settings.max_output_tokens or self.options.limit(request.model)

    def _fields(self, question: _Question, *, names_model: bool = False) -> Iterator[bytes]:
        """Yield what counts as input, but for the messages."""
        request, output = question.request, question.output
        mark = _mark(request.settings)
        if self.options.platform == "vertex":
            version = self.version(request)
            yield b'"anthropic_version":' + encode_json("vertex-2023-10-16" if version == _SAMPLING_VERSION else version)
        if names_model or self.options.platform != "vertex":
            yield b'"model":' + encode_json(request.model)
        if tools := self._tools(question, mark):
            yield b'"tools":' + tools
            if choice := _choice(question):
                yield b'"tool_choice":' + encode_json(choice)
        instructions = request.instructions
        if output is not None and output.mode == "prompt":
            instructions = output.in_words(instructions)
        if instructions.strip():
            yield b'"system":[{"type":"text","text":' + encode_json(instructions) + mark + b"}]"
        yield from self._thinking(question)

    def _tools(self, question: _Question, mark: bytes) -> bytes:
        """Return the tools that we perform, and behind them those of the vendor's own."""
        encoded = self.offers.toolbox(question.request).encoded
        if encoded == b"[]":
            encoded = b""
        match question.request.settings.extra.get("tools"):
            case [*theirs] if theirs:
                encoded = (encoded[:-1] + b"," if encoded else b"[") + encode_json(theirs)[1:]
            case _:
                pass
        return encoded[:-2] + mark + b"}]" if encoded and mark else encoded

    def _thinking(self, question: _Question) -> Iterator[bytes]:
        request, reasoning = question.request, question.request.settings.reasoning
        config = [question.format] if question.format else []
        if reasoning == "none":
            yield b'"thinking":{"type":"disabled"}'
        elif reasoning is not None and not self._has_refused(request.model, "adaptive"):
            yield b'"thinking":{"type":"adaptive","display":"%b"}' % self.options.thinking_display.encode()
            if not self._has_refused(request.model, "effort"):
                config.append(b'"effort":"%b"' % _EFFORTS[reasoning].encode())
        elif reasoning is not None:
            budget = min(_BUDGETS[reasoning], self._limit(request) // 2)
            if budget >= _LEAST_BUDGET and _may_think(request.conversation):
                yield b'"thinking":{"type":"enabled","budget_tokens":%d}' % budget
        if config:
            yield b'"output_config":{' + b",".join(config) + b"}"


def _object(fields: Iterable[bytes], extra: bytes, request: ModelRequest) -> bytes:
    """Return the fields and the messages as one object, in one copy: a conversation may be long."""
    messages = taking_turns(request.conversation.encoded(DIALECT, encode_message), _mark(request.settings)) or [b""]
    messages[0] = b'{%b%b,"messages":[%b' % (b",".join(fields), extra, messages[0])
    messages[-1] += b"]}"
    return b",".join(messages)


def _choice(question: _Question) -> JsonValue:
    """Return how tools are to be called; None leaves it to the vendor, which leaves it to the model."""
    settings, output = question.request.settings, question.output
    forced, choice = forced_tool(settings, output), tool_choice(settings, output)
    has_own_wish = settings.force_tool is not None or settings.tool_choice == "required"
    if output is not None and output.mode == "tool" and not question.is_forced and not has_own_wish:
        forced, choice = None, "auto"  # whoever reasons, or was found not to be forced, gives its output unforced
    said: dict[str, JsonValue] = {"type": _CHOICES[choice]} if forced is None else {"type": "tool", "name": wire_name(forced)}
    if settings.parallel_tool_calls is not None and said["type"] != "none":
        said["disable_parallel_tool_use"] = not settings.parallel_tool_calls
    return said if said != {"type": "auto"} else None


def _may_think(conversation: Conversation) -> bool:
    """Say whether an older model may think: the calls that it just made must have begun with thoughts of its own."""
    for message in reversed(conversation.messages):
        if message.role == "user":
            return True
        if message.role == "assistant" and message.tool_calls:
            is_ours = message.protocol == DIALECT
            return is_ours and any(isinstance(part, ReasoningPart) and part.signature is not None for part in message.parts)
    return True


def _mark(settings: ModelSettings) -> bytes:
    match settings.cache:
        case "short":
            return b',"cache_control":{"type":"ephemeral"}'
        case "long":
            return b',"cache_control":{"type":"ephemeral","ttl":"1h"}'
        case None:
            return b""


def _tool(name: str, tool: ToolSpec) -> JsonValue:
    return {"name": name, "description": tool.description, "input_schema": tool_schema(tool.parameters)}


def _format(output: Output | None) -> bytes:
    """Return how the output is asked for natively, nothing where its schema cannot be said so."""
    if output is None:
        return b""
    try:
        schema = output_schema(output.schema)
    except NotStrict:
        return b""
    return b'"format":' + encode_json({"type": "json_schema", "schema": schema})
