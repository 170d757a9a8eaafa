"""What the Postgres journal does when its server is down, lost, slow, closed to it, or of another version."""

import asyncio
import subprocess
import sys
import time
from dataclasses import replace
from urllib.parse import urlsplit, urlunsplit

import pytest

from agent_sdk.core.errors import ConfigError, Fenced, JournalCorrupt, JournalNewer, StorageBusy, StorageError, StorageReadOnly
from agent_sdk.core.ids import RunId
from agent_sdk.core.ports import InboxDraft, LedgerChange, Mail
from agent_sdk.storage.chain import verify_chain
from agent_sdk.storage.numbered import Migration
from agent_sdk.storage.open import open_journal
from agent_sdk.storage.postgres.connect import parse_address
from agent_sdk.storage.postgres.journal import PostgresJournal
from agent_sdk.storage.postgres.migrate import migrate, migrations, pending, prepare
from agent_sdk.testing.postgres import PrivatePostgres
from tests.contract.batches import BOB, RUN, TENANT, Clock, Hand, begin, created, finished, take
from tests.contract.postgres_store import connected
from tests.integration.cut_line import Moment, cut_line

pytestmark = pytest.mark.slow
SECRET = "hunter2-very-secret"


async def run_sql(url: str, *statements: str) -> None:
    async with connected(url) as connection:
        for statement in statements:
            await connection.execute(statement)


def without_secret(error: BaseException, secret: str) -> None:
    told = [str(error), repr(error), *getattr(error, "__notes__", []), str(error.__cause__)]
    assert not any(secret in each for each in told)


class TestOpening:
    async def test_a_server_that_is_down_is_told_at_once_and_without_the_password(self) -> None:
        start = time.monotonic()
        with pytest.raises(StorageError, match=r"postgresql://eve@127\.0\.0\.1:9/agents failed") as refused:
            await open_journal(f"postgresql://eve:{SECRET}@127.0.0.1:9/agents", clock=Clock())
        assert time.monotonic() - start < 5
        assert refused.value.hint
        without_secret(refused.value, SECRET)

    async def test_a_wrong_password_or_database_is_the_operator_s_to_mend(self, postgres_url: str) -> None:
        parts = urlsplit(postgres_url)
        for url in (
            urlunsplit(parts._replace(netloc=f"postgres:{SECRET}@127.0.0.1:{parts.port}")),
            urlunsplit(parts._replace(path="/nowhere")),
        ):
            with pytest.raises(ConfigError, match="lets nobody in") as refused:
                await PostgresJournal.open(url)
            without_secret(refused.value, SECRET)

    async def test_processes_that_open_an_empty_database_at_once_wait_for_one_another(self, postgres_url: str) -> None:
        assert await pending(postgres_url) == [migration.number for migration in migrations()]
        async with asyncio.TaskGroup() as tasks:
            opening = [tasks.create_task(PostgresJournal.open(postgres_url)) for _ in range(4)]
        assert await pending(postgres_url) == []
        assert await migrate(postgres_url) == []
        for task in opening:
            await task.result().close()

    async def test_a_schema_that_is_behind_is_refused_until_it_is_migrated(self, postgres_url: str) -> None:
        await migrate(postgres_url)
        address = parse_address(postgres_url)
        known = [*migrations(), Migration(99, "more", "ALTER TABLE agent_sdk.cursors ADD COLUMN more bigint")]
        with pytest.raises(ConfigError, match=r"lacks 1 of \d+ migrations") as refused:
            await prepare(address, known, may_migrate=False)
        assert "agent-sdk migrate" in (refused.value.hint or "")
        await prepare(address, known, may_migrate=True)
        with pytest.raises(JournalNewer, match="has migration 99"):
            await PostgresJournal.open(postgres_url)

    async def test_a_migration_that_was_altered_is_refused_and_one_that_fails_leaves_nothing(self, postgres_url: str) -> None:
        await migrate(postgres_url)
        address = parse_address(postgres_url)
        first = migrations()[0]
        with pytest.raises(JournalCorrupt, match="migration 1"):
            await prepare(address, [replace(first, script=first.script + "\n"), *migrations()[1:]], may_migrate=True)
        broken = Migration(99, "half", "CREATE TABLE agent_sdk.half (a bigint); CREATE NONSENSE")
        with pytest.raises(StorageError):
            await prepare(address, [*migrations(), broken], may_migrate=True)
        async with connected(postgres_url) as connection:
            assert await connection.fetch("SELECT to_regclass('agent_sdk.half') IS NULL") == [(True,)]

    async def test_a_database_that_takes_no_writes_is_read_and_says_so_when_written(self, postgres_url: str) -> None:
        name = urlsplit(postgres_url).path[1:]
        await run_sql(postgres_url, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        with pytest.raises(StorageReadOnly):
            await PostgresJournal.open(postgres_url)
        await migrate(f"{postgres_url}?default_transaction_read_only=off")
        journal = await PostgresJournal.open(postgres_url)
        with pytest.raises(StorageReadOnly) as refused:
            await journal.create(TENANT, RUN, [created()])
        assert "primary" in (refused.value.hint or "")
        await journal.close()

    @pytest.mark.parametrize("listens_first", [True, False])
    async def test_out_of_connections_is_busy_and_passes(self, postgres_url: str, listens_first: bool) -> None:
        await migrate(postgres_url)
        name = urlsplit(postgres_url).path[1:]
        await run_sql(
            postgres_url,
            f"CREATE ROLE few_{name} LOGIN PASSWORD '{SECRET}' CONNECTION LIMIT 1",
            f"GRANT USAGE ON SCHEMA agent_sdk TO few_{name}",
            f"GRANT ALL ON ALL TABLES IN SCHEMA agent_sdk TO few_{name}",
        )
        parts = urlsplit(postgres_url)
        url = urlunsplit(parts._replace(netloc=f"few_{name}:{SECRET}@127.0.0.1:{parts.port}"))
        async with connected(url):
            with pytest.raises(StorageBusy, match="no connection free") as refused:
                await PostgresJournal.open(url)
            assert refused.value.retryable
            without_secret(refused.value, SECRET)
        journal = await PostgresJournal.open(url)
        if listens_first:  # the one connection is taken to hear news; the work needs it more
            async with connected(postgres_url) as other:
                taken = "SELECT FROM pg_stat_activity WHERE usename = $1 AND query LIKE 'LISTEN%'"
                while not await other.fetch(taken, f"few_{name}"):  # noqa: ASYNC110  (the server signals nobody)
                    await asyncio.sleep(0.01)
        async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
            for number in range(5):
                tasks.create_task(journal.create(TENANT, RunId(f"run-{number}"), [created()]))
        await journal.close()
        await run_sql(postgres_url, f"DROP OWNED BY few_{name}", f"DROP ROLE few_{name}")

    def test_without_its_driver_the_journal_says_what_to_install(self) -> None:
        code = (
            "import sys, asyncio; sys.modules['asyncpg'] = None\n"
            "from agent_sdk.storage import open_journal\n"
            "from agent_sdk.core.errors import ConfigError\n"
            "try: asyncio.run(open_journal('postgresql://localhost/a', clock=None))\n"
            "except ConfigError as error: print(error.hint)"
        )
        told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert told.stdout.strip() == "pip install 'agent-sdk[postgres]'"


class TestLostConnections:
    @pytest.mark.parametrize("moment", ["before", "after"])
    async def test_an_append_whose_connection_is_lost_is_written_once(self, postgres_url: str, moment: Moment) -> None:
        async with cut_line(postgres_url) as (line, url):
            journal = await PostgresJournal.open(url)
            hands = [await begin(journal, run_id=RunId(f"run-{number}")) for number in range(6)]
            line.arm(b"needle", moment)
            async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
                for number, hand in enumerate(hands):
                    tasks.create_task(hand.append(finished("needle" if number == 3 else "hay"), finished()))
            assert line.cuts == 1
            for hand in hands:
                await hand.end()
                assert (await journal.row(TENANT, hand.claim.run_id)).head == 5
                assert await verify_chain(journal, TENANT, hand.claim.run_id) is None
            await journal.close()

    @pytest.mark.parametrize("moment", ["before", "after"])
    async def test_ledger_changes_and_mail_go_with_it_once(self, postgres_url: str, moment: Moment) -> None:
        async with cut_line(postgres_url) as (line, url):
            journal = await PostgresJournal.open(url)
            hand = await begin(journal)
            await journal.create(TENANT, RunId("parent"), [created()])
            line.arm(b"needle", moment)
            batch = replace(
                hand.batch(finished("needle"), ledger=[LedgerChange("tenant", reserve=5)]),
                mail=[Mail(RunId("parent"), InboxDraft("child", "done"))],
            )
            await journal.append(batch)
            assert line.cuts == 1
            ledger = await journal.ledger(TENANT, "tenant")
            assert ledger is not None
            assert ledger.reserved == 5
            assert len(await journal.inbox(TENANT, RunId("parent"), after=0)) == 1
            await journal.close()

    @pytest.mark.parametrize("moment", ["before", "after"])
    async def test_a_run_is_created_and_an_item_put_once(self, postgres_url: str, moment: Moment) -> None:
        async with cut_line(postgres_url) as (line, url):
            journal = await PostgresJournal.open(url)
            line.arm(b"clerk", moment)
            await journal.create(TENANT, RUN, [created()])
            line.arm(b"hurry", moment)
            assert await journal.put(TENANT, RUN, InboxDraft("message", "hurry")) == 1
            assert line.cuts == 2
            assert len(await journal.inbox(TENANT, RUN, after=0)) == 1
            await journal.close()

    async def test_who_lost_the_run_meanwhile_is_fenced(self, postgres_url: str) -> None:
        async with cut_line(postgres_url) as (line, url):
            journal = await PostgresJournal.open(f"{url}?pool=1")  # with a second connection the append might go over that, in time
            other = await PostgresJournal.open(postgres_url)
            hand = await begin(journal)
            await journal.renew(hand.claim, lease_s=0)
            line.down_s = 3600
            line.arm(b"needle", "before")
            async with asyncio.TaskGroup() as tasks:
                late = tasks.create_task(_outcome(hand))
                await line.is_cut.wait()
                await take(other, BOB)
                line.restore()
            assert isinstance(late.result(), Fenced)
            await journal.close()
            await other.close()

    async def test_a_server_that_stays_away_is_given_up_and_the_journal_goes_on_once_it_is_back(self) -> None:
        with PrivatePostgres() as server:
            journal = await PostgresJournal.open(server.url(), patience_s=0.5)
            hand = await begin(journal)
            server.stop("immediate")
            with pytest.raises(StorageError, match="failed"):
                await hand.append(finished())
            server.start()
            await hand.append(finished())
            await hand.end()
            assert await verify_chain(journal, TENANT, RUN) is None
            await journal.close()

    async def test_work_goes_on_over_crashes_of_the_server(self) -> None:
        with PrivatePostgres() as server:
            journal = await PostgresJournal.open(server.url())
            hands = [await begin(journal, run_id=RunId(f"run-{number}")) for number in range(8)]
            is_over = asyncio.Event()

            async def work(hand: Hand) -> None:
                while not is_over.is_set():
                    await hand.append(finished())
                await hand.end()

            async with asyncio.TaskGroup() as tasks:
                for hand in hands:
                    tasks.create_task(work(hand))
                for _ in range(2):
                    await asyncio.sleep(0.3)
                    await asyncio.to_thread(server.restart, "immediate")
                    await asyncio.sleep(0.5)
                    await run_sql(
                        server.url(),
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname IS NOT NULL",
                    )
                await asyncio.sleep(0.3)
                is_over.set()
            for hand in hands:
                assert (await journal.row(TENANT, hand.claim.run_id)).head == hand.head
                assert await verify_chain(journal, TENANT, hand.claim.run_id) is None
            assert await journal.check_integrity() == []
            await journal.close()


class TestSlowness:
    async def test_a_second_a_statement_delays_but_many_runs_share_it(self, postgres_url: str) -> None:
        journal = await PostgresJournal.open(postgres_url)
        hands = [await begin(journal, run_id=RunId(f"run-{number}")) for number in range(40)]
        await run_sql(
            postgres_url,
            "CREATE FUNCTION agent_sdk.doze() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(1); RETURN NULL; END'",
            "CREATE TRIGGER doze AFTER INSERT ON agent_sdk.events EXECUTE FUNCTION agent_sdk.doze()",
        )
        start = time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            for hand in hands:
                tasks.create_task(hand.append(finished()))
        assert time.monotonic() - start < 6
        await journal.close()

    async def test_a_row_that_somebody_holds_delays_no_other_run_for_long(self, postgres_url: str) -> None:
        journal = await PostgresJournal.open(f"{postgres_url}?statement_timeout=300")
        held, free = await begin(journal), await begin(journal, run_id=RunId("run-2"))
        async with connected(postgres_url) as connection, connection.transaction():
            await connection.execute("SELECT FROM agent_sdk.runs WHERE run_id = $1 FOR UPDATE", RUN)
            async with asyncio.TaskGroup() as tasks:
                stuck = tasks.create_task(_outcome(held))
                tasks.create_task(free.append(finished()))
        assert isinstance(stuck.result(), StorageBusy)
        await held.append(finished())
        await journal.close()


async def _outcome(hand: Hand) -> BaseException | None:
    try:
        await hand.append(finished("needle"))
    except StorageError as error:
        return error
    return None
