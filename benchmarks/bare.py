# ruff: noqa: ARG001  (a tool that is measured does nothing with what it takes)
"""The bare limit: the same work in plain dicts and asyncio, with no journal, no checks and no limits."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from benchmarks.agents import FOUND, GOAL

Reply = dict[str, Any]
Ask = Callable[[list[Reply]], Awaitable[Reply]]
Act = Callable[..., Awaitable[str]]

PARAMETERS: dict[str, object] = {
    "type": "object",
    "properties": {"number": {"type": "integer"}},
    "required": ["number"],
    "additionalProperties": False,
}
TOOLS = [{"type": "function", "function": {"name": "find", "description": "Find an item.", "parameters": PARAMETERS}}]


async def find(number: int) -> str:
    return FOUND


def find_at_once(number: int) -> str:
    return FOUND


async def find_inline(number: int) -> str:
    return find_at_once(number)


async def find_in_thread(number: int) -> str:
    return await asyncio.get_running_loop().run_in_executor(None, find_at_once, number)


def replies(turns: int, tool: str = "find") -> Iterator[str]:
    """Yield a run's replies in the vendor's JSON."""
    usage = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
    for number in range(turns):
        message: Reply = {"role": "assistant", "content": "Found."}
        if number < turns - 1:
            function = {"name": tool, "arguments": f'{{"number": {number}}}'}
            message = {"role": "assistant", "content": None, "tool_calls": [{"id": f"c{number}", "type": "function", "function": function}]}
        yield json.dumps({"choices": [{"index": 0, "message": message}], "usage": usage})


def asked_of(texts: Iterator[str]) -> Ask:
    """Return a model in process: what is new goes out as JSON, and a reply comes in as JSON, each once."""
    sent = 0

    async def ask(messages: list[Reply]) -> Reply:
        nonlocal sent
        for message in messages[sent:]:
            json.dumps(message)
        sent = len(messages)
        reply: Reply = json.loads(next(texts))["choices"][0]["message"]
        return reply

    return ask


async def loop(ask: Ask, act: Act) -> str:
    """Ask, act and answer, as one writes it who needs nothing else."""
    messages: list[Reply] = [{"role": "user", "content": GOAL}]
    while True:
        reply = await ask(messages)
        messages.append(reply)
        calls = reply.get("tool_calls")
        if not calls:
            return str(reply["content"])
        for call in calls:
            arguments = json.loads(call["function"]["arguments"])
            output = await act(**arguments)
            messages.append({"role": "tool", "tool_call_id": call["id"], "content": json.dumps(output)})
