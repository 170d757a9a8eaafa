"""The demo's tools that reckon with what was read: join, count, group and rank."""

import sys
from collections import Counter, defaultdict
from collections.abc import Iterable
from itertools import chain
from typing import Annotated

from pydantic import Field

from agent_sdk.testing.demo.shapes import (
    DocstringsRead,
    ImportsRead,
    LinesRead,
    Link,
    Links,
    Names,
    Parts,
    Problems,
    Ranking,
    Reading,
    Row,
    Table,
)
from agent_sdk.testing.demo.source_tree import module_name
from agent_sdk.tools import tool

Count = Annotated[int, Field(ge=1, le=10_000)]


@tool(effect="read")
def split(items: list[str], parts: Annotated[int, Field(ge=1, le=100)]) -> Parts:
    """Deal a list out into at most so many parts of about the same length, none of them empty."""
    return Parts(parts=[items[start::parts] for start in range(min(parts, len(items)))])


@tool(effect="read")
def name_modules(paths: list[str]) -> Names:
    """Name the modules in some files, and those that Python has without a source file, such as sys."""
    return Names(names=sorted({*map(module_name, paths), *sys.stdlib_module_names}))


@tool(effect="read")
def resolve_imports(parts: list[ImportsRead], known: list[str]) -> Links:
    """Find which of the known modules each import means: the longest beginning of the name that is a module.

    Each importer and imported module are linked once, however often the import stands there; no module is linked to itself.
    """
    modules = frozenset(known)
    links = {(each.module, target) for part in parts for each in part.modules for name in each.names if (target := _target(name, modules))}
    return Links(links=[Link(importer=importer, imported=target) for importer, target in sorted(links) if importer != target])


@tool(effect="read")
def count_importers(links: list[Link]) -> Table:
    """Count by how many modules each module is imported."""
    return _table(Counter(link.imported for link in links).items())


@tool(effect="read")
def name_importers(links: list[Link], module: str, first: Count) -> Row:
    """Count the modules that import one module, and name the first of them."""
    importers = sorted(link.importer for link in links if link.imported == module)
    return Row(name=module, count=len(importers), members=importers[:first])


@tool(effect="read")
def select_undocumented(parts: list[DocstringsRead]) -> Names:
    """Join what was read of docstrings to one list of the modules that have none."""
    return Names(names=sorted(chain.from_iterable(part.undocumented for part in parts)))


@tool(effect="read")
def count_documented(parts: list[DocstringsRead]) -> Table:
    """Count the modules with a docstring, and those without."""
    without = sum(len(part.undocumented) for part in parts)
    return _table([("with a docstring", sum(part.documented for part in parts)), ("without a docstring", without)])


@tool(effect="read")
def group_by_package(names: list[str]) -> Table:
    """Group modules by their package at the top; one that belongs to none is a group by itself."""
    groups: dict[str, list[str]] = defaultdict(list)
    for name in names:
        groups[name.partition(".")[0]].append(name)
    return Table(rows=[Row(name=name, count=len(found), members=found) for name, found in sorted(groups.items())], count=len(names))


@tool(effect="read")
def rank(tables: list[Table], first: Count) -> Table:
    """Join tables and return the first rows by count; rows that count the same stand by name."""
    rows = _ranked(chain.from_iterable(table.rows for table in tables))[:first]
    return Table(rows=rows, count=sum(row.count for row in rows))


@tool(effect="read")
def add_lines(groups: list[list[LinesRead]]) -> Table:
    """Add up the lines of packages by kind."""
    parts = list(chain.from_iterable(groups))
    code, comments, blanks = sum(each.code for each in parts), sum(each.comments for each in parts), sum(each.blanks for each in parts)
    return _table([("code", code), ("comments", comments), ("blanks", blanks)])


@tool(effect="read")
def count_files(groups: list[list[LinesRead]]) -> Table:
    """Count the files of each package."""
    return _table((each.package, each.files) for each in chain.from_iterable(groups))


@tool(effect="read")
def rank_packages(parts: list[LinesRead], first: Count) -> Ranking:
    """Rank packages by all their lines."""
    rows = _ranked(Row(name=each.package, count=each.code + each.comments + each.blanks) for each in parts)[:first]
    return Ranking(rows=rows, largest=rows[0].name if rows else ".")


@tool(effect="read")
def gather_unreadable(groups: list[list[Reading]]) -> Problems:
    """Join the lists of files that could not be read."""
    unreadable = chain.from_iterable(part.unreadable for part in chain.from_iterable(groups))
    return Problems(unreadable=sorted(unreadable, key=lambda each: each.path))


def _target(name: str, modules: frozenset[str]) -> str:
    while name and name not in modules:
        name = name.rpartition(".")[0]
    return name


def _table(counts: Iterable[tuple[str, int]]) -> Table:
    rows = [Row(name=name, count=count) for name, count in counts]
    return Table(rows=rows, count=sum(row.count for row in rows))


def _ranked(rows: Iterable[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: (-row.count, row.name))
