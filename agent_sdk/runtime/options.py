"""What an agent's author may say of it, and the check that it was said right."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import TypedDict, cast, get_args

from agent_sdk.core.agent import Limits
from agent_sdk.core.errors import ConfigError
from agent_sdk.core.plan import Plan, Strategy
from agent_sdk.core.ports import Model, Tool
from agent_sdk.llm import Streaming


class AgentOptions(TypedDict, total=False):
    """What every agent may say of itself; what each means stands in `Agent`."""

    name: str
    version: str
    model: str | Model | Streaming | None
    instructions: str
    tools: Sequence[Tool]
    strategy: Strategy
    plan: Plan | None
    limits: Limits
    compensate: bool


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
        near = get_close_matches(option, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(sorted(known | {'output', 'deps', 'live_deps'}))}"
        raise ConfigError(f"agent {name!r}: there is no option {option!r}", hint=hint)
    _check_kinds(name, options)
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
    model, strategies = given.get("model"), get_args(Strategy)
    rules = {
        "version": (isinstance(given.get("version", ""), str), "give a text, such as version='2'"),
        "instructions": (isinstance(given.get("instructions", ""), str), "give a text"),
        "strategy": (given.get("strategy", "loop") in strategies, f"choose one of {', '.join(strategies)}"),
        "model": (
            model is None or isinstance(model, str) or callable(getattr(model, "stream", None)),
            "name one such as openai:gpt-5-mini, or give an object with a method stream",
        ),
        "limits": (isinstance(given.get("limits", Limits()), Limits), "write limits=Limits(max_turns=10)"),
        "compensate": (isinstance(given.get("compensate", False), bool), "give True or False"),
        "plan": (isinstance(given.get("plan"), Plan | None), "write Plan(steps=..., result=...), or load_plan(path)"),
    }
    for option, (holds, hint) in rules.items():
        if not holds:
            raise ConfigError(f"agent {name!r}: {option} cannot be {options.get(option)!r}"[:200], hint=hint)
    for tool in options.get("tools", ()):
        if not callable(getattr(tool, "problems", None)):
            raise ConfigError(f"agent {name!r}: {getattr(tool, '__name__', tool)!r} is no tool"[:200], hint="put @tool above the function")
