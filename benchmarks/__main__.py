"""`python -m benchmarks`: measures this package beside bare loops and the vendors' own SDKs, and prints the table."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import construction, crowd, durable, graphs, imports, turns, wire
from benchmarks.measure import Case, Line, Scale, run_case
from benchmarks.table import render_line, render_machine, render_table
from benchmarks.vendors import calls, history

PARTS = (imports, construction, turns, wire, calls, history, crowd, durable, graphs)


def main(argv: Sequence[str] | None = None) -> int:
    options = _options(argv)
    scale = Scale(options.quick)
    chosen = [case for part in PARTS for case in part.cases(scale) if _is_wanted(case, options.only)]
    if not chosen:
        print(f"nothing is named {options.only}; there are: {', '.join(case.name for part in PARTS for case in part.cases(scale))}")
        return 2
    rounds = options.rounds or scale.pick(5, 1)
    lines: list[Line] = []
    for case in chosen:
        for line in run_case(case, rounds):
            lines.append(line)
            print(render_line(line), file=sys.stderr, flush=True)
    report = f"{render_machine()}\n\n{render_table(lines)}\n"
    print(f"\n{report}")
    if options.write is not None:
        options.write.write_text(report)
    return 0


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure this package beside bare loops and vendors' SDKs.")
    parser.add_argument("--only", action="append", metavar="NAME", default=[], help="measure what has this in its name; may be repeated")
    parser.add_argument("--rounds", type=int, metavar="N", help="take so many samples of each side (default 5, and 1 with --quick)")
    parser.add_argument("--quick", action="store_true", help="measure little, only to see that every measurement works")
    parser.add_argument("--write", type=Path, metavar="PATH", help="write the table there too")
    return parser.parse_args(argv)


def _is_wanted(case: Case, only: Sequence[str]) -> bool:
    return not only or any(name in case.name for name in only)


if __name__ == "__main__":
    raise SystemExit(main())
