"""Hooks: a user's own functions that are told of facts after the journal has them. They observe; nothing heeds what they return."""

import asyncio
import inspect
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import cast

from agent_sdk.core.events import Fact
from agent_sdk.core.ids import RunId, TenantId
from agent_sdk.observability.boundary import ObserverFailed, guarded

Hook = Callable[[TenantId, RunId, Fact], Awaitable[None] | None]
KEPT_FAILURES = 100

_log = logging.getLogger(__name__)


class HookSink:
    """Tells a hook each fact of a run in order; facts of several runs may come at the same time.

    A sync hook runs in a thread. One that raises, exits, or takes longer than `timeout_s` missed that fact: it is counted and logged, and
    the fact is not told again. `name` is the hook's place in the journal; two hooks need two names.
    """

    def __init__(self, hook: Hook, *, name: str | None = None, timeout_s: float = 30.0) -> None:
        self._hook = hook
        self._name = name if name is not None else f"hook:{_name_of(hook)}"
        self._timeout_s = timeout_s
        self.failed = 0
        """How many facts the hook failed on."""
        self.failures: deque[ObserverFailed] = deque(maxlen=KEPT_FAILURES)
        """The last failures."""

    @property
    def name(self) -> str:
        return self._name

    async def take(self, tenant: TenantId, run_id: RunId, facts: Sequence[Fact]) -> None:
        for fact in facts:
            error = await guarded(self._tell(tenant, run_id, fact))
            if error is None:
                continue
            self.failed += 1
            self.failures.append(ObserverFailed.of(error, self._name, tenant, run_id, fact.seq))
            context = {"run_id": run_id, "tenant": tenant, "seq": fact.seq, "event": fact.event.type}
            _log.warning("%s failed; the run goes on", self._name, exc_info=error, extra=context)

    async def _tell(self, tenant: TenantId, run_id: RunId, fact: Fact) -> None:
        async with asyncio.timeout(self._timeout_s):
            if inspect.iscoroutinefunction(self._hook):
                await self._hook(tenant, run_id, fact)
                return
            answer = await asyncio.to_thread(_outcome, self._hook, tenant, run_id, fact)
            if isinstance(answer, BaseException):
                raise answer
            if inspect.isawaitable(answer):
                await answer


def _outcome(hook: Hook, tenant: TenantId, run_id: RunId, fact: Fact) -> Awaitable[None] | BaseException | None:
    """Call the hook and return even what it raises: a future cannot carry every exception (StopIteration hangs its waiter)."""
    try:
        return hook(tenant, run_id, fact)
    except BaseException as error:  # noqa: BLE001  (raised again in the loop's thread)
        return error


def _name_of(hook: Hook) -> str:
    return cast("str", getattr(hook, "__qualname__", type(hook).__qualname__))
