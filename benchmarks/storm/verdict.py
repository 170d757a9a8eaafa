"""What a storm left behind, looked at from outside: in the journal, and in the counter that knows nothing of journals."""

from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypedDict

import aiohttp

from agent_sdk import Fact, RunFilter, RunId, Runtime, StepId
from agent_sdk.core.events import RunClaimed, StepFinished, StepStarted, StepUnknown
from agent_sdk.core.ports import RunRow
from agent_sdk.core.run import ENDS
from agent_sdk.storage import verify_chain


class Report(TypedDict):
    """What the counter counted, by key."""

    asked: Mapping[str, int]
    done: Mapping[str, int]
    kinds: Mapping[str, str]


@dataclass(slots=True)
class Verdict:
    """Counts; all in `faults` must be 0."""

    ends: Counter[str] = field(default_factory=Counter[str])
    claims: int = 0
    unknown: int = 0
    faults: Counter[str] = field(default_factory=Counter[str])
    asked: int = 0
    done: int = 0

    @property
    def is_clean(self) -> bool:
        return not any(self.faults.values())


FAULTS = (
    "runs lost (neither ended nor waiting)",
    "finished steps performed again",
    "gaps or altered events",
    "rows left in the queue",
    "once effects done twice",
    "keyed effects done twice",
    "effects of finished steps missing outside",
    "workers that did not drain in order",
)


async def judge(runtime: Runtime, expected: int, counter_url: str) -> Verdict:
    verdict = Verdict()
    for name in FAULTS:
        verdict.faults[name] = 0
    report = await _report(counter_url)
    rows = [row async for row in all_rows(runtime)]
    verdict.faults["runs lost (neither ended nor waiting)"] += expected - len(rows)
    for row in rows:
        await _judge_run(runtime, row, report["done"], verdict)
    kinds = report["kinds"]
    for key, times in report["done"].items():
        if times > 1 and kinds[key] == "once":
            verdict.faults["once effects done twice"] += 1
        elif times > 1 and kinds[key] != "read":
            verdict.faults["keyed effects done twice"] += 1
    verdict.asked, verdict.done = sum(report["asked"].values()), sum(report["done"].values())
    return verdict


async def _judge_run(runtime: Runtime, row: RunRow, done: Mapping[str, int], verdict: Verdict) -> None:
    verdict.ends[row.state] += 1
    if row.state not in ENDS and row.state != "waiting":
        verdict.faults["runs lost (neither ended nor waiting)"] += 1
    if row.owner is not None or row.inbox_head > row.inbox_seen:
        verdict.faults["rows left in the queue"] += 1
    if await verify_chain(runtime.journal, runtime.tenant, row.run_id) is not None:
        verdict.faults["gaps or altered events"] += 1
    facts = [fact async for fact in runtime.attach(row.run_id).facts()]
    if [fact.seq for fact in facts] != list(range(1, row.head + 1)):
        verdict.faults["gaps or altered events"] += 1
    finished = _finished_once(facts, verdict)
    verdict.faults["effects of finished steps missing outside"] += sum(not done.get(f"{row.run_id}/{step}") for step in finished)


def _finished_once(facts: Iterable[Fact], verdict: Verdict) -> set[StepId]:
    finished: set[StepId] = set()
    for fact in facts:
        match fact.event:
            case StepStarted(step=step) if step in finished:
                verdict.faults["finished steps performed again"] += 1
            case StepFinished(step=step):
                if step in finished:
                    verdict.faults["finished steps performed again"] += 1
                finished.add(step)
            case StepUnknown():
                verdict.unknown += 1
            case RunClaimed():
                verdict.claims += 1
            case _:
                pass
    return finished


async def all_rows(runtime: Runtime) -> AsyncIterator[RunRow]:
    """Yield the rows of all runs, newest first."""
    before: RunId | None = None
    while page := await runtime.runs(RunFilter(before=before, limit=500)):
        for row in page:
            yield row
        before = page[-1].run_id


async def _report(counter_url: str) -> Report:
    async with aiohttp.ClientSession() as session, session.get(f"{counter_url}/report") as reply:
        found: Report = await reply.json()
        return found
