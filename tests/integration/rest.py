"""Brings a run to where it rests, and holds it to what every run promises, whatever happens in it."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from agent_sdk import Agent, App, Runtime
from agent_sdk.config import LoadedSettings, load_settings
from agent_sdk.core.run import Run
from agent_sdk.runtime import World
from agent_sdk.storage import verify_chain

ENDS = {"run.succeeded", "run.failed", "run.cancelled", "run.expired"}
KEY = "zq-Very-Secret-Key-9f8e7d6c5b4a"


class NoJitter:
    """Chance that never makes anybody wait."""

    def uniform(self, low: float, high: float) -> float:
        return low


def settings(folder: Path, overrides: Mapping[str, JsonValue]) -> LoadedSettings:
    return load_settings(overrides=overrides, environ={"OPENAI_API_KEY": KEY}, cwd=folder)


async def brought_to_rest(agent: Agent[Any, Any], folder: Path, loaded: LoadedSettings | None = None, *, goal: str = "go") -> Run:
    """Run the agent; return the run as its journal has it: whole, and with exactly one end or a reason why it waits."""
    async with Runtime.open(journal_in(folder), app=App([agent]), settings=loaded, world=World(random=NoJitter())) as runtime:
        handle = await runtime.start(agent, goal)
        async with asyncio.timeout(60):
            performed = await handle.settled()
        ends = [fact.event.type async for fact in handle.facts() if fact.event.type in ENDS]
        run = await handle.state()
        assert (run.state, run.head) == (performed.state, performed.head)
        assert await verify_chain(runtime.journal, runtime.tenant, run.run_id) is None
    if run.is_ended:
        assert ends == [f"run.{run.state}"]
    else:
        assert (run.state, bool(run.reason), ends) == ("waiting", True, [])
    return run


def journal_in(folder: Path) -> str:
    return f"sqlite:///{folder}/agent.db"


def bytes_below(folder: Path) -> bytes:
    """Return all that any file of the journal holds."""
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())
