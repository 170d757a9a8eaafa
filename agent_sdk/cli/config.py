"""`agent-sdk config`: the settings that hold, and where each comes from."""

from collections import Counter

import typer
from pydantic import JsonValue

from agent_sdk.cli.opening import Given, examine, open_settings
from agent_sdk.cli.options import AppOption, JsonOption
from agent_sdk.cli.report import to_json_text
from agent_sdk.cli.terminal import Grid, emit, emit_grid, tell
from agent_sdk.config import BadSetting, SettingsInvalid, show_settings
from agent_sdk.runtime.settings_check import check_whole
from agent_sdk.runtime.system import SystemClock

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
def validate(ctx: typer.Context, app: AppOption = None, json: JsonOption = False) -> None:
    """Check the settings of all sources and what they name: catalog, models, prices, limits, functions, and the app with its agents.

    All that is wrong is told at once, and nobody outside is asked. What is doubtful is told too, and is no reason to fail.
    """
    opened, wrong = examine(ctx, Given(app=app))
    found = check_whole(opened.loaded, opened.app, SystemClock())
    wrong += [each for each in found if each.code != "doubtful"]
    doubtful = [each for each in found if each.code == "doubtful"]
    if json:
        emit(to_json_text({"v": 1, "holds": not wrong, "findings": [_record(each) for each in (*wrong, *doubtful)]}))
    for each in doubtful if not json else ():
        tell(f"doubtful: {each}")
    if wrong:
        raise SettingsInvalid(wrong)
    kinds = Counter(origin.kind for origin in opened.loaded.origins.values())
    tell("the settings hold: " + ", ".join(f"{count} from {kind}" for kind, count in sorted(kinds.items())))


def _record(each: BadSetting) -> JsonValue:
    return {
        "code": each.code,
        "key": each.key,
        "where": str(each.origin),
        "message": each.message,
        "expected": each.expected,
        "found": each.found,
        "hint": each.hint,
    }
