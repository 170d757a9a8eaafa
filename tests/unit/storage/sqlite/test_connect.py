"""The connections to a journal's file: what they are set to, whatever SQLite was built with."""

from contextlib import closing
from pathlib import Path

from agent_sdk.storage.sqlite.connect import connect_writer


def test_the_writer_syncs_each_commit_and_overwrites_what_is_deleted(tmp_path: Path) -> None:
    with closing(connect_writer(tmp_path / "agent.db", now_us=0, busy_timeout_s=1.0, max_bytes=None)) as db:
        settings = {name: db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous", "secure_delete")}
    assert settings == {"journal_mode": "wal", "synchronous": 2, "secure_delete": 1}
