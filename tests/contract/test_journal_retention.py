"""What every journal promises of what it deletes, and of what it must keep."""

from dataclasses import replace

import pytest

from agent_sdk.core.budget import TENANT_SCOPE, ledger_rows, run_scope
from agent_sdk.core.envelope import ARTIFACT_THRESHOLD_BYTES, artifacts_named
from agent_sdk.core.errors import NotFound
from agent_sdk.core.ids import ArtifactId, RunId, SessionId
from agent_sdk.core.ports import Expired, InboxDraft, Journal, LedgerChange, LedgerRow, RunFilter, SessionMove
from agent_sdk.core.run import ENDS, RunState
from agent_sdk.storage.chain import verify_chain
from tests.contract.batches import OTHER_TENANT, RUN, TENANT, begin, created, end, finished, take
from tests.contract.stores import Store

SESSION = SessionId("talk-1")
SECOND = RunId("run-2")
BIG, OTHER = "x" * ARTIFACT_THRESHOLD_BYTES, "y" * ARTIFACT_THRESHOLD_BYTES


async def ended(journal: Journal, run_id: RunId, *outputs: str) -> ArtifactId | None:
    """Make a run that has ended, and return an artifact that it names."""
    hand = await begin(journal, run_id=run_id)
    await hand.append(*(finished(output) for output in outputs))
    await hand.end()
    named = [artifact for envelope in await journal.read(TENANT, run_id) for artifact in artifacts_named(envelope).values()]
    return named[0] if named else None


def older(store: Store, *, limit: int = 1000) -> Expired:
    return Expired(ENDS, store.now_us() - 5_000_000, limit)


class TestPurge:
    async def test_what_ended_long_ago_is_gone_with_all_that_is_its_own(self, journal: Journal, store: Store) -> None:
        hand = await begin(journal)
        await journal.put(TENANT, RUN, InboxDraft("message", "hello", key="k"))
        hand.inbox_seen = 1
        await hand.end()
        await journal.move_cursor(TENANT, "log", RUN, 3)
        await store.pass_s(10)
        assert await journal.purge(TENANT, older(store)) == [RUN]
        for call in (journal.row(TENANT, RUN), journal.read(TENANT, RUN), journal.inbox(TENANT, RUN, after=0)):
            with pytest.raises(NotFound):
                await call
        assert await journal.cursor(TENANT, "log", RUN) == 0
        assert await journal.rows(TENANT, RunFilter()) == []
        await begin(journal)
        assert await journal.inbox(TENANT, RUN, after=0) == []
        assert await journal.purge(TENANT, older(store)) == []

    async def test_what_goes_on_waits_or_ended_lately_stays(self, journal: Journal, store: Store) -> None:
        await begin(journal)
        await journal.append((await begin(journal, run_id=SECOND)).waiting())
        await journal.create(TENANT, RunId("run-3"), [created()])
        await store.pass_s(10)
        await ended(journal, RunId("run-4"))
        states: frozenset[RunState] = frozenset({"running", "waiting", "queued", "planning", *ENDS})
        assert await journal.purge(TENANT, Expired(states, store.now_us() - 5_000_000)) == []
        assert len(await journal.rows(TENANT, RunFilter())) == 4

    async def test_the_budget_of_a_run_goes_with_it_and_those_that_others_share_stay(self, journal: Journal, store: Store) -> None:
        rows = [row for scope in (run_scope(RUN), run_scope(SECOND), TENANT_SCOPE) for row, _ in ledger_rows([scope])]
        for row in rows:
            await journal.set_limit(TENANT, row, 10)
            await journal.set_limit(OTHER_TENANT, row, 10)
        await begin(journal, run_id=SECOND)
        hand = await begin(journal)
        await hand.append(finished(), ledger=[LedgerChange(row, 0, 4) for row in rows])
        await hand.end()
        await store.pass_s(10)
        assert await journal.purge(TENANT, older(store)) == [RUN]
        assert [await journal.ledger(TENANT, row) for row in rows[:3]] == [None, None, None]
        assert [await journal.ledger(TENANT, row) for row in rows[3:]] == [LedgerRow(row, 10, 0, 4) for row in rows[3:]]
        assert [await journal.ledger(OTHER_TENANT, row) for row in rows] == [LedgerRow(row, 10, 0, 0) for row in rows]

    async def test_only_the_states_that_are_named_are_purged(self, journal: Journal, store: Store) -> None:
        await ended(journal, RUN)
        await store.pass_s(10)
        assert await journal.purge(TENANT, Expired(frozenset({"failed", "cancelled"}), store.now_us())) == []
        assert await journal.purge(OTHER_TENANT, older(store)) == []
        assert await journal.purge(TENANT, Expired(frozenset({"succeeded"}), store.now_us())) == [RUN]

    async def test_what_ended_first_goes_first_up_to_the_limit(self, journal: Journal, store: Store) -> None:
        for number in range(5):
            await ended(journal, RunId(f"run-{number}"))
            await store.pass_s(1)
        await store.pass_s(10)
        assert await journal.purge(TENANT, older(store, limit=2)) == ["run-0", "run-1"]
        assert await journal.purge(TENANT, older(store)) == ["run-2", "run-3", "run-4"]

    async def test_a_long_list_goes_in_one_call(self, journal: Journal, store: Store) -> None:
        for number in range(120):
            await ended(journal, RunId(f"run-{number}"))
        kept = await begin(journal, run_id=RunId("kept"))
        await store.pass_s(10)
        assert len(await journal.purge(TENANT, older(store))) == 120
        await kept.append(finished())
        assert await verify_chain(journal, TENANT, RunId("kept")) is None
        assert await journal.check_integrity() == []

    async def test_a_session_goes_with_its_last_run(self, journal: Journal, store: Store) -> None:
        await journal.create(TENANT, RUN, [created()], session=SessionMove(SESSION, None))
        await end(journal)
        await store.pass_s(10)
        await journal.create(TENANT, SECOND, [created()], session=SessionMove(SESSION, RUN))
        assert await journal.purge(TENANT, older(store)) == [RUN]
        assert await journal.session_head(TENANT, SESSION) == SECOND
        await end(journal, SECOND)
        await store.pass_s(10)
        await journal.purge(TENANT, older(store))
        assert await journal.session_head(TENANT, SESSION) is None
        await journal.create(TENANT, RUN, [created()], session=SessionMove(SESSION, None))

    async def test_a_session_whose_newest_run_is_gone_stands_at_the_one_before(self, journal: Journal, store: Store) -> None:
        await journal.create(TENANT, RUN, [created()], session=SessionMove(SESSION, None))
        await end(journal)
        await journal.create(TENANT, SECOND, [created()], session=SessionMove(SESSION, RUN))
        await journal.append(replace((await take(journal, run_id=SECOND)).ending(), state="failed"))
        await store.pass_s(10)
        assert await journal.purge(TENANT, Expired(frozenset({"failed"}), store.now_us())) == [SECOND]
        assert await journal.session_head(TENANT, SESSION) == RUN


class TestSweep:
    async def test_an_artifact_goes_when_no_run_names_it(self, journal: Journal, store: Store) -> None:
        artifact = await ended(journal, RUN, BIG)
        assert artifact is not None
        await store.pass_s(10)
        assert await journal.sweep_artifacts(TENANT, before_us=store.now_us()) == 0
        await journal.purge(TENANT, older(store))
        assert (await journal.artifact(TENANT, artifact)).startswith(b'"xx')
        assert await journal.sweep_artifacts(OTHER_TENANT, before_us=store.now_us()) == 0
        assert await journal.sweep_artifacts(TENANT, before_us=store.now_us()) == 1
        with pytest.raises(NotFound):
            await journal.artifact(TENANT, artifact)

    async def test_a_shared_artifact_stays_while_one_run_names_it(self, journal: Journal, store: Store) -> None:
        shared = await ended(journal, RUN, BIG, OTHER)
        assert shared is not None
        await store.pass_s(10)
        hand = await begin(journal, run_id=SECOND)
        await hand.append(finished(BIG))
        await journal.read(TENANT, SECOND)
        assert await journal.purge(TENANT, older(store)) == [RUN]
        assert await journal.sweep_artifacts(TENANT, before_us=store.now_us() + 1) == 1
        assert await journal.artifact(TENANT, shared)

    async def test_what_was_written_lately_stays(self, journal: Journal, store: Store) -> None:
        await ended(journal, RUN, BIG)
        await store.pass_s(10)
        artifact = await ended(journal, SECOND, BIG)
        assert artifact is not None
        await journal.purge(TENANT, Expired(ENDS, store.now_us() + 1))
        assert await journal.rows(TENANT, RunFilter()) == []
        assert await journal.sweep_artifacts(TENANT, before_us=store.now_us() - 5_000_000) == 0
        assert await journal.artifact(TENANT, artifact)
        await store.pass_s(10)
        assert await journal.sweep_artifacts(TENANT, before_us=store.now_us() - 5_000_000) == 1

    async def test_a_swept_artifact_is_written_again_by_who_names_it_again(self, journal: Journal, store: Store) -> None:
        await ended(journal, RUN, BIG)
        await store.pass_s(10)
        await journal.purge(TENANT, older(store))
        await journal.sweep_artifacts(TENANT, before_us=store.now_us())
        artifact = await ended(journal, SECOND, BIG)
        assert artifact is not None
        assert await journal.artifact(TENANT, artifact)


async def test_a_sound_journal_has_nothing_to_complain_of(journal: Journal) -> None:
    await journal.create(TENANT, RUN, [created()], session=SessionMove(SESSION, None))
    await journal.create(TENANT, SECOND, [created()], session=SessionMove(SESSION, RUN))
    await journal.put(TENANT, RUN, InboxDraft("message", "hello"))
    await end(journal)
    await ended(journal, RunId("run-3"), BIG)
    assert await journal.check_integrity() == []
