"""A run in the hands of whoever started it or looked it up: follow it, stop it, take its answer."""

from collections.abc import AsyncIterator
from typing import Any, Generic, TypeVar

from agent_sdk.core.agent import Limits
from agent_sdk.core.errors import RequestError, RunCancelled, RunExpired, RunFailed, RunSuspended, RunWaits
from agent_sdk.core.events import Fact
from agent_sdk.core.ids import PrincipalId, RunId, TenantId
from agent_sdk.core.model import TextDelta
from agent_sdk.core.ports import InboxDraft, Journal, TokenDelta
from agent_sdk.core.run import Run
from agent_sdk.execution import decode_all, load_facts, load_run
from agent_sdk.observability import StreamItem, TokenChannel
from agent_sdk.runtime.declaration import AgentDeclaration
from agent_sdk.runtime.performance import Performance

OutputT = TypeVar("OutputT")


class RunHandle(Generic[OutputT]):
    """One run. `performance` is None where another process performs it, or nobody does."""

    def __init__(
        self,
        journal: Journal,
        tokens: TokenChannel,
        tenant: TenantId,
        run_id: RunId,
        agent: AgentDeclaration[Any, OutputT] | None,
        performance: Performance | None,
    ) -> None:
        self.tenant = tenant
        self.run_id = run_id
        self._journal = journal
        self._tokens = tokens
        self._agent = agent
        self._performance = performance

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
        """Yield live deltas of replies until this process is done with the run; a higher `attempt` voids what was shown of its step."""
        async with self._tokens.subscribe(self.run_id) as deltas:
            if self._performance is None or self._performance.is_over:
                return
            async for delta in deltas:
                yield delta

    async def stream_text(self) -> AsyncIterator[str]:
        """Yield the text of replies as it comes.

        Raises:
            RequestError: the agent's answers are validated, and text cannot be taken back: use `stream`.
        """
        if self._agent is None or self._agent.answers.adapter is not None:
            raise RequestError(
                "text cannot be streamed from an agent whose output is validated", hint="use stream(), which can take back what it showed"
            )
        async for item in self.stream():
            if isinstance(item, TokenDelta) and isinstance(item.delta, TextDelta):
                yield item.delta.text

    async def cancel(self, *, by: PrincipalId | None = None, note: str | None = None) -> None:
        """Ask for the run's end; whoever performs it ends it within a second.

        Raises:
            RunEnded: it has ended.
        """
        await self._journal.put(self.tenant, self.run_id, InboxDraft("cancel", {"note": note} if note else {}, by))

    async def suspend(self, *, grace_s: float = 5.0) -> None:
        """Hand the run back, to be resumed later; effects under way have `grace_s` seconds to end."""
        if self._performance is not None:
            await self._performance.suspend(grace_s)

    async def settled(self) -> Run:
        """Return the run once this process is done with it: ended, waiting or handed back; where another performs it, once it has ended.

        Raises:
            StorageError: the journal failed; the run can be resumed.
        """
        if self._performance is not None:
            await self._performance.wait()
            return self._performance.run
        async for _ in self._journal.watch(self.tenant, self.run_id):
            pass
        return await self.state()

    def _parsed(self, run: Run) -> OutputT:
        if self._agent is None:
            raise RequestError(f"the agent of run {run.run_id} is not known here", hint="state() has the answer as plain data")
        return self._agent.parse_answer(run.answer)


def _wait(run: Run) -> RunWaits:
    if run.reason != "unknown_effect":
        return RunWaits(f"run {run.run_id} waits: {run.reason}", hint="its journal says for what: `agent-sdk runs show`")
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
