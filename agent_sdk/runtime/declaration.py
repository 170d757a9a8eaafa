"""What an agent is, as its author writes it; `agent.py` adds the short forms that run it at once."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Generic, Self, TypeVar, Unpack, cast

from pydantic import JsonValue, PydanticSchemaGenerationError, PydanticUserError, TypeAdapter

from agent_sdk.core.agent import AgentSpec, ContextPolicy, Limits
from agent_sdk.core.budget import NO_BUDGET, Budget
from agent_sdk.core.errors import ConfigError
from agent_sdk.core.model import NO_SETTINGS
from agent_sdk.core.ports import Model, Tool
from agent_sdk.llm import Streaming
from agent_sdk.planning import AnswerType
from agent_sdk.runtime.functions import CallGuardrail, DepsFactory, InputGuardrail, Instructions, OutputGuardrail, Validator, name_of
from agent_sdk.runtime.options import AgentOptions, check_options, tool_name
from agent_sdk.tools.artifacts import read_artifact

DepsT = TypeVar("DepsT")
OutputT = TypeVar("OutputT")


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
    def fallbacks(self) -> Sequence[str | Model | Streaming]:
        return self._options.get("fallbacks", ())

    @property
    def instructions(self) -> str | Instructions:
        """The text, or the function that makes it for each run."""
        return self._options.get("instructions", "")

    @cached_property
    def tools(self) -> Sequence[Tool]:
        """The author's tools; and behind them, where the conversation of a loop may show less of their outputs, what reads the rest."""
        given = self._options.get("tools", ())
        is_shortened = "context" in self._options and self._options.get("strategy", "loop") == "loop"
        if not given or not is_shortened or any(tool_name(tool) == read_artifact.name for tool in given):
            return given
        return (*given, read_artifact)

    @property
    def budget(self) -> Budget | None:
        """How much each run may spend, with all below it; None: nothing was said."""
        budget = self._options.get("budget", NO_BUDGET)
        return budget if budget != NO_BUDGET else None

    @property
    def input_guardrails(self) -> Sequence[InputGuardrail]:
        return self._options.get("input_guardrails", ())

    @property
    def call_guardrails(self) -> Sequence[CallGuardrail]:
        return self._options.get("call_guardrails", ())

    @property
    def output_guardrails(self) -> Sequence[OutputGuardrail]:
        return self._options.get("output_guardrails", ())

    @property
    def validators(self) -> Sequence[Validator]:
        return self._options.get("validators", ())

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
            self.instructions if isinstance(self.instructions, str) else "",
            options.get("strategy", "loop"),
            tuple(tool.spec for tool in self.tools),
            self._output_schema,
            options.get("plan"),
            options.get("limits", Limits()),
            options.get("compensate", False),
            options.get("context", ContextPolicy()),
            options.get("settings", NO_SETTINGS),
            "" if isinstance(self.instructions, str) else name_of(self.instructions),
        )

    @cached_property
    def digests(self) -> dict[str, str]:
        """What every run of this agent pins; runs share it, and change nothing in it.

        Of instructions that are a function it is the name.
        """
        return self.spec.digests()

    @cached_property
    def answers(self) -> AnswerType:
        """The check of the agent's answers."""
        if self._output is str:
            return AnswerType()
        try:
            return AnswerType(TypeAdapter(cast("type[Any]", self._output)))
        except PydanticUserError as error:
            raise self._no_answer(error) from error

    @property
    def _output_schema(self) -> Mapping[str, JsonValue] | None:
        adapter = self.answers.adapter
        try:
            return adapter.json_schema() if adapter is not None else None
        except PydanticUserError as error:
            raise self._no_answer(error) from error

    def _no_answer(self, error: PydanticUserError) -> ConfigError:
        why = "" if isinstance(error, PydanticSchemaGenerationError) else f": {error.message}"
        return ConfigError(
            f"agent {self.name!r}: {self._output!r} is no type that an answer can have{why}", hint="give a class, such as a pydantic model"
        )

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
