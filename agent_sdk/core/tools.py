"""What a tool says of itself: a declaration that plans are checked against. How a tool is made from a function lives in `tools`."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import field
from functools import lru_cache
from typing import Generic, Literal, Protocol, TypeVar

from pydantic import JsonValue

from agent_sdk.core.digest import digest_of
from agent_sdk.core.errors import NotFound
from agent_sdk.core.frozen import frozen
from agent_sdk.core.ids import PrincipalId, RunId, StepId, TenantId
from agent_sdk.core.labels import Label
from agent_sdk.core.schemas import Schema, mismatch, schema_of

Effect = Literal["read", "idempotent", "verify", "once"]
"""`read` changes nothing outside; `idempotent` may be repeated with the same key; `verify` can ask whether a key was done;
`once` must never be repeated.
"""

Kind = Literal["call", "question", "timer", "signal", "child"]
"""What a step of the tool does: call a function, or wait: for a person's answer, for a time, for a signal from outside, for a child run."""
WaitKind = Literal["question", "timer", "signal", "child"]

DepsT_co = TypeVar("DepsT_co", covariant=True)


@frozen
class ToolSpec:
    """A tool as models and the checker see it.

    `parameters` and `returns` are JSON Schemas (draft 2020-12); `returns` is the empty schema where anything may come. `timeout_s` None
    means the agent's limit. `retries` counts further attempts after a retryable failure; a `once` effect has none. `output_label` None
    means untrusted. `approval_s` is how long an approval may be given before it counts as denied, None: for ever. `undoes` says that a
    finished call can be compensated.
    """

    name: str
    description: str
    parameters: Mapping[str, JsonValue]
    returns: Mapping[str, JsonValue]
    effect: Effect = "once"
    timeout_s: float | None = None
    retries: int = 0
    output_label: Label | None = None
    kind: Kind = "call"
    approval_s: float | None = None
    undoes: bool = False

    @property
    def digest(self) -> str:
        """SHA-256 of all that a run's safety depends on: schemas, effect and kind."""
        said: dict[str, JsonValue] = {
            "name": self.name,
            "parameters": dict(self.parameters),
            "returns": dict(self.returns),
            "effect": self.effect,
        }
        return digest_of(said if self.kind == "call" else said | {"kind": self.kind})

    @property
    def label(self) -> Label:
        return self.output_label if self.output_label is not None else _label_of(self.name)


@lru_cache(maxsize=4096)
def _label_of(tool: str) -> Label:
    return Label(untrusted=(f"tool:{tool}",))


@frozen
class Wait:
    """What a step waits for.

    `text` is the question, or the child's goal; `name` the signal's, or the child's agent. A timer comes after `after_s` seconds; for the
    others that is when the wait fails as `wait_expired`, None meaning never. `at_us` is a timer's time in place of `after_s`, in
    microseconds since 1970; one that has passed comes at once.
    """

    kind: WaitKind
    text: str | None = None
    name: str | None = None
    after_s: float | None = None
    at_us: int | None = None


def ignore_progress(_note: str, _fraction: float | None) -> None:
    """Take a progress note and do nothing with it."""


class Log(Protocol):
    """Where a tool says something to the operator: the methods of the standard library's loggers that need no set-up."""

    def debug(self, msg: object, *args: object) -> None: ...

    def info(self, msg: object, *args: object) -> None: ...

    def warning(self, msg: object, *args: object) -> None: ...

    def error(self, msg: object, *args: object) -> None: ...


class NoLog:
    """Says nothing."""

    def debug(self, msg: object, *args: object) -> None:
        pass

    info = warning = error = debug


async def no_outputs(artifact: str) -> JsonValue:
    """Know of no outputs."""
    raise NotFound(f"there is no output {artifact!r}")


@frozen
class ToolContext(Generic[DepsT_co]):
    """What a tool may know of the run that calls it; the model never sees it.

    `idempotency_key` is the same for every attempt of the step. `deadline_s` is on the clock of `time.monotonic()`; None means no limit.
    `log` writes to the operator's log, with the run and the step named. `report(note, fraction)` shows progress to whoever watches
    (fraction 0 to 1, or None). `principal` is the user whom the run acts for, None where none was named; `agent` the name of the agent.
    """

    tenant: TenantId
    run_id: RunId
    step_id: StepId
    attempt: int
    idempotency_key: str
    deps: DepsT_co
    deadline_s: float | None = None
    report: Callable[[str, float | None], None] = ignore_progress
    log: Log = field(default_factory=NoLog)
    output_of: Callable[[str], Awaitable[JsonValue]] = no_outputs
    principal: PrincipalId | None = None
    agent: str = ""


def output_misfit(tool: ToolSpec, output: JsonValue) -> str | None:
    """Say why `output` cannot be what the tool returned; None where it can."""
    misfit = mismatch(schema_of(output), Schema.of(tool.returns))
    if misfit is None:
        return None
    return f"{tool.name} returns {misfit.expected}{misfit.path and f' at {misfit.path}'}, and the output given is {misfit.found}"
