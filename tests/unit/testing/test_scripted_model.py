from itertools import repeat

import pytest
from pydantic import BaseModel

from agent_sdk.core.errors import ModelError, Unavailable
from agent_sdk.core.ids import StepId
from agent_sdk.core.messages import Conversation, FilePart, Message, ReasoningPart, TextPart, ToolCallPart, ToolResultPart, user_message
from agent_sdk.core.model import ModelReply, ModelRequest, ReasoningDelta, ReplyDone, TextDelta, ToolCallDelta
from agent_sdk.core.usage import Usage
from agent_sdk.testing import Call, Scripted, ScriptedModel, ScriptExhausted, ScriptItem, VirtualClock, run_virtual


class Report(BaseModel):
    lines: list[str]


def request(*messages: Message) -> ModelRequest:
    return ModelRequest(StepId("t1"), "m", Conversation([user_message("Hi"), *messages]))


async def answer(item: ScriptItem) -> ModelReply:
    return await ScriptedModel([item]).complete(request())


async def test_a_text_is_an_answer() -> None:
    reply = await answer("Hello there")
    assert (reply.message.text, reply.stop, reply.model) == ("Hello there", "end", "m")
    assert reply.usage == Usage(5, 3)


async def test_calls_are_named_by_the_question() -> None:
    reply = await answer([Call("search", {"q": "cats"}), Call("search")])
    assert reply.message.tool_calls == (
        ToolCallPart(StepId("t1.1"), "search", {"q": "cats"}),
        ToolCallPart(StepId("t1.2"), "search", {}),
    )
    assert reply.stop == "tool_calls"
    assert (await answer(Call("search"))).message.tool_calls == (ToolCallPart(StepId("t1.1"), "search", {}),)


async def test_sloppy_arguments_are_read_like_a_real_model_s() -> None:
    call = (await answer(Call("search", "{half"))).message.tool_calls[0]
    assert (call.args, call.raw) == (None, "{half")
    assert call.problem is not None


@pytest.mark.parametrize(("item", "text"), [({"a": 1}, '{"a": 1}'), (Report(lines=["é"]), '{"lines":["é"]}')])
async def test_a_structured_output_is_json(item: Scripted, text: str) -> None:
    assert (await answer(item)).message.text == text


async def test_an_error_is_raised_and_a_whole_reply_given_as_it_is() -> None:
    reply = ModelReply(Message("assistant", ()), Usage(1, 2))
    model = ScriptedModel([Unavailable("down"), reply])
    with pytest.raises(Unavailable, match="down"):
        await model.complete(request())
    assert await model.complete(request()) is reply


async def test_a_function_answers_by_the_question_at_once_or_later() -> None:
    async def later(asked: ModelRequest) -> str:
        return asked.model

    assert (await answer(lambda asked: asked.id)).message.text == "t1"
    assert (await answer(later)).message.text == "m"


async def test_an_exhausted_script_says_which_question_was_one_too_many() -> None:
    model = ScriptedModel(["one"])
    await model.complete(request())
    with pytest.raises(ScriptExhausted, match=r"no answer to question 2 \(id 't1'\)") as caught:
        await model.complete(request())
    assert isinstance(caught.value, ModelError)
    assert not caught.value.retryable


async def test_requests_are_kept_as_they_stood_when_asked() -> None:
    model, asked = ScriptedModel(repeat("ok")), request()
    await model.complete(asked)
    asked.conversation.add(user_message("More"))
    await model.complete(asked)
    assert [len(each.conversation) for each in model.requests] == [1, 2]


async def test_only_new_messages_are_counted_and_all_add_up() -> None:
    asked = request(
        Message("assistant", (ReasoningPart("hm"), ToolCallPart(StepId("t0.1"), "a", {"b": 1}))),
        Message("tool", (ToolResultPart(StepId("t0.1"), "long result"),)),
        Message("user", (FilePart("https://example.org/a.png", "image/png"),)),
    )
    model = ScriptedModel(repeat("ok"))
    first = (await model.complete(asked)).usage.input_tokens
    asked.conversation.add(user_message("four"))
    assert (await model.complete(asked)).usage.input_tokens == first + 4 + 2
    assert (await ScriptedModel(["ok"]).complete(asked)).usage.input_tokens == first + 6


async def test_a_stream_gives_the_reply_token_by_token() -> None:
    parts = (ReasoningPart("let me see"), TextPart("Hello there"), ToolCallPart(StepId("t1.1"), "a", {"b": 1}), FilePart("x", "image/png"))
    reply = ModelReply(Message("assistant", parts), Usage())
    deltas = [delta async for delta in ScriptedModel([reply]).stream(request())]
    assert "".join(delta.text for delta in deltas if isinstance(delta, TextDelta)) == "Hello there"
    assert [delta.text for delta in deltas if isinstance(delta, ReasoningDelta)] == ["let", " me", " see"]
    calls = [delta for delta in deltas if isinstance(delta, ToolCallDelta)]
    assert calls[0] == ToolCallDelta(0, "", "a")
    assert "".join(call.arguments for call in calls) == '{"b": 1}'
    assert deltas[-1] == ReplyDone(reply)


def test_a_delay_passes_on_the_given_clock() -> None:
    async def waits() -> float:
        clock = VirtualClock()
        await ScriptedModel(["ok"], delay_s=3.0, clock=clock).complete(request())
        return clock.monotonic()

    assert run_virtual(waits()) == 3.0
