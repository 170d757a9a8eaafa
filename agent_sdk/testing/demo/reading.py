"""The demo's tools that read: each takes paths, looks into the files, and says which of them it could not read."""

import ast
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, TypeVar

from pydantic import Field

from agent_sdk.core.errors import ToolError
from agent_sdk.core.tools import ToolContext
from agent_sdk.testing.demo.shapes import (
    DocstringsRead,
    ImportsRead,
    LinesRead,
    ModuleImports,
    Packages,
    Row,
    Sources,
    Table,
    Unreadable,
)
from agent_sdk.testing.demo.source_tree import NoSource, SourceTree, module_name, package_of
from agent_sdk.tools import tool

T = TypeVar("T")
Context = ToolContext[SourceTree]
Exclude = Annotated[list[str], Field(description='Names of directories to pass over, or patterns such as "test*".')]
Package = Annotated[
    str | None,
    Field(description='One package at the top; "." for the modules that stand there by themselves; null for the whole tree.'),
]

_PARSER = threading.Lock()

_COMMENT_LINE, _BLANK_LINE = "comment", "blank"
_LINES = re.compile(
    r"(?P<comment>^[ \t\f]*\#[^\n]*\n)"
    r"|(?P<blank>^[ \t\f]*\n)"
    r"|\#[^\n]*"
    r'|"""(?:\\.|[^\\])*?"""'
    r"|'''(?:\\.|[^\\])*?'''"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'(?:\\.|[^'\\\n])*'",
    re.DOTALL | re.MULTILINE,
)


@tool(effect="read")
def list_packages(context: Context, exclude: Exclude) -> Packages:
    """List the packages at the top of the source tree."""
    _, passed_over = context.deps.paths(exclude)
    return Packages(names=context.deps.packages(exclude), passed_over=passed_over)


@tool(effect="read")
def list_sources(context: Context, exclude: Exclude, package: Package = None) -> Sources:
    """List the Python files of the source tree, or of one package."""
    paths, passed_over = context.deps.paths(exclude, package)
    if package is None and not paths:
        raise ToolError("there are no Python files below the root", hint="choose another root")
    return Sources(paths=paths, count=len(paths), passed_over=passed_over, package=package or "")


@tool(effect="read")
def read_imports(context: Context, paths: list[str]) -> ImportsRead:
    """Read which modules some files import, anywhere in them, with relative imports made absolute."""

    def look(path: str, source: str) -> ModuleImports:
        names = {name for node in _statements(_parse(source)) for name in _imported(node, package_of(path))}
        return ModuleImports(module=module_name(path), names=sorted(names))

    modules, unreadable = _each(context, paths, look)
    return ImportsRead(modules=modules, unreadable=unreadable)


@tool(effect="read")
def read_docstrings(context: Context, paths: list[str]) -> DocstringsRead:
    """Read which modules begin with a docstring; an empty one has none."""

    def look(path: str, source: str) -> tuple[str, bool]:
        return module_name(path), bool((ast.get_docstring(_parse(source)) or "").strip())

    modules, unreadable = _each(context, paths, look)
    undocumented = [name for name, has_docstring in modules if not has_docstring]
    return DocstringsRead(documented=len(modules) - len(undocumented), undocumented=undocumented, unreadable=unreadable)


@tool(effect="read")
def count_lines(context: Context, package: str, paths: list[str]) -> LinesRead:
    """Count the lines of a package's files by kind: comment (nothing else on the line), blank, and code, which strings belong to."""
    counts, unreadable = _each(context, paths, lambda _, source: lines_of(source))
    code, comments, blanks = (sum(column) for column in zip(*counts, strict=True)) if counts else (0, 0, 0)
    return LinesRead(package=package, files=len(paths), code=code, comments=comments, blanks=blanks, unreadable=unreadable)


@tool(effect="read")
def measure_files(context: Context, paths: list[str]) -> Table:
    """Count all lines of each file; one that cannot be read is left out."""
    rows, _ = _each(context, paths, lambda path, source: Row(name=path, count=sum(lines_of(source))))
    return Table(rows=rows, count=sum(row.count for row in rows))


def lines_of(source: str) -> tuple[int, int, int]:
    """Return how many lines are code, comment and blank."""
    source = source if source.endswith("\n") or not source else f"{source}\n"
    kinds = [match.lastgroup for match in _LINES.finditer(source)]
    comments, blanks = kinds.count(_COMMENT_LINE), kinds.count(_BLANK_LINE)
    return source.count("\n") - comments - blanks, comments, blanks


def _each(context: Context, paths: Sequence[str], look: Callable[[str, str], T]) -> tuple[list[T], list[Unreadable]]:
    """Look into every file, and keep apart those that cannot be read or parsed."""
    found: list[T] = []
    unreadable: list[Unreadable] = []
    for path in paths:
        try:
            found.append(look(path, context.deps.read(path)))
        except (
            NoSource,
            SyntaxError,
            ValueError,
            RecursionError,
            MemoryError,
        ) as error:  # the last two: what the parser says of too deep a nesting
            unreadable.append(Unreadable(path=path, reason=f"{type(error).__name__}: {error}"[:200]))
    return found, unreadable


def _parse(source: str) -> ast.Module:
    """Parse one source at a time: before Python 3.11.8, parsing in several threads may end in a SystemError (gh-106905)."""
    with _PARSER:
        return ast.parse(source)


def _statements(tree: ast.Module) -> Iterator[ast.AST]:
    """Yield every statement, however deep; expressions hold none, and looking into them would take ten times as long."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        for name in ("body", "orelse", "finalbody", "handlers", "cases"):
            inner = getattr(node, name, None)
            if isinstance(inner, list):
                waiting += inner


def _imported(node: ast.AST, package: str) -> Iterator[str]:
    """Yield what an import statement names: behind `import`, or behind `from`, where that is more than dots."""
    match node:
        case ast.Import(names=names):
            yield from (alias.name for alias in names)
        case ast.ImportFrom(module=str(module), level=0):
            yield module
        case ast.ImportFrom(module=module, names=names, level=level):
            above = package.split(".") if package else []
            base = above[: len(above) - level + 1]
            yield from (".".join([*base, name]) for name in ([module] if module else [alias.name for alias in names]))
        case _:
            pass
