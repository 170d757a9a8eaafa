"""The demo's simulated model: it knows the plans for three goals by heart, computes nothing, and refuses all else."""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files

from pydantic import JsonValue, TypeAdapter

from agent_sdk.core.frozen import frozen
from agent_sdk.testing.chat_protocol import ChatReply, ChatRequest, RawReply, error_reply
from agent_sdk.testing.openai_server import FakeOpenAI


@frozen
class Script:
    """A goal, and the plans that the model answers with: one more for each that was sent back to it."""

    goal: str
    replies: Sequence[Mapping[str, JsonValue]]


@cache
def scripts() -> tuple[Script, ...]:
    """Return what the simulated model knows, in the order of the demo."""
    folder = files("agent_sdk.testing.demo").joinpath("plans")
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".json"))
    return tuple(TypeAdapter(Script).validate_json(folder.joinpath(name).read_bytes()) for name in names)


def simulated_model() -> FakeOpenAI:
    """Return the provider, which speaks Chat Completions on a port of the loopback while its context is open."""
    return FakeOpenAI(answer)


def answer(request: ChatRequest) -> ChatReply | RawReply:
    """Answer one request with the next plan for its goal, or with the vendor's form of an error."""
    script = next((script for script in scripts() if script.goal == request.goal), None)
    if script is None:
        known = "; ".join(f"({number}) {script.goal}" for number, script in enumerate(scripts(), start=1))
        return error_reply(400, f"this simulated model knows the plans for these goals alone: {known}", code="unknown_goal")
    if request.output_schema is None:
        return error_reply(400, "this simulated model writes plans alone; ask with a JSON schema as response_format", code="no_plan_asked")
    drafts = sum(message.role == "assistant" for message in request.messages)
    questions = sum(message.role == "user" for message in request.messages)
    if drafts >= len(script.replies) or questions > drafts + 1:
        return error_reply(400, "this simulated model has no other plan for this goal", code="script_exhausted")
    return ChatReply(json.dumps(script.replies[drafts], ensure_ascii=False))
