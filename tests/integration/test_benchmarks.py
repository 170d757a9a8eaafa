from pathlib import Path

import pytest

from agent_sdk.core.ids import StepId
from agent_sdk.core.messages import Conversation, user_message
from agent_sdk.core.model import ModelRequest, ReplyDone, TextDelta
from benchmarks.__main__ import main
from benchmarks.agents import find
from benchmarks.measure import Case, Metric, run_case
from benchmarks.table import render_table
from benchmarks.vendors.history import ours
from benchmarks.vendors.ours import made
from benchmarks.vendors.replies import ARGUMENTS, MODEL, PROTOCOLS, TOKEN
from benchmarks.vendors.server import served

pytestmark = pytest.mark.slow


def test_every_measurement_works_and_the_table_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "table.md"
    assert main(["--quick", "--write", str(table)]) == 0
    text = table.read_text()
    assert text in capsys.readouterr().out
    for work in (
        "import agent_sdk",
        "ten tools, built",
        "turn in process",
        "over HTTP",
        "streamed chunk",
        "vendors: a plain call, Gemini",
        "vendors: a call streamed in 20 chunks, Anthropic",
        "vendors: a streamed chunk, OpenAI Responses",
        "how often each is encoded",
        "runs at once",
        "durable step",
        "DAGs",
        "200 tools",
    ):
        assert work in text


def test_each_message_of_a_long_history_is_encoded_once_in_every_protocol() -> None:
    assert ours(messages=300, turns=3)["encodes"] == 1.0


def test_a_limit_may_be_so_many_times_what_ours_read_elsewhere() -> None:
    metrics = [Metric("a", "first", "us"), Metric("b", "second", "us", within=(1.5, "a"))]
    sides = Case("sides", metrics, lambda: {"a": 10.0, "b": 16.0}, lambda: {"a": 5.0}, sdk=lambda: {"a": 40.0})
    first, second = run_case(sides, rounds=3)
    assert (first.ratio, first.gain, first.is_met) == (2.0, 4.0, None)
    assert (second.ratio, second.gain, second.limit, second.is_met) == (None, None, 15.0, False)
    assert [cell.strip() for cell in render_table([first]).splitlines()[2].split("|")[3:8]] == ["5", "40", "10", "2.00", "4.00"]


def test_a_name_that_measures_nothing_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--only", "nonsense"]) == 2
    assert "makespan" in capsys.readouterr().out


@pytest.mark.parametrize("is_stream", [False, True])
async def test_every_adapter_reads_what_the_bench_server_says(is_stream: bool) -> None:
    question = ModelRequest(StepId("t1"), MODEL, Conversation([user_message("Hi")]), tools=(find.spec,))
    with served(3) as url:
        for protocol in PROTOCOLS:
            model = made(protocol, url)
            deltas = [delta async for delta in model.stream(question)] if is_stream else [ReplyDone(await model.complete(question))]
            await model.close()
            (reply,) = [delta.reply for delta in deltas if isinstance(delta, ReplyDone)]
            assert reply.message.text == TOKEN * 3
            assert [(call.tool, call.args) for call in reply.message.tool_calls] == [("find", ARGUMENTS)]
            assert sum(isinstance(delta, TextDelta) for delta in deltas) == (3 if is_stream else 0)
