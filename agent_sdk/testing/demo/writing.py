"""The demo's tools that write up what was found, as plain text."""

from collections.abc import Iterator
from textwrap import fill

from agent_sdk.testing.demo.shapes import Report, Section, Table, Text
from agent_sdk.tools import tool

WIDTH = 100
MAX_TOLD = 10


@tool(effect="read")
def write_list(title: str, table: Table) -> Text:
    """Write a table as plain text, a line for each member."""
    lines = [title, "", *(f"{row.name}: {member}" for row in table.rows for member in row.members)]
    return Text(text="\n".join(lines) + "\n")


@tool(effect="read")
def write_report(report: Report) -> str:
    """Write a report as plain text: its sections, how it was counted, and what was not looked at."""
    return "\n".join(_lines(report))


def _lines(report: Report) -> Iterator[str]:
    for section in report.sections:
        yield from _section(section)
        yield ""
    yield "How this was counted"
    for sentence in report.how:
        yield _filled(sentence, "- ")
    yield _filled(f"Of {report.files:,} files, {len(report.unreadable):,} could not be read.", "- ")
    for problem in report.unreadable[:MAX_TOLD]:
        yield _filled(f"{problem.path}: {problem.reason}", "  - ")
    if report.passed_over:
        more = len(report.passed_over) - MAX_TOLD
        names = ", ".join(report.passed_over[:MAX_TOLD]) + (f" and {more:,} more" if more > 0 else "")
        yield _filled(f"Passed over: {names}.", "- ")


def _section(section: Section) -> Iterator[str]:
    yield f"{section.title} ({section.unit})"
    if not section.rows:
        yield "  none"
    width = max((len(row.name) for row in section.rows), default=0)
    for row in section.rows:
        head = f"{row.count:>9,}  {row.name.ljust(width if row.members else 0)}  "
        yield _filled(", ".join(row.members) + (", ..." if len(row.members) < row.count else ""), head) if row.members else head.rstrip()


def _filled(text: str, head: str) -> str:
    return fill(text, WIDTH, initial_indent=head, subsequent_indent=" " * len(head), break_long_words=False, break_on_hyphens=False)
