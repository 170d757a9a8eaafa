"""A PostgreSQL server of one's own: what it keeps, and that nothing is left of it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent_sdk.core.errors import OutsideError
from agent_sdk.testing.postgres import PrivatePostgres
from agent_sdk.testing.postgres_programs import PostgresMissing, copy_programs, find_programs

pytestmark = pytest.mark.slow

START_AND_WAIT = """
import sys
from agent_sdk.testing.postgres import PrivatePostgres
server = PrivatePostgres()
server.start()
print(server.root, server.pid, flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def server() -> Iterator[PrivatePostgres]:
    """A server that tests may stop and start, and leave running."""
    server = PrivatePostgres()
    try:
        server.start()
    except PostgresMissing as missing:
        pytest.skip(str(missing))
    yield server
    server.close()


def sql(server: PrivatePostgres, statement: str) -> str:
    assert server.programs is not None
    told = subprocess.run([server.programs / "psql", server.url(), "-XAtc", statement], capture_output=True, text=True, check=False)
    return told.stdout.strip() or told.stderr.strip()


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_what_was_committed_outlives_a_restart(server: PrivatePostgres, mode: str) -> None:
    sql(server, "DROP TABLE IF EXISTS kept; CREATE TABLE kept AS SELECT 7 AS number")
    before = server.url()
    server.restart("immediate" if mode == "immediate" else "fast")
    assert server.url() == before
    assert sql(server, "SELECT number FROM kept") == "7"


def test_a_stopped_server_answers_nobody_until_it_is_started(server: PrivatePostgres) -> None:
    server.stop()
    assert "refused" in sql(server, "SELECT 1")
    server.start()
    assert sql(server, "SELECT 1") == "1"


def test_a_database_is_a_copy_of_its_template_and_can_be_dropped_while_in_use(server: PrivatePostgres) -> None:
    sql(server, "CREATE TABLE in_template (x int)")
    url = server.create_database("copy", template="postgres")
    assert url == server.url("copy")
    assert server.programs is not None
    user = subprocess.Popen(
        [server.programs / "psql", url, "-XAtc", "SELECT count(*), pg_sleep(30) FROM in_template"], stderr=subprocess.PIPE
    )
    while sql(server, "SELECT count(*) FROM pg_stat_activity WHERE datname = 'copy'") != "1":
        time.sleep(0.01)
    server.drop_database("copy")
    assert user.stderr is not None
    with user:
        assert b"terminating connection" in user.stderr.read()


def test_who_has_no_password_is_refused(server: PrivatePostgres) -> None:
    assert server.programs is not None
    stranger = [str(server.programs / "psql"), f"postgresql://postgres@127.0.0.1:{server.port}/postgres", "-wXAtc", "SELECT 1"]
    assert b"no password supplied" in subprocess.run(stranger, capture_output=True, check=False, env={"HOME": "/"}).stderr


def test_the_wheel_s_own_programs_serve_root_and_others_alike() -> None:
    try:
        programs = find_programs(path="", places=[])
    except PostgresMissing as missing:
        pytest.skip(str(missing))
    with PrivatePostgres(programs=programs, durable=True) as server:
        assert sql(server, "SELECT current_setting('fsync')") == "on"
        server.restart("immediate")
        assert sql(server, "SELECT 1") == "1"


def test_programs_in_a_directory_that_is_closed_to_others_are_copied_for_whom_root_has_run_the_server(tmp_path: Path) -> None:
    try:
        programs = find_programs(path="", places=[])
    except PostgresMissing as missing:
        pytest.skip(str(missing))
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    with PrivatePostgres(programs=copy_programs(programs, closed)) as server:
        assert server.programs is not None
        assert server.programs.is_relative_to(server.root) == (os.geteuid() == 0)
        assert sql(server, "SELECT 1") == "1"


def test_a_wrong_setting_is_told_with_the_server_s_log() -> None:
    with pytest.raises(OutsideError, match="max_connections"):
        PrivatePostgres(settings={"max_connections": "many"}).start()


@pytest.mark.usefixtures("server")
def test_nothing_is_left_of_a_closed_server() -> None:
    with PrivatePostgres() as server:
        root, pid = server.root, server.pid
    assert not root.exists()
    assert not is_alive(pid)
    with pytest.raises(OutsideError, match="was not started"):
        server.stop()


@pytest.mark.usefixtures("server")
def test_a_server_does_not_outlive_the_process_that_made_it() -> None:
    with subprocess.Popen([sys.executable, "-c", START_AND_WAIT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as maker:
        assert maker.stdout is not None
        root, pid = maker.stdout.readline().split()
        assert is_alive(int(pid))
        maker.send_signal(signal.SIGKILL)
    until = time.monotonic() + 20
    while Path(root).exists() or is_alive(int(pid)):
        assert time.monotonic() < until, "the server was left behind"
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    """Say whether it runs: who ended, but was not yet waited for by the system's first process, does not."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout.strip()
    return bool(state) and not state.startswith("Z")
