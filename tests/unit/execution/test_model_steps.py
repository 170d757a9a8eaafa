"""Models inside a run: what they are asked, told and refused, and what of it is streamed."""

from collections.abc import AsyncIterator

import pytest
from pydantic import JsonValue

from agent_sdk.core.errors import Unavailable
from agent_sdk.core.events import Event, StepFailed
from agent_sdk.core.ids import StepId
from agent_sdk.core.messages import Message, TextPart
from agent_sdk.core.model import AttemptStarted, Delta, ModelReply, ModelRequest, ReplyDone, Stop, TextDelta
from agent_sdk.core.plan import ModelStep
from agent_sdk.core.usage import NO_USAGE
from agent_sdk.testing import ScriptedModel
from tests.unit.execution.fakes import FakeTool, Tokens, gives, plan, ref, step
from tests.unit.execution.world import World


async def end_of(world: World) -> Event:
    """Perform the run and return the event that its step ended with."""
    await world.drive()
    return next(fact.event for fact in reversed(await world.facts()) if fact.event.type.startswith("step."))


def ask(schema: dict[str, JsonValue] | None = None, **args: JsonValue) -> ModelStep:
    return ModelStep(StepId("m"), "Sum it up.", args, schema)


async def test_a_model_step_asks_with_its_prompt_and_material() -> None:
    model = ScriptedModel(["a summary"])
    world = World([FakeTool("look", gives(["x"]))], model=model, plan=plan(step("a", "look"), ask(texts=ref("a"), n=1)))
    assert await world.drive() == "ended"
    assert world.run.answer == "a summary"
    (request,) = model.requests
    assert (request.id, request.model, request.max_attempts) == ("m", "m", 101)
    assert [message.text for message in request.conversation] == ['Sum it up.\n\n{\n "texts": [\n  "x"\n ],\n "n": 1\n}']


NUMBER: dict[str, JsonValue] = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


@pytest.mark.parametrize(
    ("schema", "bad", "code"),
    [
        (None, "  ", "reply_empty"),
        (NUMBER, "about five", "reply_not_json"),
        (NUMBER, '{"n": NaN}', "reply_not_json"),
        (NUMBER, '{"n": "five"}', "reply_type"),
    ],
)
async def test_a_model_is_told_what_is_wrong_with_its_reply(schema: dict[str, JsonValue] | None, bad: str, code: str) -> None:
    model = ScriptedModel([bad, '{"n": 5}'])
    world = World([], model=model, plan=plan(ask(schema, x=1), result=ref("m")))
    assert await world.drive() == "ended"
    assert world.run.answer == ({"n": 5} if schema is not None else '{"n": 5}')
    assert f"step.retried m {code} #2" in await world.story()
    said = [message.text for message in model.requests[1].conversation][1:]
    assert said[0] == bad
    assert said[1].startswith("That reply does not hold: ")


async def test_a_model_that_never_mends_its_reply_fails_the_step() -> None:
    world = World([], ["no"] * 9, plan=plan(ask(NUMBER)))
    assert isinstance(end := await end_of(world), StepFailed)
    assert (end.code, end.attempt) == ("reply_not_json", 3)
    assert await world.state() == "failed"


@pytest.mark.parametrize(
    ("stop", "text", "code", "message"),
    [
        ("length", "half a sen", "reply_cut", "the model's reply was cut at its output limit"),
        ("refused", "I would rather not", "model_content_refused", "the model refused: I would rather not"),
        ("refused", "", "model_content_refused", "the model refused to answer"),
    ],
)
async def test_half_a_reply_is_none(stop: Stop, text: str, code: str, message: str) -> None:
    reply = ModelReply(Message("assistant", (TextPart(text),)), NO_USAGE, stop)
    end = await end_of(World([], [reply], plan=plan(ask())))
    assert isinstance(end, StepFailed)
    assert (end.code, end.message) == (code, message)


async def test_a_model_that_fails_is_not_retried_a_second_time_by_the_step() -> None:
    model = ScriptedModel([Unavailable("gone"), "late"])
    end = await end_of(World([], model=model, plan=plan(ask())))
    assert isinstance(end, StepFailed)
    assert (end.code, end.retryable, len(model.requests)) == ("model_unavailable", True, 1)


async def test_a_model_step_without_a_model_fails_with_what_to_do() -> None:
    world = World([], plan=plan(ask()))
    world.model = None
    end = await end_of(world)
    assert isinstance(end, StepFailed)
    assert end.code == "model_not_named"
    assert end.hint is not None


async def test_tokens_are_streamed_with_attempt_and_index() -> None:
    tokens = Tokens(listens=True)
    world = World([], ["well then"], tokens=tokens)
    assert await world.drive() == "ended"
    seen = [(delta.step, delta.attempt, delta.index, delta.after_seq) for delta in tokens.deltas]
    assert seen == [("t1", 1, index, 2) for index in range(len(seen))]
    assert "".join(delta.delta.text for delta in tokens.deltas if isinstance(delta.delta, TextDelta)) == "well then"
    assert isinstance(tokens.deltas[-1].delta, ReplyDone)


class Streams:
    """A model that streams what it is given."""

    def __init__(self, *streams: list[Delta]) -> None:
        self._streams = list(streams)
        self.closed = 0

    async def stream(self, request: ModelRequest) -> AsyncIterator[Delta]:
        for delta in self._streams.pop(0):
            yield delta
        self.closed += 1

    async def complete(self, request: ModelRequest) -> ModelReply:
        raise NotImplementedError


def reply(text: str) -> ModelReply:
    return ModelReply(Message("assistant", (TextPart(text),)), NO_USAGE)


async def test_a_further_attempt_voids_what_was_streamed_before() -> None:
    tokens = Tokens(listens=True)
    model = Streams([TextDelta("wr"), AttemptStarted(2), TextDelta("ri"), ReplyDone(reply("right"))])
    world = World([], model=model, tokens=tokens)
    assert await world.drive() == "ended"
    assert [(delta.attempt, delta.index, type(delta.delta)) for delta in tokens.deltas] == [
        (1, 0, TextDelta),
        (2, 0, AttemptStarted),
        (2, 1, TextDelta),
        (2, 2, ReplyDone),
    ]
    assert model.closed == 1


async def test_a_mended_reply_is_streamed_as_a_further_attempt() -> None:
    tokens = Tokens(listens=True)
    model = Streams(
        [TextDelta("no"), AttemptStarted(2), ReplyDone(reply("no"))],
        [TextDelta("1"), ReplyDone(reply('{"n": 1}'))],
    )
    world = World([], model=model, tokens=tokens, plan=plan(ask(NUMBER)))
    assert await world.drive() == "ended"
    assert [delta.attempt for delta in tokens.deltas] == [1, 2, 2, 3, 3]


@pytest.mark.parametrize("text", ["right", ""])
async def test_who_begins_to_listen_in_the_midst_of_a_reply_is_shown_it_whole(text: str) -> None:
    tokens = Tokens()

    async def answer(_request: ModelRequest) -> ModelReply:
        tokens.listens = True
        return reply(text)

    world = World([], [answer, "done"], tokens=tokens)
    assert await world.drive() == "ended"
    first = [delta for delta in tokens.deltas if delta.step == tokens.deltas[0].step]
    assert [delta.index for delta in first] == list(range(len(first)))
    assert [delta.delta for delta in first] == [*([TextDelta(text)] if text else []), ReplyDone(reply(text))]


async def test_a_stream_without_a_reply_fails_the_run() -> None:
    world = World([], model=Streams([TextDelta("well")]), tokens=Tokens(listens=True))
    assert await world.drive() == "ended"
    assert (await world.story())[-2:] == ["step.failed t1 model_reply_invalid #1", "run.failed t1 model_reply_invalid"]
