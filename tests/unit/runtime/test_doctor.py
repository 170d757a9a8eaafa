"""What the doctor finds in a journal."""

import sqlite3
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from agent_sdk.core.events import WaitReason
from agent_sdk.core.ids import RunId
from agent_sdk.runtime.doctor import Check, Examined, examine, render_age, worst
from agent_sdk.storage.sqlite import place
from agent_sdk.storage.sqlite.journal import SqliteJournal
from tests.contract.batches import RUN, TENANT, Clock, begin, created, finished

Opening = Callable[[], AbstractAsyncContextManager[SqliteJournal]]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/agent.db"


@pytest.fixture
def opening(tmp_path: Path, clock: Clock) -> Opening:
    @asynccontextmanager
    async def opened() -> AsyncGenerator[SqliteJournal]:
        journal = await SqliteJournal.open(tmp_path / "agent.db", clock=clock)
        yield journal
        await journal.close()

    return opened


async def parked(journal: SqliteJournal, run_id: str, reason: WaitReason) -> None:
    hand = await begin(journal, run_id=RunId(run_id))
    await journal.append(replace(hand.waiting(), reason=reason))


async def checks_of(url: str, clock: Clock, agents: frozenset[tuple[str, str]] | None = None) -> dict[str, Check]:
    return {check.name: check for check in await examine(url, Examined(TENANT, clock, agents))}


async def test_a_journal_with_nothing_wrong_passes_every_check(url: str, opening: Opening, clock: Clock) -> None:
    async with opening() as journal:
        await (await begin(journal)).end()
    checks = await examine(url, Examined(TENANT, clock))
    assert {check.status for check in checks} == {"ok"}
    assert worst(checks) == "ok"
    assert [check.name for check in checks] == [
        "schema", "journal", "integrity", "chains", "clock", "unknown effects", "approvals", "crash loops", "code changes", "budgets",
        "leases", "due runs",
    ]  # fmt: skip


async def test_a_journal_that_is_not_there_fails_and_is_not_made(url: str, clock: Clock, tmp_path: Path) -> None:
    checks = await examine(url, Examined(TENANT, clock))
    assert [(check.name, check.status) for check in checks] == [("schema", "fail")]
    assert worst(checks) == "fail"
    assert list(tmp_path.iterdir()) == []


async def test_a_journal_behind_the_schema_is_told_and_left_as_it_is(url: str, opening: Opening, clock: Clock, tmp_path: Path) -> None:
    async with opening():
        pass
    db = sqlite3.connect(tmp_path / "agent.db")
    with db:
        db.execute("DELETE FROM migrations WHERE number = (SELECT max(number) FROM migrations)")
    db.close()
    (check,) = await examine(url, Examined(TENANT, clock))
    assert (check.status, check.hint) == ("fail", "run `agent-sdk migrate`")


async def test_an_altered_event_fails_the_chains(url: str, opening: Opening, clock: Clock, tmp_path: Path) -> None:
    async with opening() as journal:
        await (await begin(journal)).append(finished())
    db = sqlite3.connect(tmp_path / "agent.db")
    with db:
        db.execute("UPDATE events SET at = 1 WHERE seq = 3")
    db.close()
    check = (await checks_of(url, clock))["chains"]
    assert (check.status, check.said) == ("fail", "event 3 of run run-1 was altered or is missing")


async def test_damage_that_the_store_itself_finds_fails_the_integrity(url: str, opening: Opening, clock: Clock, tmp_path: Path) -> None:
    async with opening() as journal:
        await (await begin(journal)).append(*[finished("x" * 3000)] * 50)
    path = tmp_path / "agent.db"
    data = bytearray(path.read_bytes())
    data[-40 * 4096 : -20 * 4096] = bytes(20 * 4096)
    path.write_bytes(data)
    checks = await checks_of(url, clock)
    assert checks["integrity"].status == "fail"
    assert worst(list(checks.values())) == "fail"


async def test_a_journal_that_cannot_be_opened_fails_behind_its_schema(
    url: str, opening: Opening, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opening():
        pass
    monkeypatch.setattr(place, "NETWORK_FILESYSTEMS", {"ext4", "overlay", "tmpfs", "xfs", "btrfs"})
    checks = await checks_of(url, clock)
    assert {name: check.status for name, check in checks.items()} == {"schema": "ok", "journal": "fail"}


async def test_a_journal_that_cannot_be_read_fails_one_check(url: str, clock: Clock, tmp_path: Path) -> None:
    (tmp_path / "agent.db").write_bytes(b"no database" * 1000)
    (check,) = await examine(url, Examined(TENANT, clock))
    assert check.status == "fail"
    assert "damaged" in check.said


@pytest.mark.parametrize(
    ("reason", "name"),
    [
        ("unknown_effect", "unknown effects"),
        ("approval", "approvals"),
        ("question", "approvals"),
        ("crash_loop", "crash loops"),
        ("code_changed", "code changes"),
        ("budget", "budgets"),
    ],
)
async def test_runs_that_wait_for_somebody_are_named_with_their_age(
    url: str, opening: Opening, clock: Clock, reason: WaitReason, name: str
) -> None:
    async with opening() as journal:
        await parked(journal, "run-old", reason)
        clock.pass_s(3600)
        await parked(journal, "run-new", reason)
    clock.pass_s(3 * 3600)
    checks = await checks_of(url, clock)
    assert [row.run_id for row in checks[name].runs] == ["run-old", "run-new"]
    assert checks[name].said.startswith("2 ")
    assert checks[name].said.endswith("for up to 4 h: run-old, run-new")
    assert {check.name for check in checks.values() if check.status != "ok"} == {name}


async def test_a_run_that_waits_for_time_or_a_signal_is_nothing_to_worry_about(url: str, opening: Opening, clock: Clock) -> None:
    async with opening() as journal:
        await parked(journal, "run-1", "timer")
        await parked(journal, "run-2", "signal")
    clock.pass_s(3600)
    assert worst(list((await checks_of(url, clock)).values())) == "ok"


async def test_a_due_run_that_nobody_takes_is_named_with_the_agent_that_nobody_carries(url: str, opening: Opening, clock: Clock) -> None:
    async with opening() as journal:
        await journal.create(TENANT, RUN, [created(agent="clerk")])
        await journal.create(TENANT, RunId("run-2"), [created(agent="analyst")])
    clock.pass_s(61)
    check = (await checks_of(url, clock, frozenset({("clerk", "1")})))["due runs"]
    assert check.status == "warn"
    assert "this app does not carry analyst 1" in check.said
    assert {row.run_id for row in check.runs} == {RUN, "run-2"}
    known = (await checks_of(url, clock, frozenset({("clerk", "1"), ("analyst", "1")})))["due runs"]
    assert "does not carry" not in known.said
    assert known.hint == (await checks_of(url, clock))["due runs"].hint == "start a worker, or more of them"


async def test_a_timer_that_rang_long_ago_is_due(url: str, opening: Opening, clock: Clock) -> None:
    async with opening() as journal:
        hand = await begin(journal)
        await journal.append(hand.waiting(wake_at=clock.now_us() + 1_000_000))
    clock.pass_s(30)
    assert (await checks_of(url, clock))["due runs"].status == "ok"
    clock.pass_s(60)
    assert (await checks_of(url, clock))["due runs"].status == "warn"


async def test_a_lease_that_ran_out_long_ago_and_was_not_taken_over_is_named(url: str, opening: Opening, clock: Clock) -> None:
    async with opening() as journal:
        await begin(journal)
    clock.pass_s(60)
    assert (await checks_of(url, clock))["leases"].status == "ok"
    clock.pass_s(60)
    check = (await checks_of(url, clock))["leases"]
    assert check.status == "warn"
    assert check.runs[0].run_id == RUN


async def test_of_many_runs_only_the_first_are_named(url: str, opening: Opening, clock: Clock) -> None:
    async with opening() as journal:
        for number in range(7):
            await parked(journal, f"run-{number}", "approval")
            clock.pass_s(1)
    said = (await checks_of(url, clock))["approvals"].said
    assert said == "7 wait for a person's word, for up to 7 s: run-0, run-1, run-2, run-3, run-4 and 2 more"


async def test_a_journal_in_memory_is_empty_and_well(clock: Clock) -> None:
    assert worst(await examine("memory:", Examined(TENANT, clock))) == "ok"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7199, "119 min"), (7200, "2 h"), (172_800, "2 days"), (-5, "0 s")]
)
def test_an_age_is_told_as_people_say_it(seconds: int, text: str) -> None:
    assert render_age(seconds * 1_000_000) == text
