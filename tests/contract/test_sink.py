"""What every sink of the SDK must do: take whatever a journal may hold, as often as it comes, and let no secret out."""

import asyncio
import io
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from agent_sdk.core.events import Fact
from agent_sdk.core.ids import RunId, TenantId
from agent_sdk.core.ports import Sink
from agent_sdk.observability import ConsoleSink, HookSink, JsonLinesSink, LoggingSink
from tests.unit.observability.fakes import MemorySink
from tests.unit.observability.samples import EVENTS, RUN, SECRET, TENANT, facts_of


@dataclass(frozen=True)
class Subject:
    """A sink, and how many facts have come out of it in what text. `is_export` says that its text leaves the process."""

    sink: Sink
    written: Callable[[], list[str]]
    is_export: bool = True


class Records(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{vars(record)} {record.getMessage()}")


def console(tmp_path: Path) -> Subject:
    stream = io.StringIO()
    return Subject(ConsoleSink(stream), lambda: stream.getvalue().splitlines())


def json_lines(tmp_path: Path) -> Subject:
    path = tmp_path / "events.jsonl"
    return Subject(JsonLinesSink(path), lambda: path.read_text(encoding="utf-8").splitlines() if path.exists() else [])


def logged(tmp_path: Path) -> Subject:
    logger = logging.getLogger(f"{__name__}.{tmp_path.name}")
    logger.setLevel(logging.INFO)
    records = Records()
    logger.addHandler(records)
    return Subject(LoggingSink(logger), lambda: records.lines)


def hook(tmp_path: Path) -> Subject:
    told: list[str] = []

    async def tell(tenant: TenantId, run_id: RunId, fact: Fact) -> None:
        told.append(f"{run_id} {fact}")

    return Subject(HookSink(tell), lambda: told, is_export=False)


def memory(tmp_path: Path) -> Subject:
    sink = MemorySink()
    return Subject(sink, lambda: [f"{run_id} {fact}" for run_id, fact in sink.taken], is_export=False)


@pytest.fixture(params=[console, json_lines, logged, hook, memory])
def subject(request: pytest.FixtureRequest, tmp_path: Path) -> Subject:
    make: Callable[[Path], Subject] = request.param
    return make(tmp_path)


def test_a_sink_has_a_name_that_stays(subject: Subject) -> None:
    assert subject.sink.name
    assert subject.sink.name == subject.sink.name


async def test_no_facts_are_no_news(subject: Subject) -> None:
    await subject.sink.take(TENANT, RUN, [])
    assert subject.written() == []


async def test_every_type_of_event_is_taken_in_order(subject: Subject) -> None:
    facts = facts_of(*EVENTS)
    await subject.sink.take(TENANT, RUN, facts[:10])
    await subject.sink.take(TENANT, RUN, facts[10:])
    lines = subject.written()
    assert len(lines) == len(facts)
    for fact, line in zip(facts, lines, strict=True):
        assert fact.event.type in line or type(fact.event).__name__ in line


async def test_facts_that_come_again_are_taken_again(subject: Subject) -> None:
    facts = facts_of(*EVENTS[:3])
    for _ in range(2):
        await subject.sink.take(TENANT, RUN, facts)
    assert len(subject.written()) == 6


async def test_facts_of_several_runs_may_come_at_once(subject: Subject) -> None:
    async with asyncio.TaskGroup() as tasks:
        for number in range(8):
            tasks.create_task(subject.sink.take(TENANT, RunId(f"run-{number}"), facts_of(*EVENTS)))
    lines = subject.written()
    assert len(lines) == 8 * len(EVENTS)
    assert all(sum(f"run-{number}" in line for line in lines) == len(EVENTS) for number in range(8))


async def test_no_secret_leaves_the_process(subject: Subject) -> None:
    await subject.sink.take(TENANT, RUN, facts_of(*EVENTS))
    assert (SECRET in "".join(subject.written())) != subject.is_export
