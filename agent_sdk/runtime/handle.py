"""A run in the hands of whoever started it or looked it up: follow it, stop it, take its answer."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Any, Generic, TypeVar

from agent_sdk.core.agent import Limits
from agent_sdk.core.errors import RequestError, RunCancelled, RunExpired, RunFailed, RunSuspended, RunWaits
from agent_sdk.core.events import Fact, RunReleased
from agent_sdk.core.frozen import frozen
from agent_sdk.core.ids import PrincipalId, RunId, StepId
from agent_sdk.core.model import AttemptStarted, ReplyDone, TextDelta
from agent_sdk.core.ports import RunFilter, RunRow, TokenDelta
from agent_sdk.core.run import ENDS, Run
from agent_sdk.execution import decode_all, load_facts, load_run
from agent_sdk.observability import StreamItem, TenantTokens
from agent_sdk.runtime.declaration import AgentDeclaration
from agent_sdk.runtime.keeper import RunKey
from agent_sdk.runtime.mailing import Mailing
from agent_sdk.runtime.performance import Performance

OutputT = TypeVar("OutputT")
LOOK_S = 1.0
"""How often one looks whether a child of the run waits for a person."""
CHILDREN = 1000
SOON_US = 45_000_000
"""A run that waits for a budget, but no longer than this, waits for others to give back what they reserved: it goes on by itself."""


@frozen
class Desk:
    """Where a handle finds out about its run; `live` are those that this process performs."""

    mailing: Mailing
    tokens: TenantTokens
    live: Mapping[RunKey, Performance]


class RunHandle(Generic[OutputT]):
    """One run. `performance` is None where another process performs it, or nobody does."""

    def __init__(
        self,
        desk: Desk,
        run_id: RunId,
        agent: AgentDeclaration[Any, OutputT] | None,
        performance: Performance | None,
    ) -> None:
        self.tenant = desk.mailing.tenant
        self.run_id = run_id
        self._desk = desk
        self._journal = desk.mailing.journal
        self._tokens = desk.tokens
        self._agent = agent
        self._latest = performance

    def __repr__(self) -> str:
        return f"RunHandle({self.run_id!r})"

    async def result(self) -> OutputT:
        """Return the answer, waiting for it.

        Raises:
            RunFailed: the run failed. RunCancelled: somebody cancelled it. RunExpired: its deadline passed.
            RunWaits: it waits for somebody or something. RunSuspended: it was handed back before its end.
            StorageError: the journal failed; the run can be resumed.
        """
        run = await self.settled()
        match run.state:
            case "succeeded":
                return self._parsed(run)
            case "cancelled":
                raise RunCancelled(f"run {run.run_id} was cancelled")
            case "expired":
                raise RunExpired(f"run {run.run_id} passed its deadline")
            case "waiting":
                raise _wait(run)
            case "failed":
                raise _failure(run)
            case _:
                raise RunSuspended(f"run {run.run_id} was suspended", hint=f"`agent-sdk runs resume {run.run_id}` goes on with it")

    async def state(self) -> Run:
        """Return the run as its journal describes it now."""
        return await load_run(self._journal, self.tenant, self.run_id, self._agent.spec.limits if self._agent is not None else Limits())

    async def watch(self, *, after: int = 0) -> AsyncIterator[Fact]:
        """Yield the run's facts behind number `after` as they become durable, up to and with its end."""
        async for envelope in self._journal.watch(self.tenant, self.run_id, after=after):
            for fact in await decode_all(self._journal, [envelope]):
                yield fact

    async def facts(self, *, after: int = 0) -> AsyncIterator[Fact]:
        """Yield the run's facts behind number `after`, as far as they are durable now.

        Raises:
            NotFound: no such run.
        """
        async for fact in load_facts(self._journal, self.tenant, self.run_id, after=after):
            yield fact

    async def stream(self) -> AsyncIterator[StreamItem]:
        """Yield live deltas of replies until this process is done with the run; a higher `attempt` voids what was shown of its step.

        A run that another process performs is streamed to its end, where Postgres or NATS joins the two; else there is nothing to see.
        """
        performance = self._performance
        if performance is not None and performance.is_over:
            return
        async with self._tokens.subscribe(self.run_id, None if performance is not None else self._ended) as deltas:
            async for delta in deltas:
                yield delta

    async def _ended(self) -> None:
        async for _ in self._journal.watch(self.tenant, self.run_id):
            pass

    async def stream_text(self) -> AsyncIterator[str]:
        """Yield the text of replies as it comes. What a slow reader missed of one follows when the reply is done.

        Raises:
            RequestError: the agent's answers are validated, and text cannot be taken back: use `stream`.
        """
        if self._agent is None or self._agent.answers.adapter is not None:
            raise RequestError(
                "text cannot be streamed from an agent whose output is validated", hint="use stream(), which can take back what it showed"
            )
        shown: dict[StepId, str] = {}
        async for item in self.stream():
            if not isinstance(item, TokenDelta):
                continue
            match item.delta:
                case TextDelta(text=text):
                    shown[item.step] = shown.get(item.step, "") + text
                    yield text
                case AttemptStarted():
                    shown.pop(item.step, None)
                case ReplyDone(reply=reply):
                    missed = reply.message.text.removeprefix(known := shown.pop(item.step, ""))
                    if missed and reply.message.text.startswith(known):
                        yield missed
                case _:
                    pass

    async def cancel(self, *, by: PrincipalId | None = None, note: str | None = None) -> None:
        """Ask for the run's end; whoever performs it ends it within a second.

        Raises:
            RunEnded: it has ended.
        """
        await self._desk.mailing.cancel(self.run_id, note=note, by=by)

    async def suspend(self, *, grace_s: float = 5.0) -> None:
        """Hand the run back, to be resumed later; effects under way have `grace_s` seconds to end."""
        if self._performance is not None:
            await self._performance.suspend(grace_s)

    async def settled(self) -> Run:
        """Return the run once there is nothing to wait for: it ended, or this process handed it back, or it waits for somebody.

        Whoever performs it: another process's run is followed through its journal.

        Raises:
            StorageError: the journal failed, or another process took the run; it can be resumed.
            Exception: its dependencies could not be made, and it is tried again after a while.
        """
        performance = self._performance
        while True:
            if performance is not None:
                await performance.ended()
                if performance.error is not None:
                    self._latest = None  # told once: who asks again hears how the run stands then
                    raise performance.error
            run = performance.run if performance is not None and performance.run.is_ended else await self.state()
            is_handed_back = performance is not None and performance.outcome == "suspended"
            if is_handed_back or not await self._goes_on(run):
                return run
            with suppress(TimeoutError):  # what a child of the run waits for shows in the child's journal alone
                async with asyncio.timeout(LOOK_S if run.reason == "child" else None):
                    await self._stands_elsewhere(run.head)
            performance = self._performance if (self.tenant, self.run_id) in self._desk.live else None

    @property
    def _performance(self) -> Performance | None:
        """What performs the run here, or did so last."""
        self._latest = self._desk.live.get((self.tenant, self.run_id), self._latest)
        return self._latest

    async def _goes_on(self, run: Run) -> bool:
        """Say whether the run goes on without anybody's doing, sooner or later."""
        if run.is_ended:
            return False
        return await self._moves(await self._journal.row(self.tenant, self.run_id))

    async def _moves(self, row: RunRow) -> bool:
        """Say whether the run, or a child that it waits for, is performed or will be by itself."""
        if row.owner is not None or row.state != "waiting" or row.inbox_head > row.inbox_seen or row.reason == "timer":
            return True
        if row.reason == "budget":
            return row.wake_at is not None and row.wake_at - row.updated_at <= SOON_US
        if row.reason != "child":
            return False
        children = await self._journal.rows(self.tenant, RunFilter(parent=row.run_id, limit=CHILDREN))
        waiting = [child for child in children if child.state not in ENDS]
        return not waiting or any([await self._moves(child) for child in waiting])

    async def _stands_elsewhere(self, head: int) -> None:
        """Return when the run was taken up here, or given up or ended by another process."""
        async for envelope in self._journal.watch(self.tenant, self.run_id, after=head):
            if (self.tenant, self.run_id) in self._desk.live or envelope.type == RunReleased.type:
                return

    def _parsed(self, run: Run) -> OutputT:
        if self._agent is None:
            raise RequestError(f"the agent of run {run.run_id} is not known here", hint="state() has the answer as plain data")
        return self._agent.parse_answer(run.answer)


def _wait(run: Run) -> RunWaits:
    if run.shortfall is not None and run.reason == "budget":
        return RunWaits(
            f"run {run.run_id} waits: budget: {run.shortfall.message}",
            hint="raise it with Runtime.set_budget or `agent-sdk budget set`; everything that was done is kept",
        )
    if run.reason != "unknown_effect":
        waiting = ", ".join(f"step {step} ({pending.kind}: {pending.text or pending.name})" for step, pending in run.graph.parked.items())
        return RunWaits(
            f"run {run.run_id} waits: {run.reason}{f': {waiting}' if waiting else ''}",
            hint="`agent-sdk approvals` lists what waits for a person; Runtime.approve, answer, signal and wake let a run go on",
        )
    lost = [run.graph.steps[identity] for identity in run.graph.unknown]
    told = "; ".join(f"step {each.id} ({each.tool}): {each.failure.message if each.failure else 'nobody knows'}" for each in lost)
    return RunWaits(
        f"run {run.run_id} waits: unknown_effect: nobody knows whether these were done: {told}",
        hint="say so with Runtime.decide or `agent-sdk runs decide`; a tool that may simply run again has effect='read' or 'idempotent', "
        "and one that did nothing raises NotDone",
    )


def _failure(run: Run) -> RunFailed:
    failure = run.failure
    code = failure.code if failure is not None else "unknown"
    said = (failure.message if failure is not None else None) or code
    where = f" at step {run.failed_step}" if run.failed_step is not None else ""
    return RunFailed(f"run {run.run_id} failed{where}: {said}", failure_code=code, hint=failure.hint if failure is not None else None)
