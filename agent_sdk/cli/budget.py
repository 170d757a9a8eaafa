"""`agent-sdk budget`: what a tenant, a session or a run may spend, and has spent."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal, InvalidOperation
from typing import Annotated, TypeVar

import typer
from pydantic import JsonValue

from agent_sdk.cli.finding import find_run, require_text
from agent_sdk.cli.opening import Given, Opened, open_settings
from agent_sdk.cli.options import JournalOption, JsonOption
from agent_sdk.cli.perform import errors_as_json
from agent_sdk.cli.report import to_json_text
from agent_sdk.cli.terminal import Grid, emit, emit_grid, safe, tell
from agent_sdk.core.budget import NO_BUDGET, TENANT_SCOPE, Budget
from agent_sdk.core.errors import RequestError
from agent_sdk.core.ids import RunId
from agent_sdk.runtime import Runtime
from agent_sdk.runtime.budgets import BudgetState, scope_of

Amount = Decimal | int
AmountT = TypeVar("AmountT", Decimal, int)

SessionOption = Annotated[str | None, typer.Option("--session", metavar="SESSION", help="Of all runs of a session.")]
RunOption = Annotated[
    str | None, typer.Option("--run", metavar="RUN", help="Of one run, with all runs below it: its id, or a part of it that no other has.")
]

budget = typer.Typer(
    help="See what may be spent and what was, and change it.", no_args_is_help=True, add_completion=False, rich_markup_mode=None
)


@budget.command()
def show(
    ctx: typer.Context, session: SessionOption = None, run: RunOption = None, json: JsonOption = False, journal: JournalOption = None
) -> None:
    """Show how the budget of the tenant stands, or of a session or a run."""
    opened = open_settings(ctx, Given(journal=journal))
    with errors_as_json(json):
        state = asyncio.run(_shown(opened, session, run))
    _report(state, json=json)


@budget.command("set")
def set_(
    ctx: typer.Context,
    usd: Annotated[str | None, typer.Option("--usd", metavar="AMOUNT", help="US dollars, such as 10.50; none: no limit.")] = None,
    tokens: Annotated[str | None, typer.Option("--tokens", metavar="N", help="Tokens in and out together; none: no limit.")] = None,
    calls: Annotated[str | None, typer.Option("--calls", metavar="N", help="Calls of models; none: no limit.")] = None,
    session: SessionOption = None,
    run: RunOption = None,
    json: JsonOption = False,
    journal: JournalOption = None,
) -> None:
    """Change what the tenant's runs may spend, or those of a session, or a run; what is not named stays. Runs that wait look again."""
    opened = open_settings(ctx, Given(journal=journal))
    with errors_as_json(json):
        if usd is None and tokens is None and calls is None:
            raise RequestError("no limit is given", hint="name one or more: --usd 10.50, --tokens 1000000, --calls 500; none removes one")
        change = _change(usd, tokens, calls)
        state = asyncio.run(_changed(opened, session, run, change))
    _report(state, json=json)
    if not json:
        tell("runs that wait for a budget look again when a worker takes them")


def _change(usd: str | None, tokens: str | None, calls: str | None) -> Callable[[Budget], Budget]:
    """Return what is to become of the budget as it is."""
    new = Budget(parse_amount("--usd", usd, Decimal), parse_amount("--tokens", tokens, int), parse_amount("--calls", calls, int))
    return lambda before: Budget(
        before.usd if usd is None else new.usd,
        before.tokens if tokens is None else new.tokens,
        before.calls if calls is None else new.calls,
    )


def parse_amount(option: str, text: str | None, kind: Callable[[str], AmountT]) -> AmountT | None:
    """Return an amount as it was given on the command line; None where there is no limit.

    Raises:
        RequestError: it is none.
    """
    if text is None or text == "none":
        return None
    amount: AmountT | None = None
    with suppress(ValueError, InvalidOperation):
        amount = kind(text)
    if amount is None or not Decimal(amount).is_finite() or amount < 0:
        example = "10.50" if option in {"--usd", "--budget"} else "1000000"
        raise RequestError(f"{option} {text!r} is no amount", hint=f"write a number such as {example}, or none")
    return amount


async def _shown(opened: Opened, session: str | None, run: str | None) -> BudgetState:
    _require_one(session, run)
    async with opened.runtime() as runtime:
        return await runtime.budget(session=session, run=await _run_id(runtime, run))


async def _changed(opened: Opened, session: str | None, run: str | None, change: Callable[[Budget], Budget]) -> BudgetState:
    _require_one(session, run)
    async with opened.runtime() as runtime:
        run_id = await _run_id(runtime, run)
        before = await runtime.budget(session=session, run=run_id)
        await runtime.set_budget(change(before.limit), session=session, run=run_id)
        return await runtime.budget(session=session, run=run_id)


def _require_one(session: str | None, run: str | None) -> None:
    require_text("--session", session)
    require_text("--run", run)
    scope_of(session, None if run is None else RunId(run))


async def _run_id(runtime: Runtime, name: str | None) -> RunId | None:
    return None if name is None else (await find_run(runtime, name)).run_id


def _report(state: BudgetState, *, json: bool) -> None:
    if json:
        units: dict[str, JsonValue] = {unit: {name: _plain(value) for name, value in row.items()} for unit, row in _rows(state).items()}
        emit(to_json_text({"v": 1, "scope": state.scope, **units}))
        return
    whose = "the tenant" if state.scope == TENANT_SCOPE else state.scope.replace("/", " ", 1)
    tell(f"budget of {safe(whose)}")
    if not state.is_counted:
        emit("no limit, spending not counted")
        if state.scope.startswith("run/"):
            tell(f"what the run used: agent-sdk runs show {state.scope.removeprefix('run/')}")
        return
    cells = [
        (unit, *("none" if value is None else f"{value:,f}" if unit == "usd" else f"{value:,}" for value in row.values()))
        for unit, row in _rows(state).items()
    ]
    emit_grid(Grid(("UNIT", "LIMIT", "SPENT", "RESERVED", "LEFT"), cells))
    if state.limit == NO_BUDGET:
        tell("no limit any more: what runs spend that begin now is not counted")


def _rows(state: BudgetState) -> dict[str, dict[str, Amount | None]]:
    limits: dict[str, Amount | None] = {"usd": state.limit.usd, "tokens": state.limit.tokens, "calls": state.limit.calls}
    spent: dict[str, Amount] = {"usd": state.settled.usd, "tokens": state.settled.tokens, "calls": state.settled.calls}
    held: dict[str, Amount] = {"usd": state.reserved.usd, "tokens": state.reserved.tokens, "calls": state.reserved.calls}
    return {
        unit: {
            "limit": limit,
            "spent": spent[unit] if state.is_counted else None,
            "reserved": held[unit] if state.is_counted else None,
            "left": None if limit is None else max(limit - spent[unit] - held[unit], 0),
        }
        for unit, limit in limits.items()
    }


def _plain(value: Amount | None) -> JsonValue:
    return f"{value:f}" if isinstance(value, Decimal) else value
