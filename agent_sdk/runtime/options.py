"""What an agent's author may say of it, and the check that it was said right."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TypedDict, TypeGuard, cast, get_args

from agent_sdk.core.agent import ContextPolicy, Limits
from agent_sdk.core.budget import NO_BUDGET, Budget
from agent_sdk.core.errors import ConfigError
from agent_sdk.core.model import NO_SETTINGS, ModelSettings
from agent_sdk.core.nearest import nearest
from agent_sdk.core.plan import Plan, Strategy
from agent_sdk.core.ports import Model, Tool
from agent_sdk.llm import Streaming
from agent_sdk.runtime.functions import CallGuardrail, InputGuardrail, Instructions, OutputGuardrail, Validator, takes

_FUNCTIONS: Mapping[str, tuple[tuple[int, ...], str]] = {
    "input_guardrails": ((2,), "(text: str, info: RunInfo)"),
    "call_guardrails": ((2,), "(call: GuardedCall, info: RunInfo)"),
    "output_guardrails": ((2,), "(answer, info: RunInfo)"),
    "validators": ((1, 2), "(answer), or (answer, info: RunInfo),"),
}
"""The options that are functions: with how many arguments each may be called, and which."""


class AgentOptions(TypedDict, total=False):
    """What every agent may say of itself; what each means stands in `Agent`."""

    name: str
    version: str
    model: str | Model | Streaming | None
    fallbacks: Sequence[str | Model | Streaming]
    instructions: str | Instructions
    settings: ModelSettings
    context: ContextPolicy
    tools: Sequence[Tool]
    strategy: Strategy
    plan: Plan | None
    limits: Limits
    budget: Budget
    compensate: bool
    input_guardrails: Sequence[InputGuardrail]
    call_guardrails: Sequence[CallGuardrail]
    output_guardrails: Sequence[OutputGuardrail]
    validators: Sequence[Validator]


def check_options(options: AgentOptions) -> None:
    """Refuse what no agent can be.

    Raises:
        ConfigError: an option is unknown, missing or of the wrong kind, or two do not go together.
    """
    name = options.get("name")
    if not isinstance(name, str) or not name:
        raise ConfigError("an agent needs a name", hint='Agent(name="analyst", ...)')
    known = AgentOptions.__annotations__.keys()
    for option in options.keys() - known:
        near = nearest(option, known)
        hint = f"did you mean {near!r}?" if near else f"there are {', '.join(sorted(known | {'output', 'deps', 'live_deps'}))}"
        raise ConfigError(f"agent {name!r}: there is no option {option!r}", hint=hint)
    _check_kinds(name, options)
    for option, complaint, hint in _function_problems(options):
        raise ConfigError(f"agent {name!r}: {option}: {complaint}"[:200], hint=hint)
    if (options.get("strategy") == "fixed") != (options.get("plan") is not None):
        raise ConfigError(f"agent {name!r}: the strategy `fixed` and a plan go together", hint="give both, or neither")
    names = [tool_name(tool) for tool in options.get("tools", ())]
    if len(set(names)) < len(names):
        twice = next(each for each in names if names.count(each) > 1)
        raise ConfigError(f"agent {name!r} has two tools named {twice!r}", hint="rename one with @tool(name=...)")


def tool_name(tool: Tool) -> str:
    """Return the tool's name, without building its schemas where the tool knows it by itself."""
    name = getattr(tool, "name", None)
    return name if isinstance(name, str) else tool.spec.name


def _check_kinds(name: str, options: AgentOptions) -> None:
    given = cast("Mapping[str, object]", options)
    strategies, fallbacks = get_args(Strategy), given.get("fallbacks", ())
    a_model = "name one such as openai:gpt-5-mini, or give an object with a method stream"
    rules = {
        "version": (isinstance(given.get("version", ""), str), "give a text, such as version='2'"),
        "instructions": (_are_instructions(given.get("instructions", "")), "give a text, or a function (info: RunInfo) that returns one"),
        "settings": (isinstance(given.get("settings", NO_SETTINGS), ModelSettings), "write settings=ModelSettings(temperature=0)"),
        "context": (isinstance(given.get("context", ContextPolicy()), ContextPolicy), "write context=ContextPolicy(max_tokens=100_000)"),
        "strategy": (given.get("strategy", "loop") in strategies, f"choose one of {', '.join(strategies)}"),
        "model": (given.get("model") is None or _is_model(given["model"]), a_model),
        "fallbacks": (_is_row(fallbacks) and all(map(_is_model, fallbacks)), f"give a list; of each model {a_model}"),
        "limits": (isinstance(given.get("limits", Limits()), Limits), "write limits=Limits(max_turns=10)"),
        "budget": (isinstance(given.get("budget", NO_BUDGET), Budget), 'write budget=Budget(usd=Decimal("0.50"))'),
        "compensate": (isinstance(given.get("compensate", False), bool), "give True or False"),
        "plan": (isinstance(given.get("plan"), Plan | None), "write Plan(steps=..., result=...), or load_plan(path)"),
    }
    for option, (holds, hint) in rules.items():
        if not holds:
            raise ConfigError(f"agent {name!r}: {option} cannot be {options.get(option)!r}"[:200], hint=hint)
    for tool in options.get("tools", ()):
        if not callable(getattr(tool, "problems", None)):
            raise ConfigError(f"agent {name!r}: {getattr(tool, '__name__', tool)!r} is no tool"[:200], hint="put @tool above the function")


def _function_problems(options: AgentOptions) -> Iterator[tuple[str, str, str]]:
    given = cast("Mapping[str, object]", options)
    for option, (counts, arguments) in _FUNCTIONS.items():
        functions = given.get(option, ())
        if not _is_row(functions):
            yield option, f"{functions!r} is no list", f"give a list of functions, {option}=[...]"
            continue
        for function in functions:
            if not callable(function) or not any(takes(function, count) for count in counts):
                what = "cannot be called with" if callable(function) else "is no function of"
                hint = f"write a function {arguments} that returns what is wrong, or None"
                yield option, f"{getattr(function, '__qualname__', repr(function))} {what} {arguments.rstrip(',')}", hint


def _is_row(value: object) -> TypeGuard[Sequence[object]]:
    return isinstance(value, list | tuple)


def _is_model(value: object) -> bool:
    return isinstance(value, str) or callable(getattr(value, "stream", None))


def _are_instructions(value: object) -> bool:
    return isinstance(value, str) or (callable(value) and takes(value, 1))
