"""A question to a simulated model, in no protocol's words, and as the tests that look at it want it."""

from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import JsonValue

from agent_sdk.core.frozen import frozen
from agent_sdk.core.model import ToolChoice
from agent_sdk.testing.sim.tokens import count_tokens

Dialect = Literal["port", "openai_chat", "openai_responses", "anthropic", "gemini"]
"""How the question came: by the port `Model`, or in a vendor's protocol."""

_PER_MESSAGE = 4


@frozen
class Spoken:
    """One message: `text` is all that it says, calls and files included; `calls` how many calls it asks for, `results` what tools said."""

    role: Literal["system", "user", "assistant", "tool"]
    text: str
    calls: int = 0
    results: tuple[str, ...] = ()

    @property
    def tokens(self) -> int:
        return _PER_MESSAGE + count_tokens(self.text)


@frozen
class SimTool:
    """A tool that is offered; `parameters` is the JSON Schema of its arguments."""

    name: str
    parameters: Mapping[str, JsonValue]


@frozen
class Wanted:
    """What is wanted of the reply; `is_cached` where the question is to be kept for the next, `is_quiet` where thoughts are not shown."""

    tools: tuple[SimTool, ...] = ()
    choice: ToolChoice = "auto"
    force_tool: str | None = None
    is_parallel: bool = True
    output_schema: Mapping[str, JsonValue] | None = None
    max_output_tokens: int | None = None
    is_stream: bool = False
    is_cached: bool = False
    is_quiet: bool = False


@frozen
class SimRequest:
    """One question. `offered_tokens` are those of the tools and schemas; `body` is what came over HTTP, None by the port."""

    dialect: Dialect
    model: str
    instructions: str
    messages: Sequence[Spoken]
    wanted: Wanted = Wanted()
    offered_tokens: int = 0
    body: JsonValue = None

    @property
    def goal(self) -> str:
        """The first message of the user."""
        return next((message.text for message in self.messages if message.role == "user"), "")

    @property
    def results(self) -> list[str]:
        """What the tools of the last turn answered, in the order they came."""
        found: list[str] = []
        for message in reversed(self.messages):
            if message.role != "tool":
                break
            found = [*message.results, *found]
        return found

    @property
    def turn(self) -> int:
        """How often tools were called since the user last spoke."""
        turns = 0
        for message in reversed(self.messages):
            if message.role == "user":
                break
            turns += message.calls > 0
        return turns

    @property
    def input_tokens(self) -> int:
        asked = _PER_MESSAGE + count_tokens(self.instructions) if self.instructions else 0
        return asked + self.offered_tokens + sum(message.tokens for message in self.messages)
