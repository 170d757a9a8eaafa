"""Backups of a Postgres journal, by a real server and its own programs."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from typer.testing import CliRunner, Result

from agent_sdk.cli.main import app
from agent_sdk.core.errors import ConfigError, JournalCorrupt, NotFound, RequestError, StorageError
from agent_sdk.core.ids import RunId
from agent_sdk.runtime.audit import Audit, audit
from agent_sdk.runtime.doctor import Examined, examine
from agent_sdk.runtime.system import SystemClock
from agent_sdk.storage.backup import Tools, create_backup, restore_backup, verify_backup
from agent_sdk.storage.postgres.journal import PostgresJournal
from agent_sdk.storage.postgres_session import session, value
from agent_sdk.storage.schema import migrate_journal, pending_migrations
from agent_sdk.testing.postgres import PrivatePostgres
from tests.contract.batches import OTHER_TENANT, RUN, TENANT, begin, created, finished

pytestmark = pytest.mark.slow
LARGE = "x" * 40_000


@pytest.fixture
def tools(postgres: PrivatePostgres) -> Tools:
    return Tools(SystemClock(), postgres.programs)


@pytest.fixture
async def url(postgres_url: str) -> str:
    """A database with an ended run, a large value in it, and a run of another tenant that is queued."""
    journal = await PostgresJournal.open(postgres_url)
    hand = await begin(journal)
    await hand.append(finished(LARGE))
    await hand.end()
    await journal.create(OTHER_TENANT, RunId("run-2"), [created()])
    await journal.close()
    return postgres_url


@pytest.fixture
def fresh(postgres: PrivatePostgres) -> Iterator[str]:
    yield postgres.create_database("fresh")
    postgres.drop_database("fresh")


async def statement(url: str, text: str) -> None:
    async with session(url) as connection:
        await connection.execute(text)


async def databases(url: str) -> int:
    async with session(url) as connection:
        return int(await value(connection, "SELECT count(*) FROM pg_database WHERE datname LIKE 'agent_sdk_verify_%'"))


async def test_a_backup_is_verified_by_bringing_it_back_and_leaves_no_database_behind(url: str, tools: Tools, tmp_path: Path) -> None:
    manifest = await create_backup(url, tmp_path / "backup", tools)
    assert (manifest.store, manifest.contents.runs, manifest.contents.unfinished, manifest.contents.events) == ("postgresql", 2, 1, 5)
    verified = await verify_backup(tmp_path / "backup", tools, url=url)
    assert (verified.how, verified.problems) == ("restored", ())
    assert await databases(url) == 0


async def test_a_backup_is_that_of_one_moment_while_others_write(url: str, tools: Tools, tmp_path: Path) -> None:
    journal = await PostgresJournal.open(url)
    manifest = await create_backup(url, tmp_path / "backup", tools)
    await journal.create(TENANT, RunId("run-3"), [created()])
    await journal.close()
    assert manifest.contents.runs == 2
    assert (await verify_backup(tmp_path / "backup", tools, url=url)).problems == ()


async def test_a_restored_journal_goes_on(url: str, fresh: str, tools: Tools, tmp_path: Path) -> None:
    await create_backup(url, tmp_path / "backup", tools)
    await restore_backup(tmp_path / "backup", fresh, tools)
    journal = await PostgresJournal.open(fresh)
    assert await audit(journal, TENANT) == Audit(1, 4, ())
    await (await begin(journal, run_id=RunId("run-4"))).end()
    await journal.close()


async def test_without_a_server_or_the_right_to_make_a_database_only_the_archive_is_checked(url: str, tools: Tools, tmp_path: Path) -> None:
    await create_backup(url, tmp_path / "backup", tools)
    verified = await verify_backup(tmp_path / "backup", tools)
    assert (verified.how, verified.problems) == ("listed", ())
    assert verified.why_not == "no server was named to restore it to"
    await statement(url, "DROP ROLE IF EXISTS plain; CREATE ROLE plain LOGIN PASSWORD 'plain'")
    parts = urlsplit(url)
    plain = parts._replace(netloc=f"plain:plain@{parts.hostname}:{parts.port}").geturl()
    verified = await verify_backup(tmp_path / "backup", tools, url=plain)
    assert verified.how == "listed"
    assert "CREATEDB" in (verified.why_not or "")
    await statement(url, "DROP ROLE plain")


async def test_an_altered_event_is_found_in_the_backup_and_nothing_is_restored(url: str, fresh: str, tools: Tools, tmp_path: Path) -> None:
    await statement(url, "UPDATE agent_sdk.events SET meta = '{}' WHERE seq = 3")
    await create_backup(url, tmp_path / "backup", tools)
    assert (await verify_backup(tmp_path / "backup", tools, url=url)).problems == ("event 3 of run run-1 was altered or is missing",)
    with pytest.raises(JournalCorrupt, match="event 3"):
        await restore_backup(tmp_path / "backup", fresh, tools)
    with pytest.raises(NotFound, match="no journal"):
        await create_backup(fresh, tmp_path / "other", tools)


async def test_a_journal_is_overwritten_by_force_alone_and_by_none_while_it_is_in_use(url: str, tools: Tools, tmp_path: Path) -> None:
    await create_backup(url, tmp_path / "backup", tools)
    journal = await PostgresJournal.open(url)
    await begin(journal, run_id=RunId("run-3"))
    with pytest.raises(RequestError, match="in use"):
        await restore_backup(tmp_path / "backup", url, tools, force=True)
    await journal.close()
    with pytest.raises(RequestError, match="1 runs are held"):
        await restore_backup(tmp_path / "backup", url, tools, force=True)
    await statement(url, "UPDATE agent_sdk.runs SET lease_until = 0 WHERE owner IS NOT NULL")
    with pytest.raises(RequestError, match="there is a journal in this database"):
        await restore_backup(tmp_path / "backup", url, tools)
    await restore_backup(tmp_path / "backup", url, tools, force=True)
    journal = await PostgresJournal.open(url)
    with pytest.raises(NotFound):
        await journal.row(TENANT, RunId("run-3"))
    assert (await journal.row(TENANT, RUN)).state == "succeeded"
    await journal.close()


async def test_what_stands_beside_the_journal_in_its_database_is_left_alone(url: str, tools: Tools, tmp_path: Path) -> None:
    await statement(url, "CREATE TABLE public.theirs AS SELECT 7 AS number")
    await create_backup(url, tmp_path / "backup", tools)
    await statement(url, "UPDATE public.theirs SET number = 8")
    await restore_backup(tmp_path / "backup", url, tools, force=True)
    async with session(url) as connection:
        assert await value(connection, "SELECT number FROM public.theirs") == 8


async def test_a_restore_that_fails_leaves_the_journal_as_it_was(url: str, tools: Tools, tmp_path: Path) -> None:
    """Here it is a trigger of the database's that refuses every new table."""
    await create_backup(url, tmp_path / "backup", tools)
    await statement(url, "CREATE FUNCTION public.refuse() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not here'; END $$")
    await statement(url, "CREATE EVENT TRIGGER refuse ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION public.refuse()")
    with pytest.raises(StorageError, match="not here"):
        await restore_backup(tmp_path / "backup", url, tools, force=True)
    journal = await PostgresJournal.open(url)
    assert await audit(journal, TENANT) == Audit(1, 4, ())
    await journal.close()


async def test_a_server_is_reached_by_its_socket_too(postgres: PrivatePostgres, url: str, tools: Tools, tmp_path: Path) -> None:
    by_socket = f"postgresql:///{urlsplit(url).path[1:]}?host={postgres.root}&port={postgres.port}&user=postgres"
    await create_backup(by_socket, tmp_path / "backup", tools)
    assert (await verify_backup(tmp_path / "backup", tools, url=by_socket)).how == "restored"


async def test_an_archive_that_is_none_is_not_sound(url: str, tools: Tools, tmp_path: Path) -> None:
    await create_backup(url, tmp_path / "backup", tools)
    (tmp_path / "backup" / "journal.dump").write_bytes(b"PGDMP")
    assert "holds other bytes" in (await verify_backup(tmp_path / "backup", tools, url=url)).problems[0]


async def test_programs_that_are_missing_and_servers_that_are_away_are_told_without_the_password(
    postgres: PrivatePostgres, url: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="the program pg_dump is not in"):
        await create_backup(url, tmp_path / "backup", Tools(SystemClock(), tmp_path))
    assert list(tmp_path.iterdir()) == []
    away = url.replace(f":{postgres.port}/", ":1/")
    with pytest.raises(StorageError) as refused:
        await create_backup(away, tmp_path / "backup", Tools(SystemClock(), postgres.programs))
    assert (urlsplit(url).password or "") not in str(refused.value)


async def test_a_database_without_a_journal_lacks_every_migration_until_it_is_migrated(postgres_url: str) -> None:
    missing = await pending_migrations(postgres_url)
    assert missing
    assert await migrate_journal(postgres_url, clock=SystemClock()) == missing
    assert await pending_migrations(postgres_url) == []


def test_the_commands_back_up_and_say_how_deep_they_looked(
    url: str, fresh: str, postgres: PrivatePostgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    def command(*words: str) -> Result:
        return CliRunner().invoke(app, ["backup", *words, "--programs", str(postgres.programs)])

    assert command("create", "monday", "--journal", url).exit_code == 0
    listed = command("verify", "monday", "--journal", "sqlite:///none.db")
    assert listed.exit_code == 0
    assert "its runs were not checked: no server was named" in listed.stderr
    assert "were read back, and hold what was written" in command("verify", "monday", "--journal", url).stderr
    restored = command("restore", "monday", "--journal", fresh)
    assert restored.exit_code == 0
    assert "2 runs with 5 events are back" in restored.stderr
    again = command("restore", "monday", "--journal", fresh)
    assert again.exit_code == 2
    assert (urlsplit(url).password or "") not in again.output


class Ahead(SystemClock):
    """A machine whose clock is an hour off."""

    def now_us(self) -> int:
        return SystemClock().now_us() + 3_600_000_000


async def test_the_doctor_compares_clocks_and_goes_by_the_server_s(url: str) -> None:
    checks = {check.name: check for check in await examine(url, Examined(TENANT, SystemClock()))}
    assert {check.status for check in checks.values()} == {"ok"}
    checks = {check.name: check for check in await examine(url, Examined(OTHER_TENANT, Ahead()))}
    assert checks["clock"].status == "warn"
    assert checks["clock"].said.startswith("this machine's clock is 3600.")
    assert checks["due runs"].status == "ok"
