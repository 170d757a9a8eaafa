"""What operators do with a journal, by command: audit, backup, retention, doctor and migrate, on a SQLite journal in the directory."""

import json
import logging
import sqlite3
from collections.abc import Callable, Generator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from agent_sdk.cli.main import app
from agent_sdk.core.ids import DEFAULT_TENANT, RunId
from agent_sdk.runtime.system import SystemClock
from agent_sdk.storage.sqlite.journal import SqliteJournal
from agent_sdk.storage.sqlite.migrate import migrate, migrations
from tests.contract.batches import begin, created

Command = Callable[..., Result]
ENDED, QUEUED = RunId("run_" + "e" * 24), RunId("run_" + "q" * 24)


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Command]:
    monkeypatch.chdir(tmp_path)
    logger = logging.getLogger("agent_sdk")
    before = logger.level, list(logger.handlers), logger.propagate
    yield lambda *words: CliRunner().invoke(app, list(words))
    logger.level, logger.handlers, logger.propagate = before[0], before[1], before[2]
    logger.setLevel(before[0])


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    """A journal with a run that has ended, and one that nobody has taken."""
    journal = await SqliteJournal.open(tmp_path / "agent.db", clock=SystemClock())
    await (await begin(journal, tenant=DEFAULT_TENANT, run_id=ENDED)).end()
    await journal.create(DEFAULT_TENANT, QUEUED, [created()])
    await journal.close()
    return journal.path


def tamper(path: Path, statement: str) -> None:
    db = sqlite3.connect(path)
    with db:
        db.execute(statement)
    db.close()


def age(path: Path, days: float) -> None:
    tamper(path, f"UPDATE runs SET updated_at = updated_at - {int(days * 86_400_000_000)}")


def test_an_audit_of_a_sound_journal_says_how_much_was_looked_at(command: Command, path: Path) -> None:
    result = command("audit", "verify")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == "2 runs with 4 events hold what was written\n"


def test_an_audit_names_the_first_altered_event_and_fails(command: Command, path: Path) -> None:
    tamper(path, f"UPDATE events SET body = '{{}}' WHERE run_id = '{ENDED}' AND seq = 2")
    result = command("audit", "verify")
    assert result.exit_code == 4
    assert result.stdout == f"event 2 of run {ENDED} was altered or is missing\n"
    assert "1 of 2 runs do not hold what was written" in result.stderr
    told = json.loads(command("audit", "verify", ENDED, "--json").stdout)
    assert told == {"v": 1, "runs": 1, "events": 1, "unsound": [{"run_id": ENDED, "altered_event": 2, "artifacts": []}]}
    assert command("audit", "verify", "qqq").exit_code == 0


def test_a_run_or_a_journal_that_is_not_there_cannot_be_audited(command: Command, path: Path) -> None:
    assert command("audit", "verify", "nobody").exit_code == 2
    result = command("audit", "verify", "--json", "--journal", "sqlite:///none.db")
    assert result.exit_code == 2
    assert json.loads(result.stdout)["failure"]["code"] == "not_found"


def test_a_backup_is_made_checked_and_brought_back(command: Command, path: Path) -> None:
    created = command("backup", "create", "monday")
    assert (created.exit_code, created.stdout) == (0, "")
    assert created.stderr.startswith("2 runs with 4 events are in monday")
    assert command("backup", "create", "monday").exit_code == 2
    verified = command("backup", "verify", "monday")
    assert verified.exit_code == 0
    assert verified.stderr.startswith("2 runs with 4 events were read back, and hold what was written at ")
    assert command("backup", "restore", "monday").exit_code == 2
    restored = command("backup", "restore", "monday", "--journal", "sqlite:///new.db")
    assert restored.exit_code == 0
    assert "1 of them had not ended" in restored.stderr
    assert command("audit", "verify", "--journal", "sqlite:///new.db").exit_code == 0
    assert command("backup", "restore", "monday", "--force", "--json").exit_code == 0


def test_what_programs_read_of_a_backup_is_json(command: Command, path: Path) -> None:
    told = json.loads(command("backup", "create", "monday", "--json").stdout)
    assert (told["v"], told["backup"], told["store"], told["runs"], told["unfinished"], told["events"]) == (1, "monday", "sqlite", 2, 1, 4)
    assert told["created_at"].endswith("Z")
    told = json.loads(command("backup", "verify", "monday", "--json").stdout)
    assert (told["how"], told["problems"], told["why_not"]) == ("restored", [], None)


def test_a_spoilt_backup_fails_its_check(command: Command, path: Path) -> None:
    command("backup", "create", "monday")
    copy = Path("monday/journal.db")
    copy.write_bytes(copy.read_bytes() + b"!")
    result = command("backup", "verify", "monday")
    assert result.exit_code == 4
    assert "holds other bytes than were written" in result.stdout
    assert command("backup", "restore", "monday", "--journal", "sqlite:///new.db").exit_code == 4
    assert not Path("new.db").exists()


def test_a_backup_of_no_journal_is_refused_and_makes_none(command: Command, tmp_path: Path) -> None:
    assert command("backup", "create", "monday").exit_code == 2
    assert list(tmp_path.iterdir()) == []


def test_without_settings_nothing_is_deleted(command: Command, path: Path) -> None:
    age(path, 10_000)
    result = command("retention", "apply")
    assert result.exit_code == 0
    assert result.stderr == "all runs are kept: no setting says otherwise, such as retention.succeeded_days\n"
    assert command("runs", "show", ENDED).exit_code == 0


def test_the_settings_say_what_is_deleted_and_a_dry_run_only_counts(command: Command, path: Path) -> None:
    age(path, 31)
    Path("agent-sdk.yaml").write_text("retention: {succeeded_days: 30, failed_days: 90}\n", encoding="utf-8")
    counted = command("retention", "apply", "--dry-run")
    assert counted.stderr.splitlines() == [
        "1 succeeded runs that ended more than 30 days ago would be deleted",
        "0 failed runs that ended more than 90 days ago would be deleted",
    ]
    told = json.loads(command("retention", "apply", "--json").stdout)
    assert told["rules"][0] == {"state": "succeeded", "older_than_days": 30, "runs": 1}
    assert (told["tenant"], told["dry_run"], told["artifacts"]) == ("default", False, 0)
    assert command("runs", "show", ENDED).exit_code == 2
    assert command("runs", "show", QUEUED).exit_code == 0
    assert "0 artifacts that no run names deleted" in command("retention", "apply").stderr


def test_the_doctor_names_what_waits_and_what_to_do(command: Command, path: Path) -> None:
    assert {line.split()[0] for line in command("doctor").stdout.splitlines()} == {"ok"}
    age(path, 1)
    result = command("doctor")
    assert result.exit_code == 0
    due = [line for line in result.stdout.splitlines() if line.startswith("warn")]
    assert len(due) == 1
    assert f"1 are due, and nobody takes them, for up to 24 h: {QUEUED}" in due[0]
    assert "hint: start a worker" in result.stdout
    told = json.loads(command("doctor", "--json").stdout)
    assert told["status"] == "warn"
    assert [check["runs"] for check in told["checks"] if check["status"] == "warn"] == [[QUEUED]]


def test_the_doctor_tells_of_an_agent_that_the_app_does_not_carry(command: Command, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    age(path, 1)
    Path("upkeep_app.py").write_text("from agent_sdk import Agent\nagent = Agent(name='analyst', version='1')\n", encoding="utf-8")
    result = command("doctor", "--app", "upkeep_app:agent")
    assert result.exit_code == 0
    assert "this app does not carry clerk 1" in result.stdout


def test_the_doctor_fails_where_the_journal_does(command: Command, path: Path) -> None:
    tamper(path, "UPDATE events SET at = 1 WHERE seq = 1")
    result = command("doctor")
    assert result.exit_code == 4
    assert "fail  chains" in result.stdout
    assert command("doctor", "--journal", "sqlite:///none.db").exit_code == 4
    assert not Path("none.db").exists()


def test_migrate_tells_what_is_missing_and_applies_it(command: Command, tmp_path: Path) -> None:
    db = sqlite3.connect(tmp_path / "agent.db", isolation_level=None)
    migrate(db, tmp_path / "agent.db", now_us=0, known=migrations()[:1])
    db.close()
    missing = [migration.number for migration in migrations()[1:]]
    checked = command("migrate", "--check")
    assert checked.exit_code == (4 if missing else 0)
    assert json.loads(command("migrate", "--check", "--json").stdout) == {"v": 1, "pending": missing}
    assert command("migrate").exit_code == 0
    assert command("migrate", "--check").stderr == "sqlite:///agent.db is up to date\n"
    assert json.loads(command("migrate", "--json").stdout) == {"v": 1, "applied": []}
