"""An agent's declaration: what it is, what it may use and how far it may go. The user's face of it, `Agent`, lives in `runtime`."""

from collections.abc import Mapping
from dataclasses import field

from pydantic import JsonValue

from agent_sdk.core.digest import digest_of
from agent_sdk.core.errors import ConfigError
from agent_sdk.core.frozen import frozen
from agent_sdk.core.model import NO_SETTINGS, ModelSettings
from agent_sdk.core.plan import Plan, Strategy
from agent_sdk.core.tools import ToolSpec


@frozen
class Limits:
    """How far one run may go; None means no limit.

    `max_retries` bounds all further attempts together, of steps and of model calls. `max_repeats` is how many turns in a row may ask
    for the same calls. `max_crashes` is how many owners in a row may be lost before they got anything done; `max_depth` how deep child
    runs may stand below the first.
    """

    max_turns: int = 50
    max_steps: int = 1000
    max_parallel: int = 8
    step_timeout_s: float = 60.0
    run_timeout_s: float | None = None
    max_plan_repairs: int = 3
    max_answer_repairs: int = 2
    max_retries: int = 100
    max_repeats: int = 3
    max_goal_bytes: int = 1024 * 1024
    max_output_bytes: int = 16 * 1024 * 1024
    max_crashes: int = 5
    max_depth: int = 5


@frozen
class ContextPolicy:
    """How a conversation is kept within what the model can take.

    `max_tokens` is the most that the model is sent; None takes the model's context as the catalog knows it, and where it does not, there is
    no cap. Beyond `compact_at` of that the conversation is made shorter, down to `compact_to`: first the outputs of calls are taken out,
    but for those of the last `keep_turns` turns (where `clear_outputs`), then older messages give way to a summary that the model writes
    (where `summarise`; else they are left out). The instructions, the goal and pinned messages always stay. Of a tool's output of more than
    `preview_chars` characters the model is shown the beginning, and gets the tool `read_artifact` for the rest; None shows it all.

    Raises:
        ConfigError: the shares make no sense, or a number is none that can hold.
    """

    max_tokens: int | None = None
    compact_at: float = 0.8
    compact_to: float = 0.5
    keep_turns: int = 3
    clear_outputs: bool = True
    summarise: bool = True
    preview_chars: int | None = None

    def __post_init__(self) -> None:
        if not 0 < self.compact_to < self.compact_at <= 1:
            raise ConfigError(
                f"a context is compacted at {self.compact_at} and to {self.compact_to} of its size",
                hint="give shares of 1, the second one smaller: ContextPolicy(compact_at=0.8, compact_to=0.5)",
            )
        for name, least in (("max_tokens", 256), ("keep_turns", 0), ("preview_chars", 1)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise ConfigError(f"ContextPolicy({name}={value}) is too small", hint=f"give at least {least}")


@frozen
class AgentSpec:
    """The frozen declaration of an agent.

    `model` is `vendor:name`, or None for an agent that calls none. `output_schema` is the JSON Schema of the answer, or None for plain
    text; `instructions` are empty where a function, named in `instructions_by`, makes them for
    each run. `plan` is the author's plan under the strategy `fixed`, else None.
    `compensate` asks that finished effects be undone, as far as their tools can, where a run fails, is cancelled or passes its deadline.
    """

    name: str
    version: str = "1"
    model: str | None = None
    instructions: str = ""
    strategy: Strategy = "loop"
    tools: tuple[ToolSpec, ...] = ()
    output_schema: Mapping[str, JsonValue] | None = None
    plan: Plan | None = None
    limits: Limits = field(default_factory=Limits)
    compensate: bool = False
    context: ContextPolicy = field(default_factory=ContextPolicy)
    settings: ModelSettings = NO_SETTINGS
    instructions_by: str = ""

    def digests(self) -> dict[str, str]:
        """Return the digests that a run pins when it is created: of each tool, the instructions and the output schema."""
        output = dict(self.output_schema) if self.output_schema is not None else None
        return {f"tool:{tool.name}": tool.digest for tool in self.tools} | {
            "instructions": digest_of(f"function:{self.instructions_by}" if self.instructions_by else self.instructions),
            "output": digest_of(output),
        }
