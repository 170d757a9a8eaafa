"""What an import costs, each in a fresh process: CPU, and memory that stays."""

import json
import subprocess
import sys
from collections.abc import Sequence

from benchmarks.measure import Case, Metric, Readings, Sample, Scale

BARE = "import asyncio\nfrom pydantic import BaseModel\nclass Model(BaseModel):\n    number: int\n"
PACKAGE = "import agent_sdk\n"
NAMES = "from agent_sdk import Agent, App, Runtime, tool\n"
TELL = """
import time
cpu = time.process_time() * 1000
import json
from benchmarks.memory import rss_mib
print(json.dumps({"cpu": cpu, "rss": rss_mib()}))
"""


def cases(scale: Scale) -> Sequence[Case]:
    """Return the import of the package, which loads names at their first use, and of the names that every program uses."""
    return [
        Case(f"import, {name}", _metrics(what), _sample(code, scale), _sample(BARE, scale))
        for name, what, code in (
            ("package", "`import agent_sdk`", PACKAGE),
            ("names", "`from agent_sdk import Agent, App, Runtime, tool`", NAMES),
        )
    ]


def _metrics(what: str) -> Sequence[Metric]:
    return [
        Metric("cpu", what, "ms CPU", "1.5 x asyncio and a model", lambda bare: 1.5 * bare),
        Metric("rss", what, "MiB", "40 MiB", lambda _: 40.0),
    ]


def _sample(code: str, scale: Scale) -> Sample:
    """Start an interpreter anew for each import, and take the best of a few: what comes on top is the machine's."""

    def sample() -> Readings:
        read = [_read(code) for _ in range(scale.pick(3, 1))]
        return {key: min(readings[key] for readings in read) for key in ("cpu", "rss")}

    return sample


def _read(code: str) -> Readings:
    told = subprocess.run([sys.executable, "-c", code + TELL], capture_output=True, text=True, check=True).stdout
    readings: dict[str, float] = json.loads(told)
    return readings
