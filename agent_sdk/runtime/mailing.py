"""What people and programs send to runs, from any process that opens the journal; the run's owner turns each item into one event."""

from collections.abc import AsyncIterator, Sequence
from contextlib import suppress

from pydantic import JsonValue

from agent_sdk.core.agent import Limits
from agent_sdk.core.budget import Budget
from agent_sdk.core.codec import to_json
from agent_sdk.core.errors import NotFound, RequestError, RunEnded
from agent_sdk.core.events import Decision
from agent_sdk.core.graph import Pending, StepState
from agent_sdk.core.ids import PrincipalId, RunId, StepId, TenantId
from agent_sdk.core.messages import FilePart, Message, TextPart
from agent_sdk.core.ports import Dispatcher, InboxDraft, Journal, RunFilter, Ticket
from agent_sdk.core.run import Run
from agent_sdk.core.tools import ToolSpec, output_misfit
from agent_sdk.execution import load_run
from agent_sdk.runtime.app import App
from agent_sdk.runtime.budgets import BudgetBook, BudgetState, read_budget, scope_of, write_budget
from agent_sdk.runtime.system import SystemClock

_PAGE = 200


class Mailing:
    """The inboxes of one tenant's runs, and the budgets that they wait for.

    What is wrong at once is refused to the sender; what turns out wrong later becomes an event.
    """

    def __init__(self, app: App, tenant: TenantId, journal: Journal, dispatcher: Dispatcher, budgets: BudgetBook | None = None) -> None:
        self.app = app
        self.tenant = tenant
        self.journal = journal
        self.dispatcher = dispatcher
        self.budgets = budgets if budgets is not None else BudgetBook(journal, SystemClock())

    async def send(
        self, run_id: RunId, text: str, *, files: Sequence[FilePart] = (), is_pinned: bool = False, by: PrincipalId | None = None
    ) -> None:
        """Put a message into the run's inbox; the model reads it before its next turn. Pinned, it stays however long the run becomes.

        Raises:
            NotFound: no such run. RunEnded: it has ended.
        """
        message = Message("user", (TextPart(text), *files), is_pinned=True if is_pinned else None)
        await self._put(run_id, InboxDraft("message", to_json(Message, message), by))

    async def decide(
        self, run_id: RunId, step: StepId, decision: Decision, *, output: JsonValue = None, by: PrincipalId | None = None
    ) -> None:
        """Say what became of an unknown effect: done (with its output), retry, skip or fail.

        Raises:
            NotFound: no such run. RunEnded: it has ended.
            RequestError: the output is none that the step's tool could have given.
        """
        if decision == "done":
            run = await self._run(run_id)
            self._require_possible(run, run.graph.steps.get(step), output)
        await self._put(run_id, InboxDraft("decide", {"step": step, "decision": decision, "output": output}, by))

    async def approve(self, run_id: RunId, step: StepId, *, note: str | None = None, by: PrincipalId | None = None) -> None:
        """Allow the call that the step waits to make, as it stands now.

        Raises:
            NotFound: no such run. RunEnded: it has ended. RequestError: the step waits for no approval.
        """
        _, pending = await self._parked(run_id, step, "approval")
        await self._put(run_id, InboxDraft("approve", {"step": step, "ruling": "approve", "digest": pending.digest, "note": note}, by))

    async def deny(self, run_id: RunId, step: StepId, reason: str | None = None, *, by: PrincipalId | None = None) -> None:
        """Forbid the call; the model is told, with the reason.

        Raises:
            NotFound: no such run. RunEnded: it has ended. RequestError: the step waits for no approval.
        """
        await self._parked(run_id, step, "approval")
        await self._put(run_id, InboxDraft("approve", {"step": step, "ruling": "deny", "note": reason}, by))

    async def edit(
        self, run_id: RunId, step: StepId, args: dict[str, JsonValue], *, note: str | None = None, by: PrincipalId | None = None
    ) -> None:
        """Allow the call with other arguments; it is made by a step of its own, and the model is told.

        Raises:
            NotFound: no such run. RunEnded: it has ended.
            RequestError: the step waits for no approval, or the arguments are none that its tool takes.
        """
        run, pending = await self._parked(run_id, step, "approval")
        for agent in self.app.known:
            for tool in agent.tools if run.created is not None and agent.name == run.created.agent else ():
                if tool.spec.name == run.graph.steps[step].tool and (findings := tool.problems(args)):
                    raise RequestError(
                        f"these arguments do not hold for {tool.spec.name}: {findings[0].message} (at {findings[0].path})",
                        hint="give all of the call's arguments, the changed and the unchanged",
                    )
        body: dict[str, JsonValue] = {"step": step, "ruling": "edit", "digest": pending.digest, "args": args, "note": note}
        await self._put(run_id, InboxDraft("approve", body, by))

    async def answer(self, run_id: RunId, step: StepId, answer: JsonValue, *, by: PrincipalId | None = None) -> None:
        """Answer the question that the step asks.

        Raises:
            NotFound: no such run. RunEnded: it has ended. RequestError: nothing was asked, or the answer is none that was asked for.
        """
        run, _ = await self._parked(run_id, step, "question")
        self._require_possible(run, run.graph.steps[step], answer)
        await self._put(run_id, InboxDraft("answer", {"step": step, "answer": answer}, by))

    async def signal(
        self, run_id: RunId, name: str, payload: JsonValue = None, *, key: str | None = None, by: PrincipalId | None = None
    ) -> None:
        """Send a signal; it may come before a step waits for it. With a `key`, the same signal sent again is harmless.

        Raises:
            NotFound: no such run. RunEnded: it has ended. RequestError: it has no name.
        """
        if not name:
            raise RequestError("a signal has a name", hint="give the one that the tool waits for")
        await self._put(run_id, InboxDraft("signal", {"name": name, "payload": payload}, by, key))

    async def wake(self, run_id: RunId, *, accept_code: bool = False, by: PrincipalId | None = None) -> None:
        """Let a run go on that waits as `crash_loop`, or, with `accept_code`, as `code_changed`: with the code as it is now.

        Raises:
            NotFound: no such run. RunEnded: it has ended.
        """
        await self._put(run_id, InboxDraft("wake", {"accept_code": accept_code}, by))

    async def cancel(self, run_id: RunId, *, note: str | None = None, by: PrincipalId | None = None) -> None:
        """Ask for the run's end, and that of its children; whoever performs it ends it within a second.

        Raises:
            NotFound: no such run. RunEnded: it has ended.
        """
        await self._put(run_id, InboxDraft("cancel", {"note": note} if note else {}, by))

    async def budget(self, *, session: str | None = None, run: RunId | None = None) -> BudgetState:
        """Return how the budget of a session or a run stands; without either that of the tenant.

        Raises:
            NotFound: no such run. RequestError: both are named.
        """
        scope = scope_of(session, run)
        if run is not None:
            await self.journal.row(self.tenant, run)
        return await read_budget(self.journal, self.tenant, scope)

    async def set_budget(
        self, budget: Budget, *, session: str | None = None, run: RunId | None = None, by: PrincipalId | None = None
    ) -> None:
        """Set what a session's runs, or a run and all below it, may spend; without either what all of the tenant's may.

        It takes the place of the budget before it, and runs that wait for one look again. A limit may be lower than what is spent already:
        then nothing new is granted. The first budget of a tenant or a session holds for runs that are created from then on.

        Raises:
            NotFound: no such run. RunEnded: it has ended.
            RequestError: the run was started without a budget, or the limit is more than can be kept.
        """
        scope = scope_of(session, run)
        if run is not None:
            await self._require_budget(run, scope)
        await write_budget(self.journal, self.tenant, scope, budget)
        self.budgets.forget(self.tenant, scope)
        async for waiting in self._waiting_for_budget():
            with suppress(NotFound, RunEnded):
                await self._put(waiting, InboxDraft("wake", {"budget": True}, by))

    async def _require_budget(self, run_id: RunId, scope: str) -> None:
        run = await self._run(run_id)
        if run.is_ended:
            raise RunEnded(f"run {run_id} has ended: {run.state}", hint="start a new run")
        if run.created is None or scope not in (run.created.budgets or ()):
            raise RequestError(
                f"run {run_id} was started without a budget of its own, so that nothing is counted for it",
                hint="start the next one with Agent(budget=...) or StartOptions(budget=...); or set its session's or the tenant's",
            )

    async def _waiting_for_budget(self) -> AsyncIterator[RunId]:
        before: RunId | None = None
        while page := await self.journal.rows(self.tenant, RunFilter(reason="budget", before=before, limit=_PAGE)):
            for row in page:
                yield row.run_id
            before = page[-1].run_id

    async def _put(self, run_id: RunId, item: InboxDraft) -> None:
        await self.journal.put(self.tenant, run_id, item)
        row = await self.journal.row(self.tenant, run_id)
        if row.owner is None and row.behind is None:
            await self.dispatcher.offer(Ticket(self.tenant, run_id, row.agent, row.agent_version, row.queue, row.priority))

    async def _run(self, run_id: RunId) -> Run:
        return await load_run(self.journal, self.tenant, run_id, Limits())

    async def _parked(self, run_id: RunId, step: StepId, kind: str) -> tuple[Run, Pending]:
        run = await self._run(run_id)
        pending = run.graph.parked.get(step)
        if pending is not None and pending.kind == kind:
            return run, pending
        if run.is_ended:
            raise RunEnded(f"run {run_id} has ended: {run.state}", hint="start a new run")
        waiting = [each for each, other in run.graph.parked.items() if other.kind == kind]
        raise RequestError(
            f"step {step!r} of run {run_id} waits for no {'approval' if kind == 'approval' else 'answer'}",
            hint=f"these do: {', '.join(waiting)}" if waiting else "it was decided already, it expired, or the run is not there yet",
        )

    def _require_possible(self, run: Run, state: StepState | None, output: JsonValue) -> None:
        """Refuse an output that the step's tool does not return; where the App does not know the tool, the run's owner refuses it."""
        if state is None or run.created is None:
            return
        for spec in self._specs(run.created.agent, state.tool):
            if (misfit := output_misfit(spec, output)) is not None:
                raise RequestError(f"step {state.id!r} cannot have this output: {misfit}", hint="give what the tool would have returned")

    def _specs(self, agent: str, tool: str | None) -> list[ToolSpec]:
        return [spec for known in self.app.known if known.name == agent for spec in known.spec.tools if spec.name == tool]
