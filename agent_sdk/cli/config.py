"""`agent-sdk config`: the settings that hold, and where each comes from."""

from collections import Counter

import typer

from agent_sdk.cli.opening import open_settings
from agent_sdk.cli.options import JsonOption
from agent_sdk.cli.report import to_json_text
from agent_sdk.cli.terminal import Grid, emit, emit_grid, tell
from agent_sdk.config import show_settings

config = typer.Typer(
    help="See the settings that hold, and where each comes from.", no_args_is_help=True, add_completion=False, rich_markup_mode=None
)


@config.command()
def show(ctx: typer.Context, json: JsonOption = False) -> None:
    """Print every setting with its value and origin; secrets are masked."""
    rows = list(show_settings(open_settings(ctx).loaded))
    if json:
        emit(to_json_text({"v": 1, "settings": [{"key": row.key, "value": row.value, "origin": row.origin} for row in rows]}))
    else:
        emit_grid(Grid(("setting", "value", "from"), [(row.key, row.value, row.origin) for row in rows]))


@config.command()
def validate(ctx: typer.Context) -> None:
    """Check the settings of all sources; all that is wrong is told at once."""
    loaded = open_settings(ctx).loaded
    kinds = Counter(origin.kind for origin in loaded.origins.values())
    tell("the settings hold: " + ", ".join(f"{count} from {kind}" for kind, count in sorted(kinds.items())))
