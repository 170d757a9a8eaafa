"""What the Postgres journal does in company: of many workers, of other clocks, of turns that end, and of those who follow."""

import asyncio
import time
from collections import Counter
from dataclasses import replace

import pytest

from agent_sdk.core.envelope import ARTIFACT_THRESHOLD_BYTES, Envelope, artifacts_named
from agent_sdk.core.ids import OwnerId, RunId, SessionId, TenantId
from agent_sdk.core.ports import Expired, InboxDraft, Journal, Mail, SessionMove, Wanted
from agent_sdk.storage.postgres.journal import PostgresJournal
from tests.contract.batches import ALICE, BOB, RUN, TENANT, Hand, begin, created, finished, take
from tests.contract.postgres_store import connected

pytestmark = pytest.mark.slow
SESSION = SessionId("talk-1")


async def claim_all(journal: Journal, owner: OwnerId, goal: int, taken: list[tuple[TenantId, RunId]]) -> None:
    while len(taken) < goal:
        claims = await journal.claim_due(Wanted(32), owner, lease_s=30)
        taken.extend((claim.tenant, claim.run_id) for claim in claims)
        if not claims:
            await journal.wait_due(Wanted(32), timeout_s=5)


async def test_a_thousand_runs_due_at_the_same_second_are_taken_once_each(postgres_url: str) -> None:
    journals = [await PostgresJournal.open(postgres_url) for _ in range(3)]
    wake_at = time.time_ns() // 1000 + 4_000_000

    async def park(number: int) -> None:
        await journals[0].append((await begin(journals[0], run_id=RunId(f"run-{number}"))).waiting(wake_at=wake_at))

    async with asyncio.TaskGroup() as tasks:
        for number in range(1000):
            tasks.create_task(park(number))
    taken: list[tuple[TenantId, RunId]] = []
    async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
        for place, journal in enumerate(journals):
            tasks.create_task(claim_all(journal, OwnerId(f"worker-{place}"), 1000, taken))
    assert set(Counter(taken).values()) == {1}
    assert len(taken) == 1000
    for journal in journals:
        await journal.close()


async def test_a_worker_whose_clock_is_an_hour_off_harms_nobody(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = time.time
    journal = await PostgresJournal.open(postgres_url)
    for skew_s in (3600, -3600):
        run_id = RunId(f"run{skew_s}")
        with monkeypatch.context() as there:
            there.setattr(time, "time", lambda skew_s=skew_s: real() + skew_s)
            there.setattr(time, "time_ns", lambda skew_s=skew_s: int((real() + skew_s) * 1e9))
            hand = await begin(journal, ALICE, run_id=run_id)
            assert abs(hand.claim.lease_until / 1e6 - real() - 30) < 10
            assert await journal.claim_due(Wanted(10), BOB, lease_s=30) == []
            line = journal.lease_line()
            renewed = await asyncio.to_thread(line.renew, [hand.claim], lease_s=3)
            await asyncio.to_thread(line.close)
            assert abs(renewed[0].lease_until / 1e6 - real() - 3) < 5
            await journal.renew(hand.claim, lease_s=0)
            (claim,) = await journal.claim_due(Wanted(10), BOB, lease_s=30)
            await Hand(journal, claim, claim.head).end()
    await journal.close()


async def test_a_turn_made_while_the_one_before_ends_never_stays_behind(postgres_url: str) -> None:
    journals = [await PostgresJournal.open(postgres_url) for _ in range(2)]
    previous: RunId | None = None
    for number in range(60):
        run_id = RunId(f"run-{number}")
        if previous is None:
            await journals[0].create(TENANT, run_id, [created()], session=SessionMove(SESSION, None))
        else:
            hand = await take(journals[0], run_id=previous)
            async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
                tasks.create_task(journals[1].create(TENANT, run_id, [created()], session=SessionMove(SESSION, previous)))
                tasks.create_task(hand.end())
        assert (await journals[0].row(TENANT, run_id)).behind is None
        previous = run_id
    for journal in journals:
        await journal.close()


async def test_runs_that_write_to_each_other_at_once_do_not_stand_in_each_other_s_way(postgres_url: str) -> None:
    journal = await PostgresJournal.open(postgres_url)
    hands = [await begin(journal, run_id=RunId(f"run-{number}")) for number in range(6)]

    async def write(place: int) -> None:
        for _ in range(15):
            others = [Mail(hand.claim.run_id, InboxDraft("signal", "hello")) for hand in hands if hand is not hands[place]]
            hand = hands[place]
            await journal.append(replace(hand.batch(finished()), mail=others))
            hand.head += 1

    async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
        for place in range(6):
            tasks.create_task(write(place))
    for hand in hands:
        assert len(await journal.inbox(TENANT, hand.claim.run_id, after=0)) == 15 * 5
    assert await journal.check_integrity() == []
    await journal.close()


async def test_an_artifact_named_again_while_it_is_swept_is_kept(postgres_url: str) -> None:
    journal = await PostgresJournal.open(postgres_url)
    hand = await begin(journal)
    await hand.append(finished("x" * ARTIFACT_THRESHOLD_BYTES))
    (artifact,) = artifacts_named((await journal.read(TENANT, RUN))[2]).values()
    await hand.end()
    now_us = time.time_ns() // 1000
    assert await journal.purge(TENANT, Expired(frozenset({"succeeded"}), now_us + 60_000_000)) == [RUN]
    again = await begin(journal)
    async with connected(postgres_url) as connection, asyncio.timeout(30):
        async with connection.transaction():  # an append that is under way
            await connection.execute("UPDATE agent_sdk.artifacts SET created_at = agent_sdk.now_us() + 1000000")
            async with asyncio.TaskGroup() as tasks:
                sweeping = tasks.create_task(journal.sweep_artifacts(TENANT, before_us=time.time_ns() // 1000))
                await asyncio.sleep(0.1)
                await connection.execute("INSERT INTO agent_sdk.artifact_refs VALUES ($1, $2, $3)", TENANT, artifact, RUN)
                await connection.execute("COMMIT")
                await connection.execute("BEGIN")
        assert sweeping.result() == 0
    await again.append(finished("x" * ARTIFACT_THRESHOLD_BYTES))
    assert len(await journal.artifact(TENANT, artifact)) > ARTIFACT_THRESHOLD_BYTES
    await journal.close()


async def follow(journal: Journal, seen: list[float]) -> list[Envelope]:
    found: list[Envelope] = []
    async for envelope in journal.watch(TENANT, RUN):
        seen.append(time.monotonic())
        found.append(envelope)
    return found


@pytest.mark.alone
async def test_a_watcher_elsewhere_is_live_and_misses_nothing_while_its_line_is_down(postgres_url: str) -> None:
    writer, reader = await PostgresJournal.open(postgres_url), await PostgresJournal.open(postgres_url)
    hand = await begin(writer)
    seen: list[float] = []
    delays: list[float] = []
    async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
        following = tasks.create_task(follow(reader, seen))
        await asyncio.sleep(0.5)
        for number in range(10):
            start = time.monotonic()
            await hand.append(finished(number))
            await asyncio.sleep(0.15)
            delays.append(seen[-1] - start)
        async with connected(postgres_url) as connection:
            await connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'"
            )
        for number in range(3):
            await hand.append(finished(number))
        await hand.end()
    assert sorted(delays)[len(delays) // 2] < 0.1
    assert [envelope.seq for envelope in following.result()] == list(range(1, hand.head + 1))
    await writer.close()
    await reader.close()


async def test_a_thousand_watchers_each_see_all(postgres_url: str) -> None:
    writer, reader = await PostgresJournal.open(postgres_url), await PostgresJournal.open(postgres_url)
    hand = await begin(writer)
    async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
        following = [tasks.create_task(follow(reader, [])) for _ in range(1000)]
        await asyncio.sleep(1)
        await hand.append(finished())
        await hand.end()
    assert {len(task.result()) for task in following} == {hand.head}
    await writer.close()
    await reader.close()


async def test_what_was_altered_behind_the_journal_s_back_is_found(postgres_url: str) -> None:
    journal = await PostgresJournal.open(postgres_url)
    hand = await begin(journal)
    await hand.append(finished("x" * ARTIFACT_THRESHOLD_BYTES), finished())
    await begin(journal, run_id=RunId("run-2"))
    await begin(journal, run_id=RunId("run-3"))
    assert await journal.check_integrity() == []
    async with connected(postgres_url) as connection:
        await connection.execute("UPDATE agent_sdk.artifacts SET data = 'other'")
        await connection.execute("UPDATE agent_sdk.events SET hash = '' WHERE run_id = 'run-2' AND seq = 2")
        await connection.execute("DELETE FROM agent_sdk.events WHERE run_id = 'run-3' AND seq = 1")
        await connection.execute("INSERT INTO agent_sdk.artifact_refs VALUES ($1, $2, $3)", TENANT, "0" * 64, RUN)
        await connection.execute("UPDATE agent_sdk.runs SET inbox_head = 7 WHERE run_id = 'run-2'")
    found = " | ".join(await journal.check_integrity())
    for part in (
        "other bytes",
        "last hash of run run-2",
        "run run-3 of tenant acme stands at event 2, and has 1",
        "which is missing",
        "counts 7",
    ):
        assert part in found
    await journal.close()


async def test_runs_asked_for_by_name_are_found_among_a_crowd(postgres_url: str) -> None:
    journal = await PostgresJournal.open(postgres_url)
    async with asyncio.TaskGroup() as tasks:
        for number in range(300):
            tasks.create_task(journal.create(TENANT, RunId(f"crowd-{number}"), [created(priority=9)]))
    named = Wanted(1, tenants=frozenset({TENANT}), runs=frozenset({RUN, RunId("run-2")}))
    await journal.wait_due(named, timeout_s=0.01)
    assert await journal.claim_due(named, ALICE, lease_s=30) == []
    await journal.create(TENANT, RUN, [created()])
    await journal.create(TENANT, RunId("run-2"), [created(priority=1)])
    async with asyncio.timeout(30):
        await journal.wait_due(named, timeout_s=60)
    assert [(await journal.claim_due(named, ALICE, lease_s=30))[0].run_id for _ in range(2)] == ["run-2", RUN]
    assert await journal.claim_due(named, ALICE, lease_s=30) == []
    await journal.close()


async def test_an_old_claim_of_a_run_that_is_held_again_is_not_renewed_with_the_new_one(postgres_url: str) -> None:
    journal = await PostgresJournal.open(postgres_url)
    old = (await begin(journal)).claim
    await journal.renew(old, lease_s=0)
    new = await journal.claim(TENANT, RUN, ALICE, lease_s=30)
    line = journal.lease_line()
    renewed = await asyncio.to_thread(line.renew, [old, new], lease_s=30)
    assert [claim.epoch for claim in renewed] == [new.epoch]
    await asyncio.to_thread(line.close)
    await journal.close()
