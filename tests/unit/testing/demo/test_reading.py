"""What the reading tools see in files."""

import gc
import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from agent_sdk.core.ids import DEFAULT_TENANT, RunId, StepId
from agent_sdk.core.tools import ToolContext
from agent_sdk.testing.demo.reading import (
    count_lines,
    lines_of,
    list_packages,
    list_sources,
    measure_files,
    read_docstrings,
    read_imports,
)
from agent_sdk.testing.demo.source_tree import SourceTree


@pytest.fixture
def context(tmp_path: Path) -> ToolContext[SourceTree]:
    return ToolContext(DEFAULT_TENANT, RunId("run_1"), StepId("step"), 1, "", SourceTree(tmp_path))


def imports(context: ToolContext[SourceTree], path: str, source: str) -> list[str]:
    place = context.deps.root / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(source)
    (found,) = read_imports(context, [path]).modules
    return found.names


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("import a, b.c as d", ["a", "b.c"]),
        ("from a.b import c, d", ["a.b"]),
        ("from a import *", ["a"]),
        ("import a\nimport a", ["a"]),
        ("def f():\n  if x:\n    import a\n  else:\n    import b", ["a", "b"]),
        ("try:\n  import a\nexcept E:\n  import b\nelse:\n  import c\nfinally:\n  import d", ["a", "b", "c", "d"]),
        ("match x:\n  case 1:\n    import a", ["a"]),
        ("async def f():\n  async with x:\n    import a", ["a"]),
        ("'import a'  # import b", []),
    ],
)
def test_imports_are_found_wherever_they_stand(context: ToolContext[SourceTree], source: str, names: list[str]) -> None:
    assert imports(context, "m.py", source) == names


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("from . import x, y", ["p.q.x", "p.q.y"]),
        ("from .x import y", ["p.q.x"]),
        ("from ..x import y", ["p.x"]),
        ("from .. import x", ["p.x"]),
    ],
)
def test_relative_imports_are_made_absolute(context: ToolContext[SourceTree], source: str, names: list[str]) -> None:
    assert imports(context, "p/q/m.py", source) == names
    assert imports(context, "p/q/__init__.py", source) == names


def test_docstrings_are_counted_and_a_blank_one_is_none(context: ToolContext[SourceTree]) -> None:
    for name, source in {"a": '"""Yes."""', "b": "x = 1", "c": '" "', "d": "", "e": "b'no'", "f": "def f(:"}.items():
        (context.deps.root / f"{name}.py").write_text(source)
    found = read_docstrings(context, [f"{name}.py" for name in "abcdefg"])
    assert (found.documented, found.undocumented) == (1, ["b", "c", "d", "e"])
    assert [(each.path, each.reason.partition(":")[0]) for each in found.unreadable] == [("f.py", "SyntaxError"), ("g.py", "NoSource")]


@pytest.mark.parametrize(
    ("source", "counts"),
    [
        ("", (0, 0, 0)),
        ("\n", (0, 0, 1)),
        ("x = 1", (1, 0, 0)),
        ("x = 1  # comment\n", (1, 0, 0)),
        ("# one\n  # two", (0, 2, 0)),
        (" \t\n\f\n", (0, 0, 2)),
        ('"""Doc.\n\n# no comment\n"""\n', (4, 0, 0)),
        ("x = '''\n\n''' # '\n\n", (3, 0, 1)),
        ("x = 'a\\\n# b'\n", (2, 0, 0)),
        ("x = r'\\'\n# c\n", (1, 1, 0)),
        ('# it\'s\n\n# """\n\n', (0, 2, 2)),
        ("x = '#'\n# \"\n", (1, 1, 0)),
    ],
)
def test_each_line_is_of_one_kind(source: str, counts: tuple[int, int, int]) -> None:
    assert lines_of(source) == counts


@given(st.text(alphabet="\n #'\"\\abc"))
def test_the_kinds_add_up_to_all_lines(source: str) -> None:
    assert sum(lines_of(source)) == source.count("\n") + (source != "" and not source.endswith("\n"))


def test_the_lines_of_a_package_are_added_up(context: ToolContext[SourceTree]) -> None:
    (context.deps.root / "a.py").write_text("x = 1\n\n")
    (context.deps.root / "b.py").write_text("# c\ny = 2\n")
    found = count_lines(context, "p", ["a.py", "b.py", "none.py"])
    assert (found.package, found.files, found.code, found.comments, found.blanks) == ("p", 3, 2, 1, 1)
    assert [each.path for each in found.unreadable] == ["none.py"]
    assert [(row.name, row.count) for row in measure_files(context, ["a.py", "b.py"]).rows] == [("a.py", 2), ("b.py", 2)]


def test_a_package_without_files_has_no_lines(context: ToolContext[SourceTree]) -> None:
    assert count_lines(context, "p", []).code == 0


def test_listings_say_what_was_passed_over(context: ToolContext[SourceTree]) -> None:
    for path in ("p/a.py", "p/test/b.py"):
        (context.deps.root / path).parent.mkdir(parents=True)
        (context.deps.root / path).touch()
    assert list_packages(context, ["test"]).model_dump() == {"names": ["p"], "passed_over": ["p/test"]}
    assert list_sources(context, ["test"], "p").model_dump() == {"paths": ["p/a.py"], "count": 1, "passed_over": ["p/test"], "package": "p"}


@pytest.fixture
def yielding_collector() -> Generator[None]:
    """Let the garbage collector hand the interpreter to another thread each time it runs, which it does in the middle of parsing too."""

    def give_way(_phase: str, _info: dict[str, int]) -> None:
        time.sleep(0)

    gc.callbacks.append(give_way)
    yield
    gc.callbacks.remove(give_way)


@pytest.mark.usefixtures("yielding_collector")
def test_many_threads_may_parse_at_once(context: ToolContext[SourceTree]) -> None:
    (context.deps.root / "deep.py").write_text("\n".join(f"def f{n}():\n  return [{'[' * 40}{n}{']' * 40}]\n" for n in range(20)))
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(read_imports, [context] * 16, [["deep.py"]] * 16))
    assert all(len(each.modules) == 1 for each in found)
