"""What an audit finds: altered and missing events, and artifacts with other bytes."""

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agent_sdk.core.errors import NotFound
from agent_sdk.core.ids import RunId
from agent_sdk.storage.audit import RunAudit, audit_run, audit_runs
from agent_sdk.storage.memory import MemoryJournal
from agent_sdk.storage.sqlite.journal import SqliteJournal
from tests.contract.batches import OTHER_TENANT, RUN, TENANT, Clock, begin, created, finished

LARGE = "x" * 40_000


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[SqliteJournal]:
    opened = await SqliteJournal.open(tmp_path / "agent.db", clock=Clock())
    yield opened
    await opened.close()


def tamper(path: Path, statement: str) -> None:
    db = sqlite3.connect(path)
    with db:
        db.execute(statement)
    db.close()


async def test_a_run_that_nobody_touched_is_sound(journal: SqliteJournal) -> None:
    hand = await begin(journal)
    await hand.append(finished(LARGE))
    await hand.end()
    found = await audit_run(journal, TENANT, RUN)
    assert found == RunAudit(RUN, events=4)
    assert found.is_sound
    assert found.problems == ()


async def test_the_first_altered_event_is_named(journal: SqliteJournal) -> None:
    hand = await begin(journal)
    await hand.append(finished(1), finished(2), finished(3))
    tamper(journal.path, "UPDATE events SET body = '{\"output\":9}' WHERE seq IN (4, 5)")
    found = await audit_run(journal, TENANT, RUN)
    assert (found.altered, found.events) == (4, 3)
    assert found.problems == ("event 4 of run run-1 was altered or is missing",)


async def test_a_missing_last_event_is_noticed(journal: SqliteJournal) -> None:
    hand = await begin(journal)
    await hand.append(finished(1))
    tamper(journal.path, "DELETE FROM events WHERE seq = 3")
    assert (await audit_run(journal, TENANT, RUN)).altered == 3


@pytest.mark.parametrize("statement", ["UPDATE artifacts SET data = x'00'", "DELETE FROM artifacts"])
async def test_an_artifact_that_is_altered_or_missing_is_named_once(journal: SqliteJournal, statement: str) -> None:
    hand = await begin(journal)
    await hand.append(finished(LARGE), finished(LARGE))
    tamper(journal.path, statement)
    found = await audit_run(journal, TENANT, RUN)
    assert found.altered is None
    assert len(found.artifacts) == 1
    assert "is missing or holds other bytes" in found.problems[0]


async def test_a_run_that_does_not_exist_cannot_be_checked() -> None:
    with pytest.raises(NotFound):
        await audit_run(MemoryJournal(Clock()), TENANT, RUN)


async def test_all_runs_of_the_tenant_are_checked_and_no_others() -> None:
    clock = Clock()
    journal = MemoryJournal(clock)
    for number in range(3):
        clock.pass_s(1)
        await journal.create(TENANT, RunId(f"run-{number}"), [created()])
    await journal.create(OTHER_TENANT, RunId("run-of-another"), [created()])
    assert [found.run_id async for found in audit_runs(journal, TENANT)] == ["run-2", "run-1", "run-0"]
    assert [found.run_id async for found in audit_runs(journal, TENANT, newest=2)] == ["run-2", "run-1"]
