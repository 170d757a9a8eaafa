"""What retention deletes, and what it keeps."""

import pytest

from agent_sdk.core.envelope import artifacts_named
from agent_sdk.core.errors import NotFound
from agent_sdk.core.ids import RunId
from agent_sdk.core.ports import RunFilter
from agent_sdk.core.run import RunState
from agent_sdk.runtime.retention import BATCH, DAY_S, Report, Rule, apply_retention
from agent_sdk.storage.memory import MemoryJournal
from tests.contract.batches import OTHER_TENANT, RUN, TENANT, Clock, begin, finished

LARGE = "x" * 40_000
MONTH = Rule("succeeded", 30 * DAY_S)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def journal(clock: Clock) -> MemoryJournal:
    return MemoryJournal(clock)


async def ended(journal: MemoryJournal, *names: str) -> None:
    for name in names:
        await (await begin(journal, run_id=RunId(name))).end()


async def names(journal: MemoryJournal) -> set[str]:
    return {row.run_id for row in await journal.rows(TENANT, RunFilter())}


async def test_only_what_ended_longer_ago_than_the_rule_says_is_deleted(journal: MemoryJournal, clock: Clock) -> None:
    await ended(journal, "old")
    clock.pass_s(29 * DAY_S)
    await ended(journal, "young")
    clock.pass_s(2 * DAY_S)
    assert await apply_retention(journal, TENANT, [MONTH], clock) == Report(((MONTH, 1),), 0)
    assert await names(journal) == {"young"}


async def test_what_has_no_rule_is_kept(journal: MemoryJournal, clock: Clock) -> None:
    await ended(journal, "succeeded")
    clock.pass_s(1000 * DAY_S)
    assert await apply_retention(journal, TENANT, [], clock) == Report((), None)
    assert (await apply_retention(journal, TENANT, [Rule("failed", DAY_S)], clock)).total == 0
    assert await names(journal) == {"succeeded"}


async def test_a_run_that_has_not_ended_is_kept_however_old_it_is(journal: MemoryJournal, clock: Clock) -> None:
    await begin(journal)
    clock.pass_s(1000 * DAY_S)
    rules = [Rule(state, DAY_S) for state in ("succeeded", "failed", "cancelled", "expired")]
    assert (await apply_retention(journal, TENANT, rules, clock)).total == 0
    assert await names(journal) == {RUN}


async def test_another_tenant_s_runs_are_left_alone(journal: MemoryJournal, clock: Clock) -> None:
    await (await begin(journal, tenant=OTHER_TENANT)).end()
    clock.pass_s(31 * DAY_S)
    assert (await apply_retention(journal, TENANT, [MONTH], clock)).total == 0
    assert (await journal.row(OTHER_TENANT, RUN)).state == "succeeded"


async def test_a_dry_run_counts_and_deletes_nothing(journal: MemoryJournal, clock: Clock) -> None:
    await ended(journal, "old", "old too")
    clock.pass_s(31 * DAY_S)
    await ended(journal, "young")
    assert await apply_retention(journal, TENANT, [MONTH], clock, dry_run=True) == Report(((MONTH, 2),), None)
    assert await names(journal) == {"old", "old too", "young"}


async def test_artifacts_go_with_the_last_run_that_names_them(journal: MemoryJournal, clock: Clock) -> None:
    hand = await begin(journal)
    await hand.append(finished(LARGE))
    await hand.end()
    (artifact,) = {found for event in await journal.read(TENANT, RUN) for found in artifacts_named(event).values()}
    clock.pass_s(31 * DAY_S)
    assert (await apply_retention(journal, TENANT, [MONTH], clock)).artifacts == 1
    with pytest.raises(NotFound):
        await journal.artifact(TENANT, artifact)


async def test_more_than_a_batch_is_deleted_and_counted_whole(journal: MemoryJournal, clock: Clock) -> None:
    await ended(journal, *(f"run-{number:04}" for number in range(BATCH + 1)))
    clock.pass_s(31 * DAY_S)
    assert (await apply_retention(journal, TENANT, [MONTH], clock, dry_run=True)).total == BATCH + 1
    assert (await apply_retention(journal, TENANT, [MONTH], clock)).total == BATCH + 1
    assert await names(journal) == set()


@pytest.mark.parametrize(
    ("state", "keep_s", "match"), [("running", DAY_S, "is no end"), ("failed", -1.0, "no time"), ("failed", float("nan"), "no time")]
)
def test_a_rule_that_could_delete_what_it_should_not_is_refused(state: RunState, keep_s: float, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        Rule(state, keep_s)
