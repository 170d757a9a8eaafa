import json
from pathlib import Path

import pytest

from benchmarks.peers import __main__ as peers
from benchmarks.peers.case import Measure
from benchmarks.peers.report import Row, render_json, render_rows
from benchmarks.peers.systems import DBOS, LANGGRAPH, OURS
from benchmarks.soak import Sample, judge, main as soak


@pytest.mark.slow
def test_every_measurement_of_durable_runs_works_and_the_table_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "table.md"
    chosen = ["--only", "steps", "--only", "workers", "--only", "kills SQLite"]  # a kill on Postgres waits for the lease
    assert peers.main([*chosen, "--quick", "--ours", "--rounds", "1", "--write", str(table)]) == 0
    text, printed = table.read_text(), capsys.readouterr().out
    assert text in printed
    for work in ("durable step", "durable step: size"):
        assert f"{work}, SQLite" in text
        assert f"{work}, Postgres" in text
    for work in ("by two processes", "enqueue to start, p95", "by another worker", "by itself started again", "performed again"):
        assert work in text
    rows = json.loads(printed.splitlines()[-1])
    assert all(isinstance(sample, float) for row in rows for samples in row["samples"].values() for sample in samples)


def test_a_name_that_measures_no_durable_runs_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert peers.main(["--only", "nonsense", "--ours", "--sqlite"]) == 2
    assert "steps SQLite" in capsys.readouterr().out


def test_a_peer_is_shown_beside_ours_with_its_ratio_and_why_it_has_no_number() -> None:
    rows = [
        Row(Measure("ms", "durable step", "ms"), {"ours": [1.0, 2.0, 3.0], LANGGRAPH.name: [9.0, 10.0], DBOS.name: [1.0]}),
        Row(Measure("runs", "runs", "runs/s", is_more_better=True), {"ours": [300.0], LANGGRAPH.name: [30.0]}),
        Row(Measure("p50", "latency", "ms"), {"ours": [5.0], LANGGRAPH.name: ["no queue"]}),
    ]
    _, _, step, runs, latency = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in render_rows(rows, [OURS, LANGGRAPH, DBOS]).splitlines()
    ]
    assert step == ["durable step", "ms", "2", "9.5 (4.8 x)", "1 (0.5 x)", DBOS.name]
    assert runs == ["runs", "runs/s", "300", "30 (0.1 x)", "-", "ours"]
    assert latency == ["latency", "ms", "5", "no queue", "-", "ours"]
    assert json.loads(render_json(rows))[2]["samples"][LANGGRAPH.name] == ["no queue"]


@pytest.mark.slow
def test_a_soak_prints_what_the_process_holds_after_each_batch(capsys: pytest.CaptureFixture[str]) -> None:
    soak(["--runs", "40", "--every", "10", "--at-once", "4"])
    printed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in printed[1:5]] == ["10", "20", "30", "40"]
    assert printed[5].startswith("second half:")


def test_a_soak_finds_growth_of_the_second_half_alone() -> None:
    flat = [Sample(runs, 50_000 if runs > 2000 else 40_000, 9000, 17, 3, 3, 400.0) for runs in range(500, 5001, 500)]
    leaking = [Sample(runs, 50_000 + 10 * runs, 9000 + runs, 17 + runs // 250, 3, 3, 400.0) for runs in range(500, 5001, 500)]
    assert judge(flat).findings == []
    memory, blocks, files = judge(leaking).findings
    assert memory.startswith("+1.024e+04 bytes a run, and +4096 are allowed: ")
    assert blocks.startswith("+1 blocks a run")
    assert files.startswith("+8 files")
