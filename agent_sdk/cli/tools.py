"""`agent-sdk tools`: what an app's agents may use, as the model sees it."""

from collections.abc import Iterator
from typing import Annotated

import typer
from pydantic import JsonValue

from agent_sdk.cli.opening import AnyAgent, Given, open_settings
from agent_sdk.cli.options import AgentOption, AppOption, JsonOption
from agent_sdk.cli.report import to_json_text
from agent_sdk.cli.terminal import Grid, emit, emit_grid, safe, tell
from agent_sdk.core.errors import NotFound
from agent_sdk.core.tools import ToolSpec

tools = typer.Typer(help="See what an app's agents may use.", no_args_is_help=True, add_completion=False, rich_markup_mode=None)


@tools.command("list")
def list_tools(ctx: typer.Context, app: AppOption = None, agent: AgentOption = None, json: JsonOption = False) -> None:
    """List the tools with their effects."""
    found = list(_tools(_agents(ctx, app, agent)))
    if json:
        emit(to_json_text({"v": 1, "tools": [{"agent": name, **_record(spec)} for name, spec in found]}))
    elif found:
        emit_grid(Grid(("tool", "effect", "agent", "description"), [_cells(name, spec) for name, spec in found]))
    else:
        tell("no tools")


@tools.command()
def schema(
    ctx: typer.Context,
    tool: Annotated[str | None, typer.Argument(metavar="TOOL", help="One tool; all if left out.")] = None,
    app: AppOption = None,
    agent: AgentOption = None,
) -> None:
    """Print tools with their JSON Schemas, as models and the checker see them."""
    found = {spec.name: _record(spec) for _, spec in _tools(_agents(ctx, app, agent))}
    if tool is None:
        emit(to_json_text(list[JsonValue](found.values())))
    elif tool in found:
        emit(to_json_text(found[tool]))
    else:
        raise NotFound(f"there is no tool {tool!r}", hint=f"the tools are: {', '.join(found) or 'none'}")


def _agents(ctx: typer.Context, app: str | None, name: str | None) -> list[AnyAgent]:
    known = open_settings(ctx, Given(app=app)).app()
    return list(known.agents) if name is None else [known.agent(name)]


def _tools(agents: list[AnyAgent]) -> Iterator[tuple[str, ToolSpec]]:
    for agent in agents:
        for spec in agent.spec.tools:
            yield agent.name, spec


def _cells(agent: str, spec: ToolSpec) -> tuple[str, ...]:
    return spec.name, spec.effect, safe(agent), safe(spec.description.partition("\n")[0])


def _record(spec: ToolSpec) -> dict[str, JsonValue]:
    return {
        "name": spec.name,
        "description": spec.description,
        "effect": spec.effect,
        "parameters": dict(spec.parameters),
        "returns": dict(spec.returns),
    }
