import asyncio
import io
import json
import logging
from collections.abc import Generator
from datetime import UTC
from typing import TextIO

import pytest
from pydantic import JsonValue

from agent_sdk.core.errors import RateLimited, StorageError
from agent_sdk.core.ids import RunId, StepId, TenantId
from agent_sdk.observability.logs import (
    MAX_CAUSES,
    LogContext,
    LogFormat,
    LogHandler,
    TextFormatter,
    bind,
    bound,
    configure_logging,
    describe_error,
    trace_id_of,
)
from tests.unit.observability.samples import RUN, SECRET

NAME = "agent_sdk_logs_under_test"
log = logging.getLogger(NAME)


class Mute:
    def __str__(self) -> str:
        raise RuntimeError("no words")

    __repr__ = __str__


@pytest.fixture(autouse=True)
def restored() -> Generator[None]:
    yield
    for handler in list(log.handlers):
        log.removeHandler(handler)
    log.propagate = True
    log.setLevel(logging.NOTSET)


def configured(form: LogFormat = "json", stream: TextIO | None = None) -> io.StringIO:
    made = io.StringIO()
    configure_logging("INFO", form, stream if stream is not None else made, logger=NAME)
    return made


def entry_of(stream: io.StringIO) -> dict[str, JsonValue]:
    (line,) = stream.getvalue().splitlines()
    entry: dict[str, JsonValue] = json.loads(line)
    return entry


def raised(error: BaseException, cause: BaseException | None = None) -> BaseException:
    try:
        raise error from cause  # noqa: TRY301  (only what was raised has a traceback)
    except BaseException as caught:  # noqa: BLE001  (any error at all)
        return caught


def test_a_record_is_one_json_object_with_its_place() -> None:
    stream = configured()
    with bind(tenant=TenantId("acme"), run_id=RUN), bind(step_id=StepId("count")):
        log.warning("counted %d", 3, extra={"size_bytes": 12})
    entry = entry_of(stream)
    ts = entry.pop("ts")
    assert isinstance(ts, str)
    assert ts.endswith("Z")
    assert len(ts) == len("2026-01-02T03:04:05.123456Z")
    assert entry == {
        "level": "warning",
        "logger": NAME,
        "message": "counted 3",
        "tenant": "acme",
        "run_id": "run-1",
        "step_id": "count",
        "trace_id": trace_id_of(RUN),
        "data": {"size_bytes": 12},
    }


def test_outside_of_a_run_the_place_is_empty() -> None:
    stream = configured()
    log.info("hello")
    entry = entry_of(stream)
    assert (entry["tenant"], entry["run_id"], entry["step_id"], entry["trace_id"]) == (None, None, None, None)
    assert "data" not in entry
    assert "error" not in entry


def test_what_the_record_says_goes_before_what_is_bound() -> None:
    stream = configured()
    with bind(run_id=RUN):
        log.info("hello", extra={"run_id": "run-2"})
    entry = entry_of(stream)
    assert (entry["run_id"], entry["trace_id"]) == ("run-2", trace_id_of(RunId("run-2")))


def test_what_is_bound_ends_with_the_block_and_a_run_inside_a_trace_stays_in_it() -> None:
    with bind(run_id=RUN, trace_id="ab" * 16):
        with bind(run_id=RunId("child")):
            assert bound() == LogContext(None, RunId("child"), None, "ab" * 16)
        assert bound().run_id == RUN
    assert bound() == LogContext()


def test_a_trace_id_is_the_same_in_every_process() -> None:
    assert trace_id_of(RunId("run-1")) == "4e65d3fbe8ad6535681b021b30785b12"


async def test_tasks_and_tool_threads_inherit_the_place_and_side_by_side_runs_do_not_mix() -> None:
    stream = configured()

    async def walk(run_id: RunId) -> None:
        with bind(run_id=run_id):
            await asyncio.to_thread(log.info, "%s", run_id)

    async with asyncio.TaskGroup() as tasks:
        for number in range(5):
            tasks.create_task(walk(RunId(f"run-{number}")))
    entries = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert len(entries) == 5
    assert all(entry["message"] == entry["run_id"] for entry in entries)


def test_an_error_is_told_with_code_hint_and_causes() -> None:
    stream = configured()
    error = raised(StorageError("cannot write", hint="free some space"), raised(RateLimited("slow down"), raised(OSError("full"))))
    log.error("no", exc_info=error)
    told = entry_of(stream)["error"]
    assert isinstance(told, dict)
    assert "cannot write" in str(told["traceback"])
    del told["traceback"]
    assert told == {
        "type": "StorageError",
        "message": "cannot write",
        "code": "storage_failed",
        "hint": "free some space",
        "causes": [{"type": "RateLimited", "message": "slow down", "code": "model_rate_limited"}, {"type": "OSError", "message": "full"}],
    }


def test_what_was_raised_while_handling_counts_as_cause_unless_it_was_hidden() -> None:
    first, second = ValueError("first"), ValueError("second")
    second.__context__ = first
    assert causes_of(second) == ["first"]
    second.__suppress_context__ = True
    assert causes_of(second) == []


def test_causes_that_go_round_or_on_forever_come_to_an_end() -> None:
    first, second = ValueError("first"), ValueError("second")
    first.__cause__, second.__cause__ = second, first
    assert causes_of(first) == ["second"]
    last = ValueError("0")
    for number in range(50):
        following = ValueError(str(number))
        following.__cause__ = last
        last = following
    assert len(causes_of(last)) == MAX_CAUSES


def causes_of(error: BaseException) -> list[JsonValue]:
    causes = describe_error(error)["causes"]
    assert isinstance(causes, list)
    return [cause["message"] for cause in causes if isinstance(cause, dict)]


@pytest.mark.parametrize("form", ["json", "text"])
def test_no_secret_reaches_the_stream(form: LogFormat) -> None:
    stream = configured(form)
    with bind(run_id=RUN):
        log.error(
            "the key %s of https://u:hunter22@host",
            SECRET,
            exc_info=raised(ValueError(SECRET), raised(KeyError(SECRET))),
            extra={"api_key": "hunter22", "list": [{"password": "hunter22"}, SECRET], SECRET: 1},
        )
    text = stream.getvalue()
    assert SECRET not in text
    assert "hunter22" not in text
    assert text.count("[redacted]") >= 6


@pytest.mark.parametrize("form", ["json", "text"])
def test_whatever_is_logged_nothing_is_raised_and_the_record_is_kept(form: LogFormat, capsys: pytest.CaptureFixture[str]) -> None:
    stream = configured(form)
    loop: list[object] = []
    loop.append(loop)
    log.info("too %d %d", "few", extra={"mute": Mute(), "loop": loop, "nan": float("nan"), "lone": "\ud800"})
    log.info(Mute())
    log.error("mute", exc_info=ValueError(Mute()))
    assert len([line for line in stream.getvalue().splitlines() if NAME in line]) == 3
    assert capsys.readouterr().err == ""
    if form == "json":
        for line in stream.getvalue().splitlines():
            json.loads(line)


def test_a_stream_that_cannot_be_written_costs_the_record_and_tells_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    closed = io.StringIO()
    closed.close()
    configured(stream=closed)
    log.info("the key is %s", SECRET)
    (handler,) = log.handlers
    assert isinstance(handler, LogHandler)
    assert handler.lost == 1
    assert capsys.readouterr().err == ""


def test_a_stream_of_a_narrow_encoding_gets_escapes() -> None:
    raw = io.BytesIO()
    configured("text", io.TextIOWrapper(raw, encoding="ascii", write_through=True))
    log.info("zähle")
    assert rb"z\xe4hle" in raw.getvalue()


def test_people_get_one_line_that_no_text_can_forge() -> None:
    stream = configured("text")
    for handler in log.handlers:
        handler.setFormatter(TextFormatter(zone=UTC))
    record = logging.LogRecord(NAME, logging.INFO, __file__, 1, "a\nb \x1b[2J", (), None)
    record.created = 1_700_000_000.25
    with bind(run_id=RUN, step_id=StepId("count")):
        log.handle(record)
    assert stream.getvalue() == f"22:13:20.250 INFO    {NAME}: a\\nb \\x1b[2J run_id=run-1 step_id=count\n"


def test_people_get_the_traceback_below_its_line() -> None:
    stream = configured("text")
    log.error("no", exc_info=raised(ValueError("wrong \x1b[2J")))
    first, second, *_, last = stream.getvalue().splitlines()
    assert first.endswith("no")
    assert second.startswith("Traceback")
    assert last == "ValueError: wrong \\x1b[2J"


def test_a_second_configuration_replaces_the_first_and_leaves_others_alone() -> None:
    foreign = logging.NullHandler()
    log.addHandler(foreign)
    first, second = configured(), configured()
    log.debug("too low")
    log.info("hello")
    assert first.getvalue() == ""
    assert len(second.getvalue().splitlines()) == 1
    assert foreign in log.handlers


def test_exc_info_without_an_error_is_no_error() -> None:
    stream = configured()
    log.info("hello", exc_info=(None, None, None))
    assert "error" not in entry_of(stream)
