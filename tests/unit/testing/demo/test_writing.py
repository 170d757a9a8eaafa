"""What the demo's answers look like."""

from agent_sdk.testing.demo.shapes import Report, Row, Section, Table, Unreadable
from agent_sdk.testing.demo.writing import write_list, write_report


def test_a_report_says_what_how_and_what_not() -> None:
    report = Report(
        sections=[
            Section(
                title="The most imported",
                unit="modules import it",
                rows=[Row(name="os", count=1200, members=["a", "b"]), Row(name="re", count=2)],
            ),
            Section(title="Nothing", unit="modules", rows=[]),
        ],
        how=["Each once."],
        files=1300,
        passed_over=["test"],
        unreadable=[Unreadable(path="bad.py", reason="SyntaxError")],
    )
    assert write_report(report).splitlines() == [
        "The most imported (modules import it)",
        "    1,200  os  a, b, ...",
        "        2  re",
        "",
        "Nothing (modules)",
        "  none",
        "",
        "How this was counted",
        "- Each once.",
        "- Of 1,300 files, 1 could not be read.",
        "  - bad.py: SyntaxError",
        "- Passed over: test.",
    ]


def test_long_lists_are_cut_and_say_so() -> None:
    problems = [Unreadable(path=f"{number}.py", reason="no") for number in range(12)]
    section = Section(title="T", unit="u", rows=[])
    text = write_report(Report(sections=[section], how=[], files=12, passed_over=[str(n) for n in range(12)], unreadable=problems))
    assert "9.py: no" in text
    assert "10.py: no" not in text
    assert "Passed over: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more." in text


def test_a_list_has_a_line_for_each_member() -> None:
    table = Table(rows=[Row(name="p", count=2, members=["p.a", "p.b"]), Row(name="q", count=1, members=["q"])], count=3)
    assert write_list("Title", table).text == "Title\n\np: p.a\np: p.b\nq: q\n"
