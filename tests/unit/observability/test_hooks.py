import asyncio
import logging
from collections.abc import Awaitable, Callable

import pytest

from agent_sdk.core.events import Fact, RunWoken
from agent_sdk.core.ids import RunId, TenantId
from agent_sdk.core.ports import Sink
from agent_sdk.observability import hooks
from agent_sdk.observability.follow import Follower
from agent_sdk.observability.hooks import Hook, HookSink
from tests.unit.observability.fakes import Driver, ManualClock, new_journal
from tests.unit.observability.samples import RUN, SECRET, TENANT, facts_of

FACTS = facts_of(RunWoken(), RunWoken(), RunWoken())


class Audit:
    """A hook that is an object."""

    def __init__(self) -> None:
        self.seen: list[int] = []

    def __call__(self, tenant: TenantId, run_id: RunId, fact: Fact) -> None:
        self.seen.append(fact.seq)


async def test_a_sync_hook_is_told_each_fact_in_order() -> None:
    audit = Audit()
    sink: Sink = HookSink(audit)
    await sink.take(TENANT, RUN, FACTS)
    assert audit.seen == [1, 2, 3]
    assert sink.name == "hook:Audit"


async def test_an_async_hook_is_told_each_fact_in_order() -> None:
    seen: list[tuple[TenantId, RunId, int]] = []

    async def audit(tenant: TenantId, run_id: RunId, fact: Fact) -> None:
        seen.append((tenant, run_id, fact.seq))

    await HookSink(audit, name="audit").take(TENANT, RUN, FACTS)
    assert seen == [(TENANT, RUN, 1), (TENANT, RUN, 2), (TENANT, RUN, 3)]


async def test_a_function_that_returns_something_to_await_is_awaited() -> None:
    seen: list[int] = []

    async def later(fact: Fact) -> None:
        seen.append(fact.seq)

    def audit(tenant: TenantId, run_id: RunId, fact: Fact) -> Awaitable[None]:
        return later(fact)

    await HookSink(audit).take(TENANT, RUN, FACTS)
    assert seen == [1, 2, 3]


def sync_hook_raising(error: BaseException) -> Hook:
    def hook(tenant: TenantId, run_id: RunId, fact: Fact) -> None:
        raise error

    return hook


def async_hook_raising(error: BaseException) -> Hook:
    async def hook(tenant: TenantId, run_id: RunId, fact: Fact) -> None:
        raise error

    return hook


@pytest.mark.parametrize("make", [sync_hook_raising, async_hook_raising])
@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(1), asyncio.CancelledError()], ids=lambda error: type(error).__name__)
async def test_whatever_a_hook_raises_is_counted_and_the_next_fact_is_told(
    make: Callable[[BaseException], Hook], error: BaseException
) -> None:
    sink = HookSink(make(error))
    await sink.take(TENANT, RUN, FACTS)
    assert sink.failed == 3
    assert [(failure.error, failure.seq) for failure in sink.failures] == [(type(error).__name__, seq) for seq in (1, 2, 3)]


async def test_a_sync_hook_that_raises_stop_iteration_does_not_hang() -> None:
    sink = HookSink(sync_hook_raising(StopIteration()))
    await sink.take(TENANT, RUN, FACTS[:1])
    assert sink.failed == 1


async def test_a_hook_that_takes_too_long_is_left_behind() -> None:
    async def stuck(tenant: TenantId, run_id: RunId, fact: Fact) -> None:
        await asyncio.Event().wait()

    sink = HookSink(stuck, timeout_s=0)
    await sink.take(TENANT, RUN, FACTS[:1])
    assert [failure.error for failure in sink.failures] == ["TimeoutError"]


async def test_a_failure_is_logged_with_its_traceback_and_place(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger=hooks.__name__):
        await HookSink(sync_hook_raising(ValueError(SECRET)), name="audit").take(TENANT, RUN, FACTS[:1])
    (record,) = caplog.records
    assert record.getMessage() == "audit failed; the run goes on"
    assert record.exc_info
    assert (vars(record)["run_id"], vars(record)["event"]) == (RUN, "run.woken")


async def test_a_hook_observes_facts_after_the_journal_has_them() -> None:
    journal = new_journal()
    heads: list[bool] = []

    async def audit(tenant: TenantId, run_id: RunId, fact: Fact) -> None:
        heads.append((await journal.row(tenant, run_id)).head >= fact.seq)

    async with Follower.open(journal, [HookSink(audit)], clock=ManualClock()) as follower:
        driver = await Driver.begin(journal)
        with follower.follow(TENANT, RUN):
            await driver.append(RunWoken())
    assert heads == [True, True]
