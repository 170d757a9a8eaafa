"""A turn over HTTP, and a streamed chunk: the client's CPU, against a server in another process."""

import json
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Sequence
from contextlib import contextmanager
from typing import Any

import aiohttp

from agent_sdk import Agent, App, Runtime
from agent_sdk.llm import OpenAIOptions
from agent_sdk.llm.openai_chat import OpenAIChat
from benchmarks import bare
from benchmarks.agents import AMPLE, GOAL, find
from benchmarks.measure import Case, Ceiling, Metric, Sample, Scale, at_most, cpu_us_of, sampled_by

KEY = "us"
TURNS = 20
CHUNKS_A_TURN = 20
Work = Callable[[], Coroutine[Any, Any, None]]


def cases(scale: Scale) -> Sequence[Case]:
    runs, chunks = scale.pick(20, 1), scale.pick(5000, 200)
    return [
        _case("turn over HTTP, plain", "600 us", at_most(600.0), 0, runs),
        _case("turn over HTTP, streamed in 23 chunks", "800 us", at_most(800.0), CHUNKS_A_TURN, runs),
        _chunk_case(chunks, scale.pick(4, 1)),
    ]


def _case(what: str, target: str, ceiling: Ceiling, chunks: int, runs: int) -> Case:
    def ours(url: str) -> Sample:
        return sampled_by(KEY, lambda: _ours(url, runs, TURNS * runs, is_stream=chunks > 0))

    def beside(url: str) -> Sample:
        return sampled_by(KEY, lambda: _bare(url, runs, TURNS * runs, is_stream=chunks > 0))

    metric = Metric(KEY, what, "us CPU", target, ceiling)
    return Case(what, [metric], _served(TURNS, chunks, ours), _served(TURNS, chunks, beside))


def _chunk_case(chunks: int, runs: int) -> Case:
    """One reply of many chunks, so that the request and the run count for nothing beside them."""
    metric = Metric(KEY, "streamed chunk", "us CPU", "15 us", at_most(15.0))
    return Case(
        "streamed chunk",
        [metric],
        _served(1, chunks, lambda url: sampled_by(KEY, lambda: _ours(url, runs, chunks * runs, is_stream=True))),
        _served(1, chunks, lambda url: sampled_by(KEY, lambda: _bare(url, runs, chunks * runs, is_stream=True))),
    )


def _served(turns: int, chunks: int, make: Callable[[str], Sample]) -> Sample:
    """Take the sample against a server of its own."""

    def sample() -> dict[str, float]:
        with _server(turns, chunks) as url:
            return dict(make(url)())

    return sample


@contextmanager
def _server(turns: int, chunks: int) -> Generator[str]:
    command = [sys.executable, "-m", "benchmarks.server", str(turns), str(chunks)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        if server.stdout is None:
            raise RuntimeError("the server has no output")
        yield f"http://127.0.0.1:{server.stdout.readline().strip()}/v1"


async def _ours(url: str, runs: int, times: int, *, is_stream: bool) -> float:
    model = OpenAIChat(OpenAIOptions(base_url=url))
    agent = Agent(name="finder", model=model, tools=[find], limits=AMPLE)

    async def one_run(runtime: Runtime) -> None:
        run = await runtime.start(agent, GOAL)
        if is_stream:
            async for _ in run.stream():
                pass
        await run.result()

    try:
        async with Runtime.open(app=App([agent])) as runtime:
            return await _timed(lambda: one_run(runtime), runs, times)
    finally:
        await model.close()


async def _bare(url: str, runs: int, times: int, *, is_stream: bool) -> float:
    async with aiohttp.ClientSession(headers={"Content-Type": "application/json"}) as session:
        ask = _stream_over(session, url) if is_stream else _ask_over(session, url)

        async def one_run() -> None:
            await bare.loop(ask, bare.find)

        return await _timed(one_run, runs, times)


async def _timed(one_run: Work, runs: int, times: int) -> float:
    """Warm up with one run, then take the CPU of the others."""
    await one_run()

    async def work() -> None:
        for _ in range(runs):
            await one_run()

    return await cpu_us_of(work(), times)


def _ask_over(session: aiohttp.ClientSession, url: str) -> bare.Ask:
    async def ask(messages: list[bare.Reply]) -> bare.Reply:
        body = json.dumps({"model": "bench", "messages": messages, "tools": bare.TOOLS}).encode()
        async with session.post(f"{url}/chat/completions", data=body) as response:
            reply: bare.Reply = json.loads(await response.read())["choices"][0]["message"]
            return reply

    return ask


def _stream_over(session: aiohttp.ClientSession, url: str) -> bare.Ask:
    async def ask(messages: list[bare.Reply]) -> bare.Reply:
        body = json.dumps({"model": "bench", "messages": messages, "tools": bare.TOOLS, "stream": True}, separators=(",", ":")).encode()
        texts: list[str] = []
        calls: list[bare.Reply] = []
        async with session.post(f"{url}/chat/completions", data=body) as response:
            async for event in _events(response):
                for choice in event["choices"]:
                    if content := choice["delta"].get("content"):
                        texts.append(content)
                    calls.extend(choice["delta"].get("tool_calls", ()))
        reply: bare.Reply = {"role": "assistant", "content": "".join(texts)}
        return {**reply, "tool_calls": calls} if calls else reply

    return ask


async def _events(response: aiohttp.ClientResponse) -> AsyncIterator[dict[str, Any]]:
    rest = b""
    async for data in response.content.iter_any():
        *events, rest = (rest + data).split(b"\n\n")
        for event in events:
            if event != b"data: [DONE]":
                yield json.loads(event.removeprefix(b"data: "))
