"""A model in process that answers from a script, for tests and benchmarks: no network, and no suspension unless a delay is asked for."""

import asyncio
import json
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from dataclasses import field, replace
from inspect import isawaitable

from pydantic import BaseModel, JsonValue

from agent_sdk.core.errors import BadRequest
from agent_sdk.core.frozen import frozen
from agent_sdk.core.ids import StepId
from agent_sdk.core.messages import Conversation, Message, Part, ReasoningPart, TextPart, ToolCallPart, ToolResultPart
from agent_sdk.core.model import Delta, ModelReply, ModelRequest, ReasoningDelta, ReplyDone, TextDelta, ToolCallDelta
from agent_sdk.core.ports import Clock
from agent_sdk.core.usage import Usage
from agent_sdk.llm.calls import call_id, parse_call


@frozen
class Call:
    """A call that the model asks for. `args` as text are what a sloppy model wrote, and are parsed like a real one's."""

    tool: str
    args: Mapping[str, JsonValue] | str = field(default_factory=dict[str, JsonValue])


Scripted = str | Call | list[Call] | tuple[Call, ...] | Mapping[str, JsonValue] | BaseModel | ModelReply | Exception
"""A text, calls, a structured output, a whole reply, or an error to raise."""

ScriptItem = Scripted | Callable[[ModelRequest], Scripted | Awaitable[Scripted]]


class ScriptExhausted(BadRequest):
    """The model was asked more often than its script has answers."""

    code = "script_exhausted"


class ScriptedModel:
    """Answers one item of `script` to each question, in order; an endless script comes from an iterator such as `itertools.repeat("ok")`.

    A question waits `delay_s` on `clock` (None: that of the event loop) before it is answered.
    """

    def __init__(self, script: Iterable[ScriptItem], *, delay_s: float = 0.0, clock: Clock | None = None) -> None:
        self._script = iter(script)
        self._delay_s = delay_s
        self._sleep = asyncio.sleep if clock is None else clock.sleep
        self._asked: list[tuple[ModelRequest, int]] = []
        self._counted: dict[int, tuple[int, int]] = {}

    @property
    def requests(self) -> list[ModelRequest]:
        """All questions so far, each with its conversation as it stood then."""
        return [replace(request, conversation=Conversation(request.conversation.messages[:length])) for request, length in self._asked]

    async def complete(self, request: ModelRequest) -> ModelReply:
        self._asked.append((request, len(request.conversation)))
        if self._delay_s:
            await self._sleep(self._delay_s)
        item = next(self._script, None)
        if item is None:
            raise ScriptExhausted(
                f"the script has no answer to question {len(self._asked)} (id {request.id!r})",
                hint="add an item to the script, or look why the model was asked once more",
            )
        if not isinstance(item, BaseModel) and callable(item):
            made = item(request)
            item = await made if isawaitable(made) else made
        if isinstance(item, Exception):
            raise item
        if isinstance(item, ModelReply):
            return item
        message = Message("assistant", tuple(_parts(item, request.id)))
        usage = Usage(self._input_tokens(request), sum(map(_tokens, message.parts)))
        return ModelReply(message, usage, "tool_calls" if message.tool_calls else "end", model=request.model)

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Delta, None]:
        """Yield the reply token by token."""
        reply = await self.complete(request)
        for delta in _deltas(reply.message):
            yield delta
        yield ReplyDone(reply)

    def _input_tokens(self, request: ModelRequest) -> int:
        """Count what is new in the conversation alone, so that a long one costs no more per turn than a short one."""
        messages = request.conversation.messages
        seen, tokens = self._counted.get(id(request.conversation), (0, len(request.instructions) // 4))
        tokens += sum(4 + sum(map(_tokens, message.parts)) for message in messages[seen:])
        self._counted[id(request.conversation)] = (len(messages), tokens)
        return tokens


def _parts(item: str | Call | list[Call] | tuple[Call, ...] | Mapping[str, JsonValue] | BaseModel, question: StepId) -> Iterable[Part]:
    match item:
        case str():
            yield TextPart(item)
        case BaseModel():
            yield TextPart(item.model_dump_json())
        case Mapping():
            yield TextPart(json.dumps(item, ensure_ascii=False))
        case Call():
            yield _call(call_id(question, 0), item)
        case _:
            for index, call in enumerate(item):
                yield _call(call_id(question, index), call)


def _call(identity: StepId, call: Call) -> ToolCallPart:
    if isinstance(call.args, str):
        return parse_call(identity, call.tool, call.args)
    return ToolCallPart(identity, call.tool, dict(call.args))


def _tokens(part: Part) -> int:
    match part:
        case TextPart(text=text) | ReasoningPart(text=text):
            return 1 + len(text) // 4
        case ToolCallPart():
            return 8 + len(str(part.args)) // 4
        case ToolResultPart(output=output):
            return 4 + len(str(output)) // 4
        case _:
            return 85


def _deltas(message: Message) -> Iterable[Delta]:
    calls = 0
    for part in message.parts:
        match part:
            case TextPart(text=text):
                yield from map(TextDelta, _TOKEN.findall(text))
            case ReasoningPart(text=text):
                yield from map(ReasoningDelta, _TOKEN.findall(text))
            case ToolCallPart():
                text = part.raw if part.raw is not None else json.dumps(part.args, ensure_ascii=False)
                yield ToolCallDelta(calls, "", part.tool)
                for token in _TOKEN.findall(text):
                    yield ToolCallDelta(calls, token)
                calls += 1
            case _:
                pass


_TOKEN = re.compile(r"\s*\S{1,6}|\s+")
