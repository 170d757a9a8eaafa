"""What every `Model` holds to, whoever wrote it."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from agent_sdk.core.errors import ModelError
from agent_sdk.core.ids import StepId
from agent_sdk.core.messages import Conversation, Message, ReasoningPart, ToolResultPart, user_message
from agent_sdk.core.model import ModelRequest, ReasoningDelta, ReplyDone, TextDelta, ToolCallDelta
from agent_sdk.core.ports import Model
from agent_sdk.core.tools import ToolSpec
from agent_sdk.llm import OpenAIOptions, RetryingModel, RetryPolicy, StreamedModel, open_model
from agent_sdk.llm.anthropic import Anthropic
from agent_sdk.llm.anthropic_options import AnthropicOptions
from agent_sdk.llm.gemini import Gemini
from agent_sdk.llm.gemini_options import GeminiOptions
from agent_sdk.llm.openai_responses import OpenAIResponses
from agent_sdk.runtime.system import SystemClock, SystemRandom
from agent_sdk.testing import Call, FakeOpenAI, ScriptedModel, Sim, SimModel, SimServer

Said = str | list[Call]
Make = Callable[[list[Said]], AbstractAsyncContextManager[Model]]

TOOLS = tuple(ToolSpec(name, "", {"type": "object", "properties": {}}, {}) for name in ("search", "files.read"))


@asynccontextmanager
async def scripted(script: list[Said]) -> AsyncGenerator[Model]:
    yield ScriptedModel(script)


@asynccontextmanager
async def simulated(script: list[Said]) -> AsyncGenerator[Model]:
    yield SimModel(Sim(script))


@asynccontextmanager
async def streamed(script: list[Said]) -> AsyncGenerator[Model]:
    yield StreamedModel(ScriptedModel(script))


@asynccontextmanager
async def retrying(script: list[Said]) -> AsyncGenerator[Model]:
    yield RetryingModel(ScriptedModel(script), RetryPolicy(), SystemClock(), SystemRandom())


@asynccontextmanager
async def openai_chat(script: list[Said]) -> AsyncGenerator[Model]:
    renamed: list[Said] = [item if isinstance(item, str) else [Call(wire(call.tool), call.args) for call in item] for item in script]
    async with FakeOpenAI(renamed) as server:
        model, close = open_model("openai", OpenAIOptions(None, server.base_url))
        try:
            yield model
        finally:
            await close()


@asynccontextmanager
async def anthropic(script: list[Said]) -> AsyncGenerator[Model]:
    renamed: list[Said] = [item if isinstance(item, str) else [Call(wire(call.tool), call.args) for call in item] for item in script]
    async with SimServer(Sim(script=renamed)) as server:
        model = Anthropic(AnthropicOptions(None, server.url))
        try:
            yield model
        finally:
            await model.close()


@asynccontextmanager
async def gemini(script: list[Said]) -> AsyncGenerator[Model]:
    renamed: list[Said] = [item if isinstance(item, str) else [Call(wire(call.tool), call.args) for call in item] for item in script]
    async with SimServer(Sim(script=renamed)) as server:
        model = Gemini(GeminiOptions(None, server.url))
        try:
            yield model
        finally:
            await model.close()


@asynccontextmanager
async def openai_responses(script: list[Said]) -> AsyncGenerator[Model]:
    renamed: list[Said] = [item if isinstance(item, str) else [Call(wire(call.tool), call.args) for call in item] for item in script]
    async with SimServer(Sim(script=renamed)) as server:
        model = OpenAIResponses(OpenAIOptions(None, server.openai_url))
        try:
            yield model
        finally:
            await model.close()


def wire(tool: str) -> str:
    from agent_sdk.llm.tool_names import wire_name  # noqa: PLC0415 - what only this protocol needs

    return wire_name(tool)


@pytest.fixture(
    params=[scripted, simulated, streamed, retrying, openai_chat, openai_responses, anthropic, gemini], ids=lambda make: make.__name__
)
def make(request: pytest.FixtureRequest) -> Make:
    made: Make = request.param
    return made


def question(number: int = 1, *messages: Message) -> ModelRequest:
    return ModelRequest(StepId(f"t{number}"), "m", Conversation([user_message("Hello"), *messages]), tools=TOOLS)


SCRIPTS: list[Said] = [
    "Hello there, Grüße 🧀",
    [Call("search", {"q": "käse", "n": [1, {"deep": None}]}), Call("files.read")],
    [Call("search", "{half")],
]


@pytest.mark.parametrize("said", SCRIPTS, ids=["text", "calls", "sloppy"])
async def test_a_stream_ends_in_the_reply_that_complete_gives(make: Make, said: Said) -> None:
    async with make([said, said]) as model:
        whole = await model.complete(question())
        deltas = [delta async for delta in model.stream(question())]
    assert [isinstance(delta, ReplyDone) for delta in deltas] == [False] * (len(deltas) - 1) + [True]
    last = deltas[-1]
    assert isinstance(last, ReplyDone)
    assert (last.reply.message, last.reply.usage, last.reply.stop) == (whole.message, whole.usage, whole.stop)


@pytest.mark.parametrize("said", SCRIPTS, ids=["text", "calls", "sloppy"])
async def test_deltas_add_up_to_the_reply(make: Make, said: Said) -> None:
    async with make([said]) as model:
        deltas = [delta async for delta in model.stream(question())]
    reply = deltas[-1].reply if isinstance(deltas[-1], ReplyDone) else None
    assert reply is not None
    assert "".join(delta.text for delta in deltas if isinstance(delta, TextDelta)) == reply.message.text
    thoughts = "".join(part.text for part in reply.message.parts if isinstance(part, ReasoningPart))
    assert "".join(delta.text for delta in deltas if isinstance(delta, ReasoningDelta)) == thoughts
    pieces = [delta for delta in deltas if isinstance(delta, ToolCallDelta)]
    assert [piece.tool for piece in pieces if piece.tool is not None] == [call.tool for call in reply.message.tool_calls]
    assert {piece.index for piece in pieces} == set(range(len(reply.message.tool_calls)))


async def test_calls_are_named_by_the_question_and_their_arguments_read(make: Make) -> None:
    async with make([SCRIPTS[1]]) as model:
        reply = await model.complete(question(7))
    assert [(call.id, call.tool, call.args) for call in reply.message.tool_calls] == [
        ("t7.1", "search", {"q": "käse", "n": [1, {"deep": None}]}),
        ("t7.2", "files.read", {}),
    ]
    assert reply.stop == "tool_calls"


async def test_arguments_that_are_no_json_object_are_a_problem_and_not_empty(make: Make) -> None:
    async with make([SCRIPTS[2]]) as model:
        call = (await model.complete(question())).message.tool_calls[0]
    assert (call.args, call.raw) == (None, "{half")
    assert call.problem is not None


async def test_a_conversation_goes_on_after_calls_were_answered(make: Make) -> None:
    async with make([SCRIPTS[1], "Done"]) as model:
        reply = await model.complete(question())
        results = Message("tool", tuple(ToolResultPart(call.id, {"ok": True}) for call in reply.message.tool_calls))
        answer = await model.complete(question(2, reply.message, results))
    assert answer.message.text == "Done"
    assert answer.usage.input_tokens > reply.usage.input_tokens


async def test_a_model_that_has_no_answer_raises_a_model_error(make: Make) -> None:
    async with make([]) as model:
        with pytest.raises(ModelError):
            await model.complete(question())
        with pytest.raises(ModelError):
            async for _ in model.stream(question()):
                pass


async def test_many_questions_at_once_each_get_an_answer(make: Make) -> None:
    async with make([f"answer {n}" for n in range(20)]) as model, asyncio.TaskGroup() as tasks:
        asked = [tasks.create_task(model.complete(question(n))) for n in range(20)]
    assert {task.result().message.text for task in asked} == {f"answer {n}" for n in range(20)}
