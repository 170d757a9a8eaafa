"""A storm in a glass: the short form of `make storm`, on a PostgreSQL server of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WEATHER = ("--runs", "40", "--kills", "3", "--stuns", "1", "--restarts", "1", "--step-ms", "150", "--spread", "6", "--limit", "100")


@pytest.mark.slow
@pytest.mark.usefixtures("postgres")
def test_nothing_is_lost_or_done_twice_while_workers_die_and_the_database_falls() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.storm", *WEATHER], cwd=ROOT, capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "40 succeeded" in done.stdout
