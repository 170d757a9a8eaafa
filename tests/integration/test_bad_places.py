"""Places that no journal should have to lie in, and journals that others have been at: what is wrong is named, and nothing is lost."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from agent_sdk import Agent, App, Plan, RunFilter, Runtime, StepId, ToolStep, tool
from agent_sdk.core import envelope
from agent_sdk.core.errors import JournalCorrupt, JournalNewer, StorageFull
from agent_sdk.core.ports import Clock, Journal
from agent_sdk.runtime import runtime as runtime_module
from agent_sdk.storage.sqlite.journal import SqliteJournal
from tests.integration.rest import brought_to_rest, journal_in
from tests.integration.terminal import MAIN, ROOT, piped, surroundings

pytestmark = pytest.mark.slow

BAD_APP = Path(__file__).with_name("bad_app.py")
LIMITED = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000)); "
DUEL = """
import asyncio, sys
from agent_sdk import RunCancelled, RunFilter, Runtime
from bad import app, single

async def main(me, other):
    async with Runtime.open("sqlite:///agent.db", app=app) as runtime:
        run = await runtime.start(app.agent("hang").with_options(name=me), "wait")
        while not (found := await runtime.runs(RunFilter(agent=other))):
            await asyncio.sleep(0.02)
        await runtime.attach(found[0].run_id).cancel(note=f"by {me}")
        try:
            await run.result()
        except RunCancelled:
            print("cancelled")

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Return a directory that holds the app."""
    shutil.copy(BAD_APP, tmp_path / "bad.py")
    return tmp_path


def run_words(agent: str, *words: str) -> list[str]:
    return ["run", "go", "--app", "bad:app", "--agent", agent, *words]


def change(path: Path, sql: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute(sql)


def failing(place: Path, *words: str) -> tuple[int, str]:
    """Return how a command that must fail ended: its exit code, and the error's code."""
    done = piped(place, *words)
    assert "  hint: " in done.stderr
    assert "Traceback" not in done.stderr
    assert "internal_error" not in done.stderr
    first = next(line for line in done.stderr.splitlines() if line.startswith("error: "))
    code = first.rpartition("[")[2] if first.endswith("]") else done.stderr.partition("[")[2]
    return done.returncode, code.partition("]")[0]


def read_only(place: Path) -> str:
    if not os.geteuid() and Path("/sys").is_dir():  # where not even root makes a file
        return "/sys/agent.db"
    (place / "closed").mkdir(mode=0o500)
    return str(place / "closed" / "agent.db")


def linked(place: Path) -> str:
    (place / "a.db").symlink_to(place / "b.db")
    (place / "b.db").symlink_to(place / "a.db")
    return str(place / "a.db")


def piping(place: Path) -> str:
    os.mkfifo(place / "pipe.db")
    return str(place / "pipe.db")


def foreign(place: Path) -> str:
    change(place / "other.db", "CREATE TABLE customers (name TEXT)")
    return str(place / "other.db")


def holding(content: bytes) -> Callable[[Path], str]:
    def make(place: Path) -> str:
        (place / "bad.db").write_bytes(content)
        return str(place / "bad.db")

    return make


PLACES: dict[str, tuple[Callable[[Path], str], int, str]] = {
    "a directory": (str, 2, "config_invalid"),
    "a missing directory": (lambda place: f"{place}/none/agent.db", 2, "config_invalid"),
    "a file for a directory": (lambda place: f"{place}/bad.py/agent.db", 2, "config_invalid"),
    "a circle of links": (linked, 2, "config_invalid"),
    "a pipe": (piping, 2, "config_invalid"),
    "a device": (lambda _: "/dev/null", 2, "config_invalid"),
    "an endless name": (lambda place: f"{place}/{'x' * 300}.db", 2, "config_invalid"),
    "NUL": (lambda place: f"{place}/%00.db", 2, "config_invalid"),
    "another program's": (foreign, 2, "config_invalid"),
    "read-only": (read_only, 4, "storage_read_only"),
    "text": (holding(b"no database " * 1000), 4, "journal_corrupt"),
    "half a header": (holding(b"SQLite format 3\0" + b"\xa5" * 5000), 4, "journal_corrupt"),
}


@pytest.mark.parametrize("case", PLACES)
def test_a_place_where_no_journal_can_lie_is_named_with_a_way_out(case: str, place: Path) -> None:
    make, exit_code, code = PLACES[case]
    before = make(place)
    assert failing(place, *run_words("echo", "--journal", f"sqlite:///{before}")) == (exit_code, code)


def test_a_disk_that_fills_stops_the_run_which_is_resumed_when_there_is_room(place: Path) -> None:
    """A limit on the size of files stands for the disk: SQLite hears of both in the middle of a write."""
    words = [sys.executable, "-c", LIMITED + MAIN, *run_words("fill")]
    done = subprocess.run(words, cwd=place, env=surroundings(), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 4
    assert "can be resumed: agent-sdk runs resume run_" in done.stderr
    assert "[storage_f" in done.stderr
    resumed = piped(place, "runs", "resume", "run_", "--app", "bad:app", "--quiet")
    assert (resumed.returncode, len(resumed.stdout)) == (0, 400_001)


async def test_a_full_disk_says_so_and_keeps_what_was_acknowledged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def small(url: str, *, clock: Clock) -> Journal:
        return await SqliteJournal.open(Path(url.removeprefix("sqlite:///")), clock=clock, max_bytes=200_000)

    @tool(effect="read")
    async def fill() -> str:
        return os.urandom(200_000).hex()

    agent = Agent(name="filler", strategy="fixed", tools=[fill], plan=Plan((ToolStep(StepId("s"), "fill"),), result={"$ref": "s"}))
    with monkeypatch.context() as patched:
        patched.setattr(runtime_module, "open_journal", small)
        async with Runtime.open(journal_in(tmp_path), app=App([agent])) as runtime:
            with pytest.raises(StorageFull, match="full"):
                await (await runtime.start(agent, "fill it")).result()
    async with Runtime.open(journal_in(tmp_path), app=App([agent])) as runtime:
        (row,) = await runtime.runs(RunFilter())
        assert len(await (await runtime.resume(row.run_id)).result()) == 400_000


def test_a_damaged_journal_is_named_by_every_command_and_left_as_it_is(place: Path) -> None:
    assert piped(place, *run_words("fill", "-q")).returncode == 0
    whole = (place / "agent.db").read_bytes()
    for damaged in (whole[: len(whole) // 2], whole[:4096] + b"\xa5" * (len(whole) - 4096), whole[:50]):
        (place / "agent.db").write_bytes(damaged)
        for words in (["runs", "list"], ["runs", "show", "run_"], ["runs", "resume", "run_", "--app", "bad:app"], run_words("echo")):
            assert failing(place, *words) == (4, "journal_corrupt")
    (place / "agent.db").write_bytes(whole)
    assert len(piped(place, "runs", "show", "run_", "--json").stdout) > 400_000


def test_a_log_that_was_deleted_takes_the_newest_facts_with_it_and_no_more(place: Path) -> None:
    assert piped(place, *run_words("echo", "-q")).returncode == 0

    killed = f"""import os, threading, time
def end():
    while not os.path.exists("agent.db-wal"):
        time.sleep(0.05)
    time.sleep(1)
    os._exit(9)
threading.Thread(target=end, daemon=True).start()
{MAIN}"""
    subprocess.run([sys.executable, "-c", killed, *run_words("hang", "-q")], cwd=place, env=surroundings(), check=False, timeout=60)
    (place / "agent.db-wal").unlink()
    listed = json.loads(piped(place, "runs", "list", "--json").stdout)["runs"]
    assert [row["state"] for row in listed if row["agent"] == "echo"] == ["succeeded"]
    assert piped(place, *run_words("echo", "-q")).returncode == 0


def test_a_journal_of_a_newer_version_is_left_alone(place: Path) -> None:
    assert piped(place, *run_words("echo", "-q")).returncode == 0
    change(place / "agent.db", "INSERT INTO migrations VALUES (99, 'future', 'x', 0)")
    for words in (["runs", "list"], run_words("echo")):
        assert failing(place, *words) == (4, "journal_newer")


async def test_an_event_of_a_newer_version_is_shown_and_never_acted_upon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    @tool(effect="once")
    async def lose() -> str:
        raise ValueError("who knows")

    agent = Agent(name="loser", strategy="fixed", tools=[lose], plan=Plan((ToolStep(StepId("s"), "lose"),), result={"$ref": "s"}))
    with monkeypatch.context() as patched:
        patched.setattr(envelope, "VERSIONS", {"step.unknown": 2})
        run = await brought_to_rest(agent, tmp_path)
    async with Runtime.open(journal_in(tmp_path), app=App([agent])) as runtime:
        types = [fact.event.type async for fact in runtime.attach(run.run_id).facts()]
        assert "step.unknown" in types
        with pytest.raises(JournalNewer, match=r"step\.unknown") as refused:
            await (await runtime.resume(run.run_id)).settled()
        assert "upgrade" in (refused.value.hint or "")
        assert [row.owner for row in await runtime.runs()] == [None]


def test_an_altered_event_is_named_and_nothing_is_built_on_it(place: Path) -> None:
    assert piped(place, *run_words("lose", "-q")).returncode == 5
    change(place / "agent.db", """UPDATE events SET body = CAST(replace(body, 'lose', 'echo') AS BLOB) WHERE seq = 2""")
    done = piped(place, "runs", "resume", "run_", "--app", "bad:app")
    assert (done.returncode, done.stdout) == (4, "")
    assert "event 2 of run run_" in done.stderr
    assert "was altered or is missing" in done.stderr
    assert "nothing was performed" in done.stderr


async def test_an_altered_event_stops_a_runtime_too(tmp_path: Path) -> None:
    @tool(effect="once")
    async def lose() -> str:
        raise ValueError("who knows")

    agent = Agent(name="loser", strategy="fixed", tools=[lose], plan=Plan((ToolStep(StepId("s"), "lose"),), result={"$ref": "s"}))
    run = await brought_to_rest(agent, tmp_path)
    change(tmp_path / "agent.db", "DELETE FROM events WHERE seq = 5")
    async with Runtime.open(journal_in(tmp_path), app=App([agent])) as runtime:
        with pytest.raises(JournalCorrupt, match="event 5"):
            await runtime.resume(run.run_id)


def test_two_processes_on_one_file_cancel_one_another_s_runs(place: Path) -> None:
    words = [sys.executable, "-c", DUEL]
    environ = surroundings({"PYTHONPATH": f"{place}{os.pathsep}{ROOT}"})
    pairs = (("one", "other"), ("other", "one"))
    processes = [
        subprocess.Popen([*words, *pair], cwd=place, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for pair in pairs
    ]
    assert [process.communicate(timeout=60)[0] for process in processes] == ["cancelled\n"] * 2
    listed = json.loads(piped(place, "runs", "list", "--json").stdout)["runs"]
    assert sorted((row["agent"], row["state"]) for row in listed) == [("one", "cancelled"), ("other", "cancelled")]
    for row in listed:
        types = [json.loads(line)["type"] for line in piped(place, "runs", "events", row["run_id"], "--json").stdout.splitlines()]
        assert (types.count("run.cancel_requested"), types.count("run.cancelled"), types[-1]) == (1, 1, "run.cancelled")
