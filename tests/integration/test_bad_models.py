"""Models and servers that answer what no model should: the run ends once, says why, keeps what was said, and tells nobody the key."""

import json
from collections.abc import AsyncGenerator, Callable, Mapping
from itertools import repeat
from pathlib import Path
from typing import Literal, cast

import pytest
from pydantic import BaseModel, JsonValue

from agent_sdk import Agent, App, Limits, Runtime, tool
from agent_sdk.core.messages import Message, TextPart
from agent_sdk.core.model import Delta, ModelReply, ModelRequest, ReplyDone
from agent_sdk.core.run import Run
from agent_sdk.core.usage import NO_USAGE
from agent_sdk.testing import Call, ChatReply, Delivery, FakeOpenAI, RawReply, error_reply
from agent_sdk.testing.openai_server import ServerReply
from tests.integration.rest import KEY, brought_to_rest, bytes_below, journal_in, settings

Strategy = Literal["loop", "plan"]
QUICK: dict[str, JsonValue] = {
    "model_call.total_timeout_s": 2.0,
    "model_call.first_token_timeout_s": 0.3,
    "model_call.idle_timeout_s": 0.3,
    "model_call.max_attempts": 2,
}
BARE = {"index": 0, "finish_reason": "stop"}
performed: list[int] = []


class Report(BaseModel):
    """What the agents shall answer with."""

    lamps: int


@tool(effect="once")
async def pay(amount: int) -> int:
    """Pay."""
    performed.append(amount)
    return amount


@tool(effect="read")
async def look(x: int = 0) -> int:
    """Look."""
    return x


def steps(*made: Mapping[str, JsonValue]) -> str:
    return json.dumps({"steps": [dict(each) for each in made], "result": {"$ref": "a"}})


def step(name: str, tool_name: str, **args: JsonValue) -> dict[str, JsonValue]:
    return {"id": name, "tool": tool_name, "args": args}


def raw(content: JsonValue) -> RawReply:
    return RawReply(json.dumps({"choices": [{**BARE, "message": {"role": "assistant", "content": content}}]}).encode())


REPLIES: dict[str, tuple[ServerReply, str]] = {
    "prose": ("I would rather talk about it.", "reply_not_json"),
    "half JSON": ('{"steps": [{"id": "a", "to', "reply_not_json"),
    "wrong types": ('{"steps": "none", "lamps": "two"}', "plan_shape"),
    "an unknown tool": (steps(step("a", "pey", amount=1)), "unknown_tool"),
    "wrong arguments": (steps(step("a", "pay", amount="one")), "invalid_argument"),
    "10,000 steps": (steps(*(step(f"s{index}", "look") for index in range(10_000))), "too_many_steps"),
    "a cycle": (steps(step("a", "pay", amount={"$ref": "b"}), step("b", "look", x={"$ref": "a"})), "cycle"),
    "nothing": ("", "reply_empty"),
    "no content": (raw(None), "reply_empty"),
    "blanks": (" \n\t", "reply_empty"),
    "NUL": ("\0", "reply_not_json"),
    "half a character": (raw("\ud800"), "reply_not_json"),
    "endless nesting": ("[" * 100_000, "reply_not_json"),
    "5,000 digits": (f'{{"steps": [], "lamps": {"1" * 5000}}}', "reply_not_json"),
    "a call of a tool": (Call("pay", {"amount": 1}), "reply_empty"),
    "a call of no tool": (Call("steal"), "reply_empty"),
}
CALLS: dict[str, Call] = {
    "an unknown tool": Call("steal\x1b[31m"),
    "no arguments": Call("pay", ""),
    "half JSON": Call("pay", '{"amount": 1'),
    "wrong types": Call("pay", {"amount": "one"}),
    "no such argument": Call("pay", {"amount": 1, "to": "me"}),
    "endless nesting": Call("pay", "[" * 10_000),
    "5,000 digits": Call("pay", f'{{"amount": {"1" * 5000}}}'),
    "NaN": Call("pay", '{"amount": NaN}'),
    "half a character": Call("pay", '{"amount": "\\ud800"}'),
}
FAILURES: dict[str, tuple[ServerReply, str, int]] = {
    "400": (error_reply(400, f"bad request of {KEY}"), "model_bad_request", 1),
    "401": (error_reply(401, f"Incorrect API key provided: {KEY}", code="invalid_api_key"), "model_auth_failed", 1),
    "429": (error_reply(429, f"slow down {KEY}"), "model_rate_limited", 2),
    "429, try at once": (RawReply(error_reply(429, KEY).body, status=429, headers={"Retry-After": "0"}), "model_rate_limited", 2),
    "429, try tomorrow": (RawReply(error_reply(429, KEY).body, status=429, headers={"Retry-After": "86400"}), "model_rate_limited", 1),
    "429, try never": (RawReply(error_reply(429, KEY).body, status=429, headers={"Retry-After": "soon"}), "model_rate_limited", 2),
    "500": (error_reply(500, f"panic with {KEY}"), "model_unavailable", 2),
    "a closed socket": (ChatReply("hello there", delivery=Delivery(closes_after=0)), "model_unavailable", 2),
    "a socket closed in mid-stream": (ChatReply("hello there", delivery=Delivery(closes_after=60)), "model_unavailable", 2),
    "no JSON": (RawReply(KEY.encode()), "model_reply_invalid", 2),
    "no choices": (RawReply(b'{"choices": []}'), "model_reply_invalid", 2),
    "a page": (RawReply(f"<html>{KEY}</html>".encode(), content_type="text/html"), "model_reply_invalid", 2),
    "a number for text": (raw(5), "model_reply_invalid", 2),
}


def make(strategy: Strategy, **limits: int) -> Agent[None, Report]:
    return Agent(name="clerk", model="openai:small", strategy=strategy, tools=[pay, look], output=Report, limits=Limits(**limits))


async def answered(reply: ServerReply, agent: Agent[None, Report], folder: Path) -> tuple[Run, FakeOpenAI]:
    """Let the server answer all questions the same; return where the run ends, having looked for the key in all that it left."""
    performed.clear()
    async with FakeOpenAI(repeat(reply)) as server:
        run = await brought_to_rest(agent, folder, settings(folder, {**QUICK, "openai.base_url": server.base_url}))
    assert KEY.encode() not in bytes_below(folder)
    assert run.state == "failed"
    assert run.failure is not None
    assert run.failure.message
    assert run.failure.hint
    assert performed == []
    return run, server


@pytest.mark.parametrize("case", REPLIES)
async def test_a_reply_that_is_no_plan_goes_back_with_its_finding_until_the_repairs_are_used_up(case: str, tmp_path: Path) -> None:
    reply, code = REPLIES[case]
    run, server = await answered(reply, make("plan", max_plan_repairs=2), tmp_path)
    assert run.failure is not None
    assert run.failure.code == "plan_invalid"
    assert len(server.requests) == len(run.drafts) == 3
    assert all(draft.reply is not None for draft in run.drafts)
    assert code in [finding.code for finding in run.drafts[-1].findings]
    assert f"[{code}]" in server.requests[-1].messages[-1].text


@pytest.mark.parametrize("case", [case for case in REPLIES if "call" not in case])
async def test_a_reply_that_is_no_answer_goes_back_with_its_finding_until_the_repairs_are_used_up(case: str, tmp_path: Path) -> None:
    run, server = await answered(REPLIES[case][0], make("loop", max_answer_repairs=1), tmp_path)
    assert run.failure is not None
    assert run.failure.code == "answer_invalid"
    assert len(server.requests) == 2
    assert "The answer does not hold:" in server.requests[-1].messages[-1].text


@pytest.mark.parametrize("case", CALLS)
async def test_a_call_that_does_not_hold_is_told_and_never_performed(case: str, tmp_path: Path) -> None:
    run, server = await answered(CALLS[case], make("loop", max_repeats=2), tmp_path)
    assert run.failure is not None
    assert run.failure.code == "repeated_call"
    assert {state.status for state in run.graph.steps.values()} == {"refused"}
    assert "call_refused" in server.requests[-1].results[-1]


async def test_ten_thousand_calls_at_once_are_too_many_and_none_is_performed(tmp_path: Path) -> None:
    run, server = await answered([Call("pay", {"amount": index}) for index in range(10_000)], make("loop"), tmp_path)
    assert run.failure is not None
    assert (run.failure.code, len(server.requests)) == ("step_limit", 1)


async def test_a_model_that_never_answers_takes_no_more_turns_than_it_may(tmp_path: Path) -> None:
    turns = iter(range(1000))

    def looks(_: object) -> Call:
        return Call("look", {"x": next(turns)})

    async with FakeOpenAI(looks) as server:
        run = await brought_to_rest(make("loop", max_turns=5), tmp_path, settings(tmp_path, {"openai.base_url": server.base_url}))
    assert run.failure is not None
    assert (run.failure.code, len(server.requests)) == ("turn_limit", 5)


@pytest.mark.parametrize("strategy", ["loop", "plan"])
@pytest.mark.parametrize("case", FAILURES)
async def test_a_server_that_fails_ends_the_run_with_its_class(case: str, strategy: Strategy, tmp_path: Path) -> None:
    reply, code, tries = FAILURES[case]
    run, server = await answered(reply, make(strategy), tmp_path)
    assert run.failure is not None
    assert (run.failure.code, len(server.keys), set(server.keys)) == (code, tries, {KEY})


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["loop", "plan"])
async def test_a_server_that_stalls_is_given_up_in_time(strategy: Strategy, tmp_path: Path) -> None:
    stall = ChatReply("hello there", delivery=Delivery(stalls_after=60))
    async with FakeOpenAI(repeat(stall)) as server:
        quick: dict[str, JsonValue] = {**QUICK, "model_call.total_timeout_s": 0.3, "openai.base_url": server.base_url}
        run = await brought_to_rest(make(strategy), tmp_path, settings(tmp_path, quick))
    assert run.failure is not None
    assert (run.failure.code, server.hung_up, len(server.requests)) == ("model_unavailable", 2, 2)


@pytest.mark.parametrize("delivery", [Delivery(closes_after=1500), Delivery(stalls_after=1500)])
async def test_a_stream_that_breaks_in_the_middle_fails_the_run_with_nothing_taken_for_an_answer(
    delivery: Delivery, tmp_path: Path
) -> None:
    agent = Agent(name="talker", model="openai:small")
    async with FakeOpenAI(repeat(ChatReply("many words " * 50, delivery=delivery))) as server:
        loaded = settings(tmp_path, {**QUICK, "openai.base_url": server.base_url})
        async with Runtime.open(journal_in(tmp_path), app=App([agent]), settings=loaded) as runtime:
            handle = await runtime.start(agent, "talk")
            shown = [text async for text in handle.stream_text()]
            run = await handle.settled()
    assert "".join(shown).startswith("many")
    assert run.failure is not None
    assert (run.state, run.failure.code, run.answer, len(server.requests)) == ("failed", "model_unavailable", None, 2)


async def test_what_a_model_step_says_in_calls_goes_back_as_words(tmp_path: Path) -> None:
    plan = json.dumps({"steps": [{"id": "a", "kind": "model", "prompt": "Count."}], "result": {"lamps": {"$ref": "a"}}})
    typed = json.loads(plan)
    typed["steps"][0]["output_schema"] = {"type": "integer"}
    script: list[ServerReply | Callable[[object], ServerReply]] = [json.dumps(typed), Call("pay", {"amount": 1}), '{"value": 2}']
    performed.clear()
    async with FakeOpenAI(script) as server:
        run = await brought_to_rest(make("plan"), tmp_path, settings(tmp_path, {**QUICK, "openai.base_url": server.base_url}))
    assert (run.state, run.answer, performed) == ("succeeded", {"lamps": 2}, [])
    assert len(server.requests) == 3


def said_half() -> ModelReply:
    return ModelReply(Message("assistant", (TextPart("half \udcff"),)), NO_USAGE, "end")


class Own:
    """A model of the user's own, which is as broken as a user's code may be."""

    def __init__(self, reply: object) -> None:
        self._reply = reply

    async def complete(self, request: ModelRequest) -> ModelReply:
        if isinstance(self._reply, Exception):
            raise self._reply
        return cast("ModelReply", self._reply)

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Delta, None]:
        yield ReplyDone(await self.complete(request))


@pytest.mark.parametrize("reply", [KeyError("boo"), None, said_half()], ids=["raises", "returns nothing", "half a character"])
async def test_a_model_of_the_user_s_own_that_is_broken_ends_the_run_too(reply: object, tmp_path: Path) -> None:
    run = await brought_to_rest(Agent(name="own", model=Own(reply)), tmp_path)
    assert run.state == "failed"
