import io
import json
import logging
import stat
from datetime import UTC
from pathlib import Path

import pytest

from agent_sdk.core.events import RunCreated, RunWoken, StepFailed, StepStarted
from agent_sdk.core.ids import StepId
from agent_sdk.observability.sinks import EVENT_LOGGER, ConsoleSink, JsonLinesSink, LoggingSink, render_fact
from tests.unit.observability.samples import EVENTS, RUN, SECRET, TENANT, facts_of


def lines_of(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


async def test_the_console_gets_a_line_a_fact() -> None:
    stream = io.StringIO()
    failed = StepFailed(StepId("count"), 1, "tool_failed", message="no such\nfile", hint="look")
    await ConsoleSink(stream, zone=UTC).take(TENANT, RUN, facts_of(StepStarted(StepId("count")), failed))
    assert stream.getvalue().splitlines() == [
        "22:13:20.000  info   run-1  step.started      count started",
        "22:13:20.000  error  run-1  step.failed       count failed: tool_failed - no such\\nfile; hint: look",
    ]


def test_a_users_text_neither_steers_the_terminal_nor_fills_it() -> None:
    (fact,) = facts_of(RunCreated("a", "1", {}, goal="\x1b[2J" + "word " * 200))
    line = render_fact(RUN, fact)
    assert line.isprintable()
    assert len(line) < 500


async def test_a_terminal_that_cannot_show_a_letter_shows_its_escape() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    await ConsoleSink(stream).take(TENANT, RUN, facts_of(RunCreated("a", "1", {}, goal="zähle")))
    assert rb"z\xe4hle" in raw.getvalue()


async def test_json_lines_are_appended_one_object_a_fact(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    facts = facts_of(*EVENTS)
    for batch in (facts[:3], facts[3:]):
        await JsonLinesSink(path).take(TENANT, RUN, batch)
    records = [json.loads(line) for line in lines_of(path)]
    assert [record["seq"] for record in records] == [fact.seq for fact in facts]
    assert records[16]["data"]["output"] == ["the key is [redacted]", {"token": "[redacted]"}]


async def test_json_lines_are_for_their_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    await JsonLinesSink(path).take(TENANT, RUN, facts_of(RunWoken()))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_a_line_that_was_torn_apart_spoils_no_other(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text('{"seq": 1, "da', encoding="utf-8")
    await JsonLinesSink(path).take(TENANT, RUN, facts_of(RunWoken()))
    torn, whole = lines_of(path)
    assert torn == '{"seq": 1, "da'
    assert json.loads(whole)["seq"] == 1


async def test_a_file_that_was_moved_away_is_begun_anew(tmp_path: Path) -> None:
    path, sink = tmp_path / "events.jsonl", JsonLinesSink(tmp_path / "events.jsonl")
    await sink.take(TENANT, RUN, facts_of(RunWoken()))
    path.rename(tmp_path / "old.jsonl")
    await sink.take(TENANT, RUN, facts_of(RunWoken()))
    assert len(lines_of(path)) == len(lines_of(tmp_path / "old.jsonl")) == 1


async def test_a_place_that_cannot_be_written_is_the_sinks_failure(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="missing"):
        await JsonLinesSink(tmp_path / "missing" / "events.jsonl").take(TENANT, RUN, facts_of(RunWoken()))


async def test_the_log_gets_a_record_a_fact_at_its_severity_and_without_content(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger=EVENT_LOGGER):
        await LoggingSink().take(TENANT, RUN, facts_of(*EVENTS))
    assert len(caplog.records) == len(EVENTS)
    levels = {vars(record)["event"]["type"]: record.levelname for record in caplog.records}
    assert (levels["step.started"], levels["step.retried"], levels["step.failed"]) == ("INFO", "WARNING", "ERROR")
    failed = vars(next(record for record in caplog.records if vars(record)["event"]["type"] == "step.failed"))
    assert (failed["run_id"], failed["step_id"], failed["event"]["data"]["code"]) == (RUN, "count", "tool_failed")
    assert SECRET not in repr([vars(record) for record in caplog.records])


async def test_facts_below_the_level_are_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, logger=EVENT_LOGGER):
        await LoggingSink().take(TENANT, RUN, facts_of(RunWoken()))
    assert caplog.records == []
