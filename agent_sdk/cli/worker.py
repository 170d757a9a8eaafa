"""`agent-sdk worker`: performs the runs of a journal, beside other workers, until it is told to end."""

import asyncio
from collections.abc import Sequence
from typing import Annotated

import typer

from agent_sdk.cli.interrupts import interrupts
from agent_sdk.cli.opening import Given, Opened, open_settings
from agent_sdk.cli.options import AppOption, BaseUrlOption, JournalOption
from agent_sdk.cli.terminal import safe, tell
from agent_sdk.config import mask_url
from agent_sdk.core.errors import RequestError
from agent_sdk.core.ids import TenantId
from agent_sdk.runtime import App, Worker, WorkerOptions


def worker(
    ctx: typer.Context,
    app: AppOption = None,
    journal: JournalOption = None,
    base_url: BaseUrlOption = None,
    concurrency: Annotated[
        int | None, typer.Option("--concurrency", min=1, help="How many runs at once. [setting: worker.concurrency]")
    ] = None,
    queue: Annotated[
        list[str] | None, typer.Option("--queue", metavar="NAME", help="Only runs of this queue; may be given several times.")
    ] = None,
    tenant: Annotated[
        list[str] | None, typer.Option("--tenant", metavar="NAME", help="Only runs of this tenant; may be given several times.")
    ] = None,
    grace: Annotated[
        float | None, typer.Option("--grace", metavar="SECONDS", min=0, help="How long runs may take to end. [setting: worker.grace_s]")
    ] = None,
) -> None:
    """Take due runs of the app's agents from the journal, and perform them.

    SIGTERM or Ctrl-C: it takes nothing new, lets its runs end for the grace period, hands back what is left, and exits with 0. A second
    one leaves at once; other workers take over when the leases run out.
    """
    opened = open_settings(ctx, Given(app=app, journal=journal, base_url=base_url), logs=True)
    if opened.settings.journal.startswith("memory:"):
        raise RequestError(
            "a journal in memory has no runs for a worker", hint="name one that others can open: --journal sqlite:///agent.db"
        )
    known, settings = opened.app(), opened.settings.worker
    options = WorkerOptions(
        concurrency if concurrency is not None else settings.concurrency,
        frozenset(queue) if queue else None,
        frozenset(map(TenantId, tenant)) if tenant else None,
        grace if grace is not None else settings.grace_s,
    )
    asyncio.run(_work(opened, known, options))


async def _work(opened: Opened, app: App, options: WorkerOptions) -> None:
    with interrupts() as asked:
        async with opened.runtime(app) as runtime:
            worker = Worker(runtime, options)
            tell(f"working on {safe(mask_url(opened.settings.journal))}: {_carried(app)}; {options.concurrency} runs at once")
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(worker.run())
                await asked.asked.wait()
                tell(f"draining: {len(runtime.stage.live)} runs have {options.grace_s:g} s to end; again leaves at once")
                worker.drain()
    tell(f"drained; {worker.taken} runs were taken")


def _carried(app: App) -> str:
    names: Sequence[str] = [f"{safe(agent.name)} {safe(agent.spec.version)}" for agent in app.known]
    return ", ".join(names) or "no agents"
