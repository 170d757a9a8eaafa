"""`python -m benchmarks.peers`: measures durable runs beside peers, by turns, and prints one table of values and ratios."""

import argparse
import subprocess
import sys
import tempfile
import venv
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from agent_sdk.testing.postgres import PrivatePostgres
from benchmarks.measure import Scale
from benchmarks.peers import kills, steps, workers
from benchmarks.peers.case import Case, Reading
from benchmarks.peers.child import ROOT
from benchmarks.peers.report import Row, render_json, render_rows
from benchmarks.peers.stores import Stores
from benchmarks.peers.systems import NOTES, SYSTEMS, System
from benchmarks.table import render_machine

REQUIREMENTS = ROOT / "benchmarks" / "requirements-peers.txt"


def main(argv: Sequence[str] | None = None) -> int:
    options = _options(argv)
    systems = [system for system in SYSTEMS if not system.is_peer or not options.ours]
    with _stores(has_server=not options.sqlite) as stores:
        found = [case for part in (steps, workers, kills) for case in part.cases(Scale(options.quick), stores.kinds)]
        chosen = [case for case in found if not options.only or any(name in case.name for name in options.only)]
        if not chosen:
            print(f"nothing is named {options.only}; there are: {', '.join(case.name for case in found)}")
            return 2
        peers = "" if options.ours else _environment(options.peers)
        rows = [row for case in chosen for row in _rows(case, systems, stores, peers, case.rounds or options.rounds)]
    shown = [system for system in systems if any(system.name in row.samples for row in rows)]
    report = f"{render_machine()}\n\n{render_rows(rows, shown)}\n\n{NOTES}"
    print(f"\n{report}\n{render_json(rows)}")
    if options.write is not None:
        options.write.write_text(report)
    return 0


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description="Measure durable runs beside peers.")
    parser.add_argument("--only", action="append", metavar="NAME", default=[], help="measure what has this in its name; may be repeated")
    parser.add_argument("--ours", action="store_true", help="measure this package alone: no peer is installed")
    parser.add_argument("--sqlite", action="store_true", help="measure on SQLite alone: no Postgres is started")
    parser.add_argument("--rounds", type=int, metavar="N", default=3, help="take so many samples of each system (default 3)")
    parser.add_argument("--quick", action="store_true", help="measure little, only to see that every measurement works")
    parser.add_argument(
        "--peers", type=Path, metavar="PATH", default=ROOT / ".venv-peers", help="the environment of the peers; made if missing"
    )
    parser.add_argument("--write", type=Path, metavar="PATH", help="write the table there too")
    return parser.parse_args(argv)


@contextmanager
def _stores(*, has_server: bool) -> Generator[Stores]:
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        server = stack.enter_context(PrivatePostgres(durable=True)) if has_server else None
        yield Stores(Path(folder), server)


def _environment(folder: Path) -> str:
    """Return the interpreter of the peers' own environment; it is made anew where what it was made from has changed."""
    python, stamp = folder / "bin" / "python", folder / REQUIREMENTS.name
    if not stamp.exists() or stamp.read_text() != REQUIREMENTS.read_text():
        print(f"Installing what {REQUIREMENTS.name} names", file=sys.stderr, flush=True)
        venv.create(folder, clear=True, with_pip=True)
        pip = [str(python), "-m", "pip", "--disable-pip-version-check", "--quiet"]
        subprocess.run([*pip, "install", "--requirement", str(REQUIREMENTS)], check=True)
        stamp.write_text(REQUIREMENTS.read_text())
    return str(python)


def _rows(case: Case, systems: Sequence[System], stores: Stores, peers: str, rounds: int) -> Iterator[Row]:
    """Take the systems by turns, each on a store of its own."""
    samples: dict[str, dict[str, list[Reading]]] = {measure.key: {} for measure in case.measures}
    for _ in range(rounds):
        for system in (each for each in case.systems if each in systems):
            with stores.fresh(case.kind) as store:
                readings = case.sample(system, store, peers)
            print(f"{case.name}, {system.name}: {_told(readings)}", file=sys.stderr, flush=True)
            for key, value in readings.items():
                samples[key].setdefault(system.name, []).append(value)
    for measure in case.measures:
        yield Row(measure, samples[measure.key])


def _told(readings: object) -> str:
    return str(readings)


if __name__ == "__main__":
    raise SystemExit(main())
