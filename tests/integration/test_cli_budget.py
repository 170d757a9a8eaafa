"""What operators do with budgets, by command, on a SQLite journal in the directory."""

import json
import logging
from collections.abc import Callable, Generator
from decimal import Decimal
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from agent_sdk.cli.budget import parse_amount
from agent_sdk.cli.main import app
from agent_sdk.core.budget import run_scope
from agent_sdk.core.errors import RequestError
from agent_sdk.core.events import Fact, RunClaimed, RunCreated, RunWaiting
from agent_sdk.core.ids import DEFAULT_TENANT, OwnerId, RunId
from agent_sdk.core.ports import Batch, LedgerChange
from agent_sdk.runtime.system import SystemClock
from agent_sdk.storage.sqlite.journal import SqliteJournal

Command = Callable[..., Result]
RUN = RunId("run_" + "b" * 24)


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
    """A journal with a run that waits for its budget: 2 calls are settled, and 1 is reserved."""
    journal = await SqliteJournal.open(tmp_path / "agent.db", clock=SystemClock())
    scope = run_scope(RUN)
    await journal.set_limit(DEFAULT_TENANT, f"{scope}:calls", 3)
    await journal.create(DEFAULT_TENANT, RUN, [Fact(1, 0, 0, RunCreated("clerk", "1", {}, goal="go", budgets=(scope,)))])
    claim = await journal.claim(DEFAULT_TENANT, RUN, OwnerId("me"), lease_s=30)
    facts = [Fact(2, claim.epoch, 0, RunClaimed(OwnerId("me"))), Fact(3, claim.epoch, 0, RunWaiting("budget"))]
    spent = [LedgerChange(f"{scope}:calls", 1, 2)]
    await journal.append(Batch(DEFAULT_TENANT, RUN, claim.epoch, 1, facts, "waiting", "budget", ledger=spent, releases=True))
    await journal.close()
    return journal.path


def rows(result: Result) -> dict[str, list[str]]:
    return {line.split()[0]: line.split()[1:] for line in result.stdout.splitlines()[1:]}


def test_a_budget_of_the_tenant_is_set_and_shown(command: Command, path: Path) -> None:
    result = command("budget", "set", "--usd", "10.50", "--tokens", "1000000")
    assert result.exit_code == 0
    assert "budget of the tenant" in result.stderr
    assert rows(result) == {
        "usd": ["10.5", "0", "0", "10.5"],
        "tokens": ["1,000,000", "0", "0", "1,000,000"],
        "calls": ["none", "0", "0", "none"],
    }
    assert rows(command("budget", "show")) == rows(result)


def test_spending_that_nobody_counts_is_not_shown_as_none(command: Command, path: Path) -> None:
    for words in ((), ("--session", "talk")):
        result = command("budget", "show", *words)
        assert (result.exit_code, result.stdout) == (0, "no limit, spending not counted\n")
        record = json.loads(command("budget", "show", *words, "--json").stdout)
        assert record["usd"] == {"limit": None, "spent": None, "reserved": None, "left": None}


def test_a_limit_that_was_removed_leaves_what_was_counted_under_it(command: Command, path: Path) -> None:
    result = command("budget", "set", "--run", "bbbb", "--calls", "none")
    assert rows(result)["calls"] == ["none", "2", "1", "none"]
    assert "no limit any more: what runs spend that begin now is not counted" in result.stderr
    assert rows(command("budget", "set", "--calls", "3"))["calls"] == ["3", "0", "0", "3"]


def test_what_is_not_named_stays_and_none_removes(command: Command, path: Path) -> None:
    command("budget", "set", "--usd", "1", "--calls", "7", "--session", "talk")
    result = command("budget", "set", "--calls", "none", "--session", "talk", "--json")
    record = json.loads(result.stdout)
    assert record["scope"] == "session/talk"
    assert (record["usd"]["limit"], record["calls"]["limit"]) == ("1", None)
    assert json.loads(command("budget", "show", "--json").stdout)["usd"]["limit"] is None


def test_the_budget_of_a_run_is_raised_and_the_run_is_told(command: Command, path: Path) -> None:
    assert rows(command("budget", "show", "--run", "bbbb"))["calls"] == ["3", "2", "1", "0"]
    result = command("budget", "set", "--run", "bbbb", "--calls", "10", "--json")
    record = json.loads(result.stdout)
    assert record["scope"] == f"run/{RUN}"
    assert record["calls"] == {"limit": 10, "spent": 2, "reserved": 1, "left": 7}
    lowered = command("budget", "set", "--run", RUN, "--calls", "1")
    assert rows(lowered)["calls"] == ["1", "2", "1", "0"]


WRONG: dict[str, tuple[tuple[str, ...], str]] = {
    "nothing to set": (("set",), "no limit is given"),
    "no amount": (("set", "--usd", "ten"), "--usd 'ten' is no amount"),
    "not a number": (("set", "--usd", "NaN"), "--usd 'NaN' is no amount"),
    "endless": (("set", "--usd", "Infinity"), "is no amount"),
    "half a token": (("set", "--tokens", "1.5"), "--tokens '1.5' is no amount"),
    "less than nothing": (("set", "--calls", "-1"), "--calls '-1' is no amount"),
    "more than can be counted": (("set", "--usd", "1e400000"), "cannot be more than"),
    "both": (("show", "--session", "talk", "--run", "bbbb"), "of a session or that of a run"),
    "no such run": (("show", "--run", "zzzz"), "there is no run zzzz"),
    "an empty session": (("set", "--calls", "1", "--session", ""), "name is empty"),
}


@pytest.mark.parametrize(("words", "told"), WRONG.values(), ids=WRONG)
def test_what_makes_no_sense_is_refused_with_a_way_out(command: Command, path: Path, words: tuple[str, ...], told: str) -> None:
    result = command("budget", *words)
    assert result.exit_code != 0
    assert told in result.stderr
    assert "hint: " in result.stderr
    assert json.loads(command("budget", *words, "--json").stdout)["failure"]["hint"]


def test_an_amount_that_is_none_is_told_by_an_example_of_its_kind() -> None:
    with pytest.raises(RequestError) as caught:
        parse_amount("--budget", "-1", Decimal)
    assert "10.50" in (caught.value.hint or "")
    with pytest.raises(RequestError) as caught:
        parse_amount("--calls", "-1", int)
    assert "1000000" in (caught.value.hint or "")


def test_a_journal_that_is_not_there_is_not_made(command: Command, tmp_path: Path) -> None:
    assert "there is no journal" in command("budget", "show").stderr
    assert list(tmp_path.iterdir()) == []
