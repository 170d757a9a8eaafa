"""A turn in a long history: how often a message is encoded, what a turn copies, and for how long it lets nothing else run."""

import asyncio
import json
import time
import tracemalloc
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from statistics import median

import aiohttp

from agent_sdk.core.ids import StepId
from agent_sdk.core.messages import Conversation, Message, TextPart, ToolCallPart, ToolResultPart, user_message
from agent_sdk.core.model import ModelRequest
from agent_sdk.llm.options import HttpRequest
from benchmarks.agents import FOUND, GOAL, find
from benchmarks.measure import Case, Metric, Readings, Scale, at_most, cpu_us_of
from benchmarks.vendors.bare import path, question, said_by_user, said_since
from benchmarks.vendors.ours import SETTINGS, made
from benchmarks.vendors.replies import ARGUMENTS, ARGUMENTS_TEXT, MODEL, PROTOCOLS, TOKEN, Json, Protocol
from benchmarks.vendors.server import served
from benchmarks.vendors.talk import INSTRUCTIONS, KEY

TEXT = TOKEN * 40
Turn = Callable[[], Awaitable[None]]


def cases(scale: Scale) -> Sequence[Case]:
    messages, turns = scale.pick(10_000, 200), scale.pick(10, 2)
    what = f"vendors: a turn in a history of {messages:,} messages"
    cpu = [Metric(protocol, f"{what}, {protocol}", "us CPU") for protocol in PROTOCOLS]
    shared = [
        Metric("encodes", f"{what}: how often each is encoded, at most", "times", "1", at_most(1.0)),
        Metric("mib", f"{what}: joined and sent, at most", "MiB"),
        Metric("copies", f"{what}: memory while it is written, at most", "x its size"),
        Metric("held", f"{what}: the loop held at a time, at most", "ms wall"),
    ]
    return [Case(what, [*cpu, *shared], lambda: ours(messages, turns), lambda: bare(messages, turns), rounds=scale.pick(3, 1))]


def ours(messages: int, turns: int) -> Readings:
    """Return the CPU of a turn in each protocol, and the worst of what is read of all."""
    with served(1) as url:
        read: dict[str, Readings] = {protocol: asyncio.run(_ours(protocol, url, messages, turns)) for protocol in PROTOCOLS}
    return _worst(read)


def bare(messages: int, turns: int) -> Readings:
    with served(1) as url:
        read: dict[str, Readings] = {protocol: asyncio.run(_bare(protocol, url, messages, turns)) for protocol in PROTOCOLS}
    return _worst(read)


def _worst(read: Mapping[str, Readings]) -> Readings:
    shared = {key: max(each[key] for each in read.values()) for key in read[PROTOCOLS[0]] if key != "cpu"}
    return {**{protocol: each["cpu"] for protocol, each in read.items()}, **shared}


class Counted(Conversation):
    """A conversation that counts how often its messages are encoded."""

    encodes = 0

    def encoded(self, dialect: str, encode: Callable[[Message], bytes]) -> Sequence[bytes]:
        def counted(message: Message) -> bytes:
            self.encodes += 1
            return encode(message)

        return super().encoded(dialect, counted)


async def _ours(protocol: Protocol, url: str, messages: int, turns: int) -> Readings:
    conversation = Counted(_history(messages))
    seen: list[HttpRequest] = []

    async def see(request: HttpRequest) -> HttpRequest:
        """Take a look at what goes out, and at what it took to write it."""
        if tracemalloc.is_tracing():
            seen.append(replace(request, headers={"peak": str(tracemalloc.get_traced_memory()[1])}))
        return request

    model = made(protocol, url, see)

    async def turn() -> None:
        number = len(conversation)
        request = ModelRequest(StepId(f"t{number}"), MODEL, conversation, INSTRUCTIONS, (find.spec,), settings=SETTINGS)
        reply = await model.complete(request)
        conversation.add(reply.message)
        conversation.add(Message("tool", tuple(ToolResultPart(call.id, FOUND) for call in reply.message.tool_calls)))

    try:
        read = await _turns(turn, turns)
        tracemalloc.start()
        await turn()
    finally:
        tracemalloc.stop()
        await model.close()
    size, peak = len(seen[0].body), float(seen[0].headers["peak"])
    asked = len(conversation) - 2  # what the last turn brought was not sent
    return {**read, "encodes": conversation.encodes / asked, "mib": size / 2**20, "copies": peak / size}


async def _bare(protocol: Protocol, url: str, messages: int, turns: int) -> Readings:
    call = _call(protocol)
    history = [said_by_user(protocol)]
    while len(history) < messages:
        history += said_since(protocol, TEXT, call)
    async with aiohttp.ClientSession(headers={"Content-Type": "application/json", "Authorization": f"Bearer {KEY}"}) as session:

        async def turn() -> None:
            body = json.dumps(question(protocol, history, is_stream=False)).encode()
            async with session.post(url + path(protocol, is_stream=False), data=body) as response:
                json.loads(await response.read())
            history.extend(said_since(protocol, TEXT, call))

        return await _turns(turn, turns)


async def _turns(turn: Turn, turns: int) -> Readings:
    """Return the CPU of a turn, and the longest time for which one lets nothing else run, in the median of all turns."""
    await turn()

    async def work() -> None:
        for _ in range(turns):
            await turn()

    cpu_us = await cpu_us_of(work(), turns)
    held: list[float] = []
    for _ in range(turns):
        async with _watched() as gaps:
            await turn()
        held.append(gaps[0])
    return {"cpu": cpu_us, "held": median(held) * 1000}


@asynccontextmanager
async def _watched() -> AsyncGenerator[list[float]]:
    gaps = [0.0]

    async def watch() -> None:
        last = time.perf_counter()
        while True:
            await asyncio.sleep(0)
            now = time.perf_counter()
            gaps[0], last = max(gaps[0], now - last), now

    async with asyncio.TaskGroup() as tasks:
        watching = tasks.create_task(watch())
        await asyncio.sleep(0)  # until it watches
        yield gaps
        watching.cancel()


def _history(messages: int) -> list[Message]:
    history = [user_message(GOAL)]
    while len(history) < messages:
        call = ToolCallPart(StepId(f"t{len(history)}.0"), "find", dict(ARGUMENTS))
        history += [Message("assistant", (TextPart(TEXT), call)), Message("tool", (ToolResultPart(call.id, FOUND),))]
    return history


def _call(protocol: Protocol) -> Json:
    match protocol:
        case "OpenAI Chat":
            return {"id": "call_1", "type": "function", "function": {"name": "find", "arguments": ARGUMENTS_TEXT}}
        case "OpenAI Responses":
            return {"type": "function_call", "call_id": "call_1", "name": "find", "arguments": ARGUMENTS_TEXT}
        case "Anthropic":
            return {"type": "tool_use", "id": "toolu_1", "name": "find", "input": ARGUMENTS}
        case "Gemini":
            return {"functionCall": {"name": "find", "args": ARGUMENTS}}
