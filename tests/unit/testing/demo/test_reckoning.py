"""How the demo counts, groups and ranks."""

from hypothesis import given, strategies as st

from agent_sdk.testing.demo.reckoning import (
    add_lines,
    count_documented,
    count_files,
    count_importers,
    gather_unreadable,
    group_by_package,
    name_importers,
    name_modules,
    rank,
    rank_packages,
    resolve_imports,
    select_undocumented,
    split,
)
from agent_sdk.testing.demo.shapes import DocstringsRead, ImportsRead, LinesRead, Link, ModuleImports, Reading, Row, Table, Unreadable


@given(st.lists(st.text(max_size=3), max_size=30), st.integers(1, 100))
def test_a_list_is_dealt_out_evenly_and_wholly(items: list[str], parts: int) -> None:
    found = split(items, parts).parts
    assert sorted(each for part in found for each in part) == sorted(items)
    assert len(found) == min(parts, len(items))
    assert not found or max(map(len, found)) - min(map(len, found)) <= 1


def test_modules_without_a_file_are_known_too() -> None:
    names = name_modules(["p/__init__.py", "p/a.py"]).names
    assert {"p", "p.a", "sys", "_thread"} <= set(names)
    assert names == sorted(names)


def test_an_import_means_the_longest_beginning_that_is_a_module() -> None:
    read = ImportsRead(
        modules=[ModuleImports(module="a", names=["p.q.r", "p", "p.x", "nobody.else"]), ModuleImports(module="p", names=["p.q"])]
    )
    links = resolve_imports([read], ["a", "p", "p.q"]).links
    assert [(link.importer, link.imported) for link in links] == [("a", "p"), ("a", "p.q"), ("p", "p.q")]


def test_no_module_is_linked_to_itself() -> None:
    assert resolve_imports([ImportsRead(modules=[ModuleImports(module="p", names=["p", "p.none"])])], ["p"]).links == []


def test_importers_are_counted_and_named() -> None:
    links = [Link(importer=importer, imported=imported) for importer, imported in (("c", "x"), ("a", "x"), ("b", "x"), ("a", "y"))]
    assert [(row.name, row.count) for row in count_importers(links).rows] == [("x", 3), ("y", 1)]
    assert name_importers(links, "x", 2) == Row(name="x", count=3, members=["a", "b"])


def test_what_was_read_of_docstrings_is_joined() -> None:
    parts = [DocstringsRead(documented=2, undocumented=["b"]), DocstringsRead(documented=1, undocumented=["a"])]
    assert select_undocumented(parts).names == ["a", "b"]
    assert [row.count for row in count_documented(parts).rows] == [3, 2]


def test_modules_are_grouped_by_their_package() -> None:
    table = group_by_package(["p", "q.a", "p.x"])
    assert table == Table(rows=[Row(name="p", count=2, members=["p", "p.x"]), Row(name="q", count=1, members=["q.a"])], count=3)


def test_tables_are_joined_and_ranked_and_equals_stand_by_name() -> None:
    tables = [Table(rows=[Row(name="b", count=2)], count=2), Table(rows=[Row(name="a", count=2), Row(name="c", count=9)], count=11)]
    assert [row.name for row in rank(tables, 2).rows] == ["c", "a"]
    assert rank(tables, 2).count == 11


def test_lines_are_added_up_over_all_groups() -> None:
    big, small = (LinesRead(package=name, files=1, code=code, comments=1, blanks=2) for name, code in (("big", 9), ("small", 3)))
    assert [(row.name, row.count) for row in add_lines([[big], [small]]).rows] == [("code", 12), ("comments", 2), ("blanks", 4)]
    assert count_files([[big, small]]).count == 2
    assert rank_packages([small, big], 5).largest == "big"
    assert rank_packages([small, big], 1).rows == [Row(name="big", count=12)]
    assert rank_packages([], 5).largest == "."


def test_unreadable_files_of_all_groups_are_gathered_by_path() -> None:
    groups = [
        [Reading(unreadable=[Unreadable(path="b.py", reason="no")])],
        [Reading(), Reading(unreadable=[Unreadable(path="a.py", reason="no")])],
    ]
    assert [each.path for each in gather_unreadable(groups).unreadable] == ["a.py", "b.py"]
