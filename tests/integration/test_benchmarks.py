from pathlib import Path

import pytest

from benchmarks.__main__ import main

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
        "runs at once",
        "durable step",
        "DAGs",
        "200 tools",
    ):
        assert work in text


def test_a_name_that_measures_nothing_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--only", "nonsense"]) == 2
    assert "makespan" in capsys.readouterr().out
