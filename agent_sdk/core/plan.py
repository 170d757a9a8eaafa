"""The plan: a typed DAG of steps as data. What is right or wrong with one is said by the checker in `planning`."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import field
from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Discriminator, JsonValue, Tag

from agent_sdk.core.codec import to_json
from agent_sdk.core.digest import digest_of
from agent_sdk.core.frozen import frozen
from agent_sdk.core.ids import StepId

Strategy = Literal["loop", "plan", "fixed"]
"""Who makes the plan: the model turn by turn, the model all at once, or the author."""
OnError = Literal["fail", "skip", "retry", "repair"]
Operator = Literal["is_true", "is_false", "eq", "ne", "lt", "le", "gt", "ge", "contains"]

ITEM = StepId("item")
"""The name that a reference under `for_each` gives to the current element."""
GOAL = StepId("goal")
"""The name under which a reference finds the run's goal."""
STEP_ID = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")


@frozen
class Ref:
    """Where a value comes from: a step's output, or a place in it.

    Written `{"$ref": "step.path"}`; the path's names and list indexes are separated by dots.
    """

    step: StepId
    path: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> "Ref":
        step, *path = text.split(".")
        return cls(StepId(step), tuple(path))

    def __str__(self) -> str:
        return ".".join((self.step, *self.path))


def as_ref(value: JsonValue) -> Ref | None:
    """Return the reference that `value` is, or None if it is a literal."""
    if isinstance(value, dict) and len(value) == 1 and isinstance(text := value.get("$ref"), str):
        return Ref.parse(text)
    return None


def refs_in(value: JsonValue, path: str = "$") -> Iterator[tuple[str, Ref]]:
    """Yield every reference in `value` with the JSON path where it stands."""
    if (ref := as_ref(value)) is not None:
        yield path, ref
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from refs_in(inner, f"{path}.{key}")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from refs_in(inner, f"{path}[{index}]")


class MissingValue(LookupError):
    """A reference leads to no value in the output it names."""


def walk_path(value: JsonValue, ref: Ref) -> JsonValue:
    """Follow the reference's path into the output of its step.

    Raises:
        MissingValue: the output has no such place.
    """
    for name in ref.path:
        if isinstance(value, dict) and name in value:
            value = value[name]
        elif isinstance(value, list) and _is_index(name) and int(name) < len(value):
            value = value[int(name)]
        else:
            raise MissingValue(f"{ref}: there is no {name!r} in {_kind(value)}")
    return value


def fill(value: JsonValue, outputs: Mapping[StepId, JsonValue]) -> JsonValue:
    """Return `value` with every reference replaced by what it refers to.

    Raises:
        MissingValue: a reference leads nowhere.
    """
    if (ref := as_ref(value)) is not None:
        if ref.step not in outputs:
            raise MissingValue(f"{ref}: step {ref.step!r} has no output")
        return walk_path(outputs[ref.step], ref)
    if isinstance(value, dict):
        return {key: fill(inner, outputs) for key, inner in value.items()}
    if isinstance(value, list):
        return [fill(inner, outputs) for inner in value]
    return value


def _is_index(name: str) -> bool:
    return name.isdecimal() and len(name) < 10


def _kind(value: JsonValue) -> str:
    match value:
        case dict():
            return "an object with " + (", ".join(sorted(value)[:8]) or "no fields")
        case list():
            return f"a list of {len(value)}"
        case _:
            return f"the value {value!r}"[:80]


@frozen
class When:
    """A condition on an earlier output, named by a reference's text; the step is skipped where it does not hold."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    ref: str
    op: Operator = "is_true"
    value: JsonValue = None


@frozen
class ToolStep:
    """One call of one tool.

    `args` hold literals and references; `after` names steps to wait for without taking anything from them. Under `for_each`, a reference
    to a list, the step runs once an element, which its arguments call `item`; its output is the list of outputs in order.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    id: StepId
    tool: str
    args: dict[str, JsonValue] = field(default_factory=dict[str, JsonValue])
    when: When | None = None
    for_each: str | None = None
    after: tuple[StepId, ...] = ()
    on_error: OnError = "fail"
    kind: Literal["tool"] = "tool"


@frozen
class ModelStep:
    """One model call without tools: `prompt` is the instruction, `args` the material it works on.

    Its output is text, or what `output_schema` describes.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    id: StepId
    prompt: str
    args: dict[str, JsonValue] = field(default_factory=dict[str, JsonValue])
    output_schema: dict[str, JsonValue] | None = None
    when: When | None = None
    for_each: str | None = None
    after: tuple[StepId, ...] = ()
    on_error: OnError = "fail"
    kind: Literal["model"] = "model"


def _kind_of(step: "dict[str, object] | ToolStep | ModelStep") -> object:
    return step.get("kind", "tool") if isinstance(step, dict) else getattr(step, "kind", "tool")


Step = Annotated[Annotated[ToolStep, Tag("tool")] | Annotated[ModelStep, Tag("model")], Discriminator(_kind_of)]


@frozen
class Plan:
    """Steps that form a DAG; their order breaks ties, nothing more. `result` is the answer, as a value with references in it."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    steps: tuple[Step, ...]
    result: JsonValue = None

    @property
    def digest(self) -> str:
        return digest_of(plan_to_json(self))


def sources_of(step: Step) -> tuple[StepId, ...]:
    """Return the steps that this one takes values from, each once, in order of mention."""
    refs = [ref.step for _, ref in refs_in(step.args)]
    if step.for_each is not None:
        refs = [Ref.parse(step.for_each).step, *(ref for ref in refs if ref != ITEM)]
    if step.when is not None:
        refs.append(Ref.parse(step.when.ref).step)
    return tuple(dict.fromkeys(ref for ref in refs if ref != GOAL))


def plan_to_json(plan: Plan) -> JsonValue:
    """Return the plan as JSON, without the fields that hold nothing."""
    return to_json(Plan, plan)
