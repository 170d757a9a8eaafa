"""One run while this process performs it: from the claim to its end, its wait or its hand-back."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from agent_sdk.core.run import Run
from agent_sdk.execution import Executor, Lease, Outcome
from agent_sdk.runtime.declaration import AgentDeclaration
from agent_sdk.runtime.functions import RunInfo

_LOG = logging.getLogger("agent_sdk.runtime")


@dataclass(slots=True)
class Performance:
    """`build` makes the executor once the run's dependencies stand; `run` is the fold, changed by the executor alone.

    `give_back` releases a claim on which nothing was performed. `outcome` is None until the walk ended in order.
    """

    run: Run
    lease: Lease
    agent: AgentDeclaration[Any, Any]
    build: Callable[[Run, Lease, object], Executor]
    give_back: Callable[[], Awaitable[None]]
    error: BaseException | None = None
    outcome: Outcome | None = None
    _executor: Executor | None = None
    _over: asyncio.Event = field(default_factory=asyncio.Event)
    _is_suspended: bool = False
    _has_mail: bool = False

    async def perform(self) -> None:
        """Perform the run; what goes wrong is kept for whoever waits, and logged."""
        try:
            async with self._dependencies() as deps:
                self._executor = self.build(self.run, self.lease, deps)
                if self._is_suspended:
                    self._executor.interrupt("suspend")
                if self._has_mail:
                    self._executor.expect_mail()
                self.outcome = await self._executor.drive()
        except Exception as error:  # noqa: BLE001  (the outermost edge of a run: the error goes to whoever waits for it)
            if self.outcome is None:
                self.error = error
            _LOG.warning("run %s stopped: %s: %s", self.run.run_id, type(error).__name__, error, exc_info=_LOG.isEnabledFor(logging.DEBUG))
            if self._executor is None:
                await self.give_back()

    def end(self) -> None:
        """Let those who wait go on: whatever may follow is arranged."""
        self._over.set()

    async def ended(self) -> None:
        """Return when this process is done with the run, however that came; `error` says what went wrong."""
        await self._over.wait()

    @property
    def is_over(self) -> bool:
        return self._over.is_set()

    async def suspend(self, grace_s: float) -> None:
        """Stop performing and hand the run back; an effect under way has `grace_s` seconds to end before its outcome is unknown."""
        self._is_suspended = True
        if self._executor is not None:
            self._executor.interrupt("suspend")
        try:
            async with asyncio.timeout(grace_s):
                await self._over.wait()
        except TimeoutError:
            self.let_go()
            await self._over.wait()

    async def take_mail(self) -> None:
        """Have the run's mail read; where its dependencies do not stand yet, as soon as they do."""
        if self._executor is None:
            self._has_mail = True
        elif not self.is_over:
            await self._executor.take_mail()

    def let_go(self) -> None:
        """Stop at once, effects under way included: another process took the run, or the time to end in order is over."""
        if self._executor is not None and not self.is_over:
            self._executor.interrupt("suspend", force=True)

    def _dependencies(self) -> AbstractAsyncContextManager[object]:
        agent, created = self.agent, self.run.created
        if agent.deps is None:
            return nullcontext(agent.live_deps)
        principal = created.principal if created is not None else None
        return agent.deps(RunInfo(self.run.tenant, self.run.run_id, agent.name, principal))
