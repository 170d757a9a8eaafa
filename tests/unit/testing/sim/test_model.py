"""The simulated model in process, in time that the test owns (fake_llm)."""

import random
from collections.abc import Sequence
from decimal import Decimal

import pytest

from agent_sdk.core.errors import (
    AuthFailed,
    BadRequest,
    ConfigError,
    ContentRefused,
    ContextTooLong,
    ModelError,
    Overloaded,
    RateLimited,
    ReplyInvalid,
    Unavailable,
)
from agent_sdk.core.ids import StepId
from agent_sdk.core.messages import Conversation, FilePart, Message, ReasoningPart, TextPart, ToolResultPart, user_message
from agent_sdk.core.model import Delta, ModelReply, ModelRequest, ModelSettings, ReplyDone
from agent_sdk.core.tools import ToolSpec
from agent_sdk.core.usage import Usage
from agent_sdk.testing import (
    Call,
    Fault,
    FaultKind,
    Faults,
    Latency,
    RawReply,
    Sim,
    SimModel,
    SimPrice,
    SimReply,
    VirtualClock,
    constant,
    lognormal,
    run_virtual,
    uniform,
)
from agent_sdk.testing.sim import FAULT_KINDS

TOOLS = (ToolSpec("search", "Search.", {"type": "object", "properties": {"q": {"type": "string"}}, "required": ["q"]}, {}),)
PRICES = {"m": SimPrice(Decimal(2), Decimal(10))}


def question(*messages: Message, settings: ModelSettings | None = None) -> ModelRequest:
    conversation = Conversation([user_message("Hi"), *messages])
    return ModelRequest(StepId("t1"), "m", conversation, "Be brief.", TOOLS, settings=settings or ModelSettings())


async def drain(model: SimModel, request: ModelRequest) -> tuple[list[Delta], float]:
    clock = VirtualClock()
    began = clock.monotonic()
    deltas = [delta async for delta in model.stream(request)]
    return deltas, clock.monotonic() - began


def test_fake_llm_streams_token_by_token_on_the_tests_clock() -> None:
    async def main() -> tuple[list[Delta], float]:
        sim = Sim(["one two three"], latency=Latency(constant(2.0), constant(0.5)))
        return await drain(SimModel(sim, clock=VirtualClock()), question())

    deltas, took = run_virtual(main())
    assert (len(deltas), took) == (4, 2.0 + 3 * 0.5)


def test_fake_llm_takes_as_long_for_a_plain_reply() -> None:
    async def main() -> float:
        sim = Sim(["one two three", Fault("slow_first_token")], latency=Latency(constant(2.0), constant(0.5)), faults=Faults(slow_s=60))
        model, clock = SimModel(sim), VirtualClock()
        await model.complete(question())
        took = clock.monotonic()
        await model.complete(question())
        assert clock.monotonic() - took > 60
        return took

    assert run_virtual(main()) == 2.0 + 2 * 0.5


def test_latencies_are_drawn_from_their_distributions() -> None:
    chance = random.Random(1)
    tails = sorted(lognormal(1.0, 0.5)(chance) for _ in range(1001))
    assert 0.9 < tails[500] < 1.1
    assert tails[-1] > 3
    assert all(2 <= uniform(2, 3)(chance) <= 3 for _ in range(100))


RAISED: dict[FaultKind, type[ModelError]] = {
    "rate_limited": RateLimited,
    "overloaded": Overloaded,
    "server_error": Unavailable,
    "timeout": Unavailable,
    "stall": Unavailable,
    "closed": Unavailable,
    "error_in_stream": Overloaded,
    "malformed_json": ReplyInvalid,
    "html": ReplyInvalid,
    "context_too_long": ContextTooLong,
    "auth_failed": AuthFailed,
    "unknown_model": BadRequest,
    "filtered": ContentRefused,
}


@pytest.mark.parametrize("kind", RAISED)
@pytest.mark.parametrize("is_stream", [False, True])
def test_fake_llm_raises_what_an_adapter_would(kind: FaultKind, is_stream: bool) -> None:
    async def main() -> float:
        model, clock = SimModel(sim, clock=VirtualClock(), patience_s=90.0), VirtualClock()
        with pytest.raises(RAISED[kind]) as caught:
            await (drain(model, question()) if is_stream else model.complete(question()))
        assert caught.value.retry_after_s == (7.0 if kind in {"rate_limited", "overloaded", "error_in_stream"} else None)
        known = caught.value.usage
        assert sim.billed == (Decimal(0) if known is None else known.cost_usd)
        return clock.monotonic()

    sim = Sim([Fault(kind, retry_after_s=7.0)], prices=PRICES)
    assert run_virtual(main()) == (90.0 if kind in {"timeout", "stall"} else 0.0)
    assert sim.faulted == {kind: 1}


def test_fake_llm_knows_what_a_reply_used_that_broke_off() -> None:
    async def main() -> None:
        sim = Sim([Fault("closed")] * 20, prices=PRICES)
        known: list[Decimal] = []
        for _ in range(20):
            try:
                await drain(SimModel(sim), question())
            except Unavailable as error:
                known += [error.usage.cost_usd] if error.usage is not None and error.usage.cost_usd is not None else []
        assert 10 < len(known) <= 20
        assert sum(known) == sim.billed

    run_virtual(main())


@pytest.mark.parametrize("kind", sorted(set(FAULT_KINDS) - set(RAISED)))
def test_fake_llm_gives_odd_replies_whole(kind: FaultKind) -> None:
    async def main() -> ModelReply:
        deltas, _ = await drain(SimModel(Sim([Fault(kind)], prices=PRICES, thinks=True)), question())
        assert isinstance(deltas[-1], ReplyDone)
        return deltas[-1].reply

    reply = run_virtual(main())
    calls = reply.message.tool_calls
    match kind:
        case "invalid_arguments":
            assert calls[-1].problem is not None
        case "empty":
            assert reply.message.parts == ()
        case "refused" | "truncated" | "unknown_finish":
            assert reply.stop == {"refused": "refused", "truncated": "length", "unknown_finish": "other"}[kind]
        case "usage_missing" | "usage_zero" | "usage_negative":
            assert reply.usage == Usage(cost_usd=Decimal(0))
        case _:
            assert calls[0].problem is None
            assert isinstance(reply.message.parts[0], ReasoningPart)


async def test_fake_llm_reads_every_part_of_the_conversation() -> None:
    sim = Sim(["a", "b"])
    model = SimModel(sim)
    parts: Sequence[TextPart | FilePart] = (TextPart("see"), FilePart.from_bytes(b"x", "image/png"))
    said = Message("assistant", (ReasoningPart("hm"), TextPart("ok")))
    results = Message("tool", (ToolResultPart(StepId("t1.1"), {"n": 1}), ToolResultPart(StepId("t1.2"), "text")))
    reply = await model.complete(question(Message("user", tuple(parts)), said, results))
    assert (reply.message.text, reply.model, reply.request_id) == ("a", "m", "sim-1")
    assert sim.requests[0].results == ["{'n': 1}", "text"]
    asked = ModelRequest(StepId("t2"), "m", Conversation([user_message("Hi")]), output_schema={"type": "string"})
    await model.complete(asked)
    assert sim.requests[1].wanted.output_schema == {"type": "string"}
    assert reply.usage.cost_usd is None


async def test_an_http_response_is_no_answer_in_process() -> None:
    with pytest.raises(ConfigError, match="SimServer"):
        await SimModel(Sim([RawReply(b"")])).complete(question())


async def test_scripted_calls_keep_what_a_sloppy_model_wrote() -> None:
    reply = await SimModel(Sim([SimReply(calls=(Call("search", "{half"),))])).complete(question())
    assert reply.message.tool_calls[0].raw == "{half"
