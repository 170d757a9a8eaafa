import sqlite3
from collections.abc import Iterator

import pytest

from agent_sdk.storage.follow import DUE, MAIL
from agent_sdk.storage.sqlite.tail import Tail


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.execute("CREATE TABLE runs (tenant, run_id, head, PRIMARY KEY (tenant, run_id)) WITHOUT ROWID")
    connection.executemany("INSERT INTO runs VALUES ('acme', ?, 1)", [(f"run-{number}",) for number in range(1000)])
    yield connection
    connection.close()


def test_of_a_thousand_followed_runs_those_that_moved_are_found_by_one_query(db: sqlite3.Connection) -> None:
    tail, keys = Tail(), [("acme", f"run-{number}") for number in range(1000)]
    assert tail.moved(db, keys) == keys
    db.execute("UPDATE runs SET head = 2 WHERE run_id IN ('run-7', 'run-900')")
    statements: list[str] = []
    db.set_trace_callback(statements.append)
    assert tail.moved(db, keys) == [("acme", "run-7"), ("acme", "run-900")]
    assert len(statements) == 1
    assert tail.moved(db, keys) == []


def test_a_run_that_is_followed_anew_is_looked_at(db: sqlite3.Connection) -> None:
    tail = Tail()
    assert tail.moved(db, [("acme", "run-1")]) == [("acme", "run-1")]
    assert tail.moved(db, [("acme", "run-1"), ("acme", "run-2"), ("acme", "gone")]) == [("acme", "run-2"), ("acme", "gone")]


def test_who_waits_for_mail_or_work_looks_each_time(db: sqlite3.Connection) -> None:
    tail = Tail()
    assert [tail.moved(db, [MAIL, DUE]) for _ in range(2)] == [[MAIL, DUE]] * 2
