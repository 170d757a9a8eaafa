"""What an audit of a tenant says in sum."""

import sqlite3
from pathlib import Path

import pytest

from agent_sdk.core.errors import NotFound
from agent_sdk.core.ids import RunId
from agent_sdk.runtime.audit import Audit, audit
from agent_sdk.storage.audit import RunAudit
from agent_sdk.storage.sqlite.journal import SqliteJournal
from tests.contract.batches import RUN, TENANT, Clock, begin

OTHER = RunId("run-2")


async def test_only_the_runs_in_which_something_is_wrong_are_listed(tmp_path: Path) -> None:
    journal = await SqliteJournal.open(tmp_path / "agent.db", clock=Clock())
    for run_id in (RUN, OTHER):
        await (await begin(journal, run_id=run_id)).end()
    assert await audit(journal, TENANT) == Audit(2, 6, ())
    db = sqlite3.connect(journal.path)
    with db:
        db.execute("UPDATE events SET epoch = 7 WHERE run_id = 'run-2' AND seq = 2")
    db.close()
    wrong = (RunAudit(OTHER, 1, altered=2),)
    assert await audit(journal, TENANT) == Audit(2, 4, wrong)
    assert await audit(journal, TENANT, OTHER) == Audit(1, 1, wrong)
    assert await audit(journal, TENANT, RUN) == Audit(1, 3, ())
    assert await audit(journal, TENANT, newest=1) == Audit(1, 1, wrong)
    with pytest.raises(NotFound):
        await audit(journal, TENANT, RunId("run-3"))
    await journal.close()
