"""An agent's declaration: what it is, what it may use and how far it may go. The user's face of it, `Agent`, lives in `runtime`."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import JsonValue

from agent_sdk.core.digest import digest_of
from agent_sdk.core.plan import Plan, Strategy
from agent_sdk.core.tools import ToolSpec


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
class AgentSpec:
    """The frozen declaration of an agent.

    `model` is `vendor:name`, or None for an agent that calls none. `output_schema` is the JSON Schema of the answer, or None for plain
    text. `plan` is the author's plan under the strategy `fixed`, else None. `compensate` asks that finished effects be undone, as far as
    their tools can, where a run fails, is cancelled or passes its deadline.
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

    def digests(self) -> dict[str, str]:
        """Return the digests that a run pins when it is created: of each tool, the instructions and the output schema."""
        output = dict(self.output_schema) if self.output_schema is not None else None
        return {f"tool:{tool.name}": tool.digest for tool in self.tools} | {
            "instructions": digest_of(self.instructions),
            "output": digest_of(output),
        }
