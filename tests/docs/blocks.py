"""The python blocks of a Markdown page: found, compiled and laid out for a type checker. Running them is left to the test.

A fence's information string is `python`, or `python no-run` for a block that is compiled and type-checked but not run.
Line numbers are kept throughout, so that a traceback or a checker's finding names the line of the page.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from types import CodeType

FENCE = re.compile(r"^(?P<fence>`{3,})(?P<info>[^`]*)$")


@dataclass(frozen=True, slots=True)
class Block:
    """One block: `line` is that of its opening fence, counted from 1."""

    line: int
    source: str
    is_run: bool

    def compiled(self, page: str) -> CodeType:
        """Compile it as it would stand in a notebook, where `await` may stand at the top."""
        code: CodeType = compile("\n" * self.line + self.source, page, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
        return code


def blocks_of(text: str) -> Iterator[Block]:
    """Find the python blocks of a page, from its top to its bottom."""
    lines = text.splitlines()
    start, fence, info = 0, "", ""
    for number, line in enumerate(lines, start=1):
        match = FENCE.match(line)
        if not match:
            continue
        if not fence:
            start, fence, info = number, match["fence"], match["info"].strip()
        elif line.rstrip() == fence:
            language, *marks = info.split() or [""]
            if language == "python":
                yield Block(start, "\n".join(lines[start : number - 1]) + "\n", is_run="no-run" not in marks)
            fence = ""
    if fence:
        raise ValueError(f"the block that opens on line {start} is never closed")


def as_module(blocks: list[Block]) -> str:
    """Lay the blocks of one page out as one module, each line on the number that it has on the page."""
    lines: list[str] = []
    for block in blocks:
        lines += [""] * (block.line - len(lines))
        at, body = _enclosed(block)
        lines[block.line - 1 :] = ["", *body]
        if at is not None:
            lines[block.line + at] = f"async def block_on_line_{block.line}() -> None:"
    return "\n".join(lines) + "\n"


def _enclosed(block: Block) -> tuple[int | None, list[str]]:
    """Indent the block from the first statement that awaits, or the last before it that a free line precedes.

    Returns where the free line stands that takes the head of the enclosing coroutine (-1 is the fence), and the lines.
    """
    lines = block.source.splitlines()
    statements = ast.parse(block.source).body
    awaiting = next((i for i, statement in enumerate(statements) if _awaits(statement)), None)
    if awaiting is None:
        return None, lines
    free = [first - 1 for first in map(_first_line, statements[: awaiting + 1]) if first == 0 or not lines[first - 1].strip()]
    at = free[-1] if free else -1
    strings = {line for statement in statements for line in _lines_within_strings(statement)}
    return at, [line if i <= at or i in strings or not line else f"    {line}" for i, line in enumerate(lines)]


def _awaits(statement: ast.stmt) -> bool:
    """Say whether a statement awaits outside the functions that it defines."""
    waiting: list[ast.AST] = [statement]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Await | ast.AsyncFor | ast.AsyncWith) or (isinstance(node, ast.comprehension) and node.is_async):
            return True
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            waiting += ast.iter_child_nodes(node)
    return False


def _first_line(statement: ast.stmt) -> int:
    decorators: list[ast.expr] = getattr(statement, "decorator_list", [])
    return min([statement.lineno, *(decorator.lineno for decorator in decorators)]) - 1


def _lines_within_strings(node: ast.AST) -> Iterator[int]:
    for inner in ast.walk(node):
        if isinstance(inner, ast.Constant | ast.JoinedStr) and inner.end_lineno is not None:
            yield from range(inner.lineno, inner.end_lineno)
