"""What an agent is, as its author writes it; `agent.py` adds the short forms that run it at once."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, Self, TypeVar, Unpack, cast

from pydantic import JsonValue, PydanticSchemaGenerationError, TypeAdapter

from agent_sdk.core.agent import AgentSpec, Limits
from agent_sdk.core.errors import ConfigError
from agent_sdk.core.ids import PrincipalId, RunId, TenantId
from agent_sdk.core.ports import Model, Tool
from agent_sdk.llm import Streaming
from agent_sdk.planning import AnswerType
from agent_sdk.runtime.options import AgentOptions, check_options, tool_name

DepsT = TypeVar("DepsT")
OutputT = TypeVar("OutputT")


@dataclass(frozen=True, slots=True)
class RunInfo:
    """What a factory of dependencies may know of the run they are for."""

    tenant: TenantId
    run_id: RunId
    agent: str
    principal: PrincipalId | None = None


DepsFactory = Callable[[RunInfo], AbstractAsyncContextManager[DepsT]]


class AgentDeclaration(Generic[DepsT, OutputT]):
    """The frozen declaration of an agent; its parts are described in `Agent`."""

    def __init__(self, options: AgentOptions, *, output: object, deps: DepsFactory[Any] | None, live_deps: object) -> None:
        self._options = options
        self._output = output
        self._deps = deps
        self._live_deps = live_deps
        self._check()

    def _check(self) -> None:
        check_options(self._options)
        if self._deps is not None and self._live_deps is not None:
            raise ConfigError(f"agent {self.name!r} has both deps and live_deps", hint="give one of them")

    def __repr__(self) -> str:
        tools = ", ".join(tool_name(tool) for tool in self.tools)
        return f"{type(self).__name__}(name={self.name!r}, model={self.model!r}, tools=[{tools}])"

    @property
    def name(self) -> str:
        return self._options.get("name", "")

    @property
    def model(self) -> str | Model | Streaming | None:
        return self._options.get("model")

    @property
    def tools(self) -> Sequence[Tool]:
        return self._options.get("tools", ())

    @property
    def has_limits(self) -> bool:
        """Whether the agent says how far its runs may go; else the settings do."""
        return "limits" in self._options

    @property
    def deps(self) -> DepsFactory[DepsT] | None:
        return self._deps

    @property
    def live_deps(self) -> object:
        return self._live_deps

    @cached_property
    def spec(self) -> AgentSpec:
        """The declaration in plain data, as runs pin it."""
        options = self._options
        model = self.model
        return AgentSpec(
            self.name,
            options.get("version", "1"),
            model if isinstance(model, str) or model is None else f"object:{type(model).__name__}",
            options.get("instructions", ""),
            options.get("strategy", "loop"),
            tuple(tool.spec for tool in self.tools),
            self._output_schema,
            options.get("plan"),
            options.get("limits", Limits()),
            options.get("compensate", False),
        )

    @cached_property
    def digests(self) -> dict[str, str]:
        """What every run of this agent pins; runs share it, and change nothing in it."""
        return self.spec.digests()

    @cached_property
    def answers(self) -> AnswerType:
        """The check of the agent's answers."""
        if self._output is str:
            return AnswerType()
        try:
            return AnswerType(TypeAdapter(cast("type[Any]", self._output)))
        except PydanticSchemaGenerationError as error:
            raise ConfigError(
                f"agent {self.name!r}: {self._output!r} is no type that an answer can have", hint="give a class, such as a pydantic model"
            ) from error

    @property
    def _output_schema(self) -> Mapping[str, JsonValue] | None:
        adapter = self.answers.adapter
        return adapter.json_schema() if adapter is not None else None

    def parse_answer(self, answer: JsonValue) -> OutputT:
        """Return a journaled answer as the agent's output type."""
        adapter = self.answers.adapter
        if adapter is None:
            return cast("OutputT", answer)
        parsed: OutputT = adapter.validate_python(answer)
        return parsed

    def with_options(self, **options: Unpack[AgentOptions]) -> Self:
        """Return the same agent but for what is given."""
        changed = object.__new__(type(self))
        changed._options = {**self._options, **options}
        changed._output, changed._deps, changed._live_deps = self._output, self._deps, self._live_deps
        changed._check()
        return changed
