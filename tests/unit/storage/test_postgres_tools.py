"""PostgreSQL's programs: which is taken, what it is given, and what is told where it fails. The programs here only look like them."""

from pathlib import Path

import pytest

from agent_sdk.core.errors import ConfigError, StorageError
from agent_sdk.storage.postgres_tools import PostgresTools, with_database

TELL = r"""#!/bin/sh
for word in "$@"; do echo "$word"; done
file=$(printf %s "$*" | sed -n 's/.*passfile=\([^& ]*\).*/\1/p' | sed 's|%2F|/|g')
[ -z "$file" ] || { cat "$file"; ls -l "$file" | cut -c 1-10; }
"""


def tools(directory: Path, script: str, name: str = "pg_dump") -> PostgresTools:
    program = directory / name
    program.write_text(script, encoding="utf-8")
    program.chmod(0o755)
    return PostgresTools(directory)


async def test_the_password_is_in_a_file_for_us_alone_and_in_no_argument(tmp_path: Path) -> None:
    url = "postgresql://anna:p%3Aw%5C@db.example:5433/agents?sslmode=require&pool=4&statement_timeout=30s"
    told = (await tools(tmp_path, TELL).run("pg_dump", "--file=x", url=url)).splitlines()
    assert told[0] == "--no-password"
    assert told[1].startswith("--dbname=postgresql://anna@db.example:5433/agents?sslmode=require&passfile=")
    assert told[2:] == ["--file=x", "*:*:*:*:p\\:w\\\\", "-rw-------"]


async def test_a_password_among_the_options_is_kept_from_the_arguments_too(tmp_path: Path) -> None:
    told = await tools(tmp_path, TELL).run("pg_dump", url="postgres:///agents?host=/tmp&password=secret")
    arguments, _, file = told.partition("*:*:*:*:")
    assert "secret" not in arguments
    assert file.startswith("secret\n")


async def test_without_a_password_none_is_given(tmp_path: Path) -> None:
    told = await tools(tmp_path, TELL).run("pg_dump", url="postgresql://localhost/agents")
    assert told.splitlines() == ["--no-password", "--dbname=postgresql://localhost/agents"]


@pytest.mark.parametrize(
    ("url", "other"),
    [
        ("postgresql://anna:pw@db:5433/agents?pool=4", "postgresql://anna:pw@db:5433/scratch?pool=4"),
        ("postgres:///agents?host=/run/postgresql", "postgresql:///scratch?host=%2Frun%2Fpostgresql"),
        ("postgresql://db?dbname=agents&database=too", "postgresql://db/scratch"),
    ],
)
async def test_another_database_of_the_server_is_named_by_all_alike(tmp_path: Path, url: str, other: str) -> None:
    assert with_database(url, "scratch") == other
    told = await tools(tmp_path, TELL).run("pg_dump", url=with_database(url, "scratch"))
    assert "/scratch" in told
    assert "agents" not in told


async def test_the_database_in_the_path_counts_more_than_one_in_the_options(tmp_path: Path) -> None:
    program = tools(tmp_path, TELL)
    assert await program.run("pg_dump", url="postgresql://db/one?dbname=two") == "--no-password\n--dbname=postgresql://db/one\n"
    assert await program.run("pg_dump", url="postgresql://db?dbname=two") == "--no-password\n--dbname=postgresql://db/two\n"


async def test_a_missing_program_is_told_with_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="the program pg_dump is not in") as refused:
        await PostgresTools(tmp_path).run("pg_dump")
    assert refused.value.hint is not None
    assert "postgresql-client" in refused.value.hint


async def test_a_program_that_fails_is_told_in_its_own_words(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"^pg_dump failed: no such table$"):
        await tools(tmp_path, "#!/bin/sh\necho no such table >&2\nexit 1\n").run("pg_dump")


@pytest.mark.parametrize(
    ("words", "server", "is_refused"), [("18.1", 18, False), ("18.1", 15, False), ("15.18 (Debian)", 18, True), ("?", 15, True)]
)
async def test_a_program_older_than_the_server_is_refused(tmp_path: Path, words: str, server: int, is_refused: bool) -> None:
    found = tools(tmp_path, f"#!/bin/sh\necho 'pg_dump (PostgreSQL) {words}'\n")
    if is_refused:
        with pytest.raises(ConfigError, match="older than the server"):
            await found.require_newest("pg_dump", server)
    else:
        await found.require_newest("pg_dump", server)
