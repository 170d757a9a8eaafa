"""What a function's docstring says: its first paragraph, and what a Google-style `Args:` section tells of each parameter."""

import inspect
import re

from agent_sdk.core.frozen import frozen

_SECTION = re.compile(r"(Args|Arguments|Parameters):\s*$")
_ENTRY = re.compile(r"\*{0,2}(\w+)\s*(?:\([^)]*\))?:\s*(.*)$")


@frozen
class Docstring:
    """What a model is told of a tool and its parameters."""

    summary: str
    parameters: dict[str, str]


def parse_docstring(text: str | None) -> Docstring:
    """Read a docstring; each text comes as one line."""
    lines = inspect.cleandoc(text or "").splitlines()
    summary: list[str] = []
    for line in lines:
        if not line.strip() or _SECTION.match(line):
            break
        summary.append(line.strip())
    return Docstring(" ".join(summary), _parameters(lines))


def _parameters(lines: list[str]) -> dict[str, str]:
    """Read the section's entries: less indented lines end it, more indented ones go on with an entry."""
    start = next((number for number, line in enumerate(lines) if _SECTION.match(line)), len(lines))
    found: dict[str, list[str]] = {}
    entry: list[str] = []
    margin: int | None = None
    for line in filter(str.strip, lines[start + 1 :]):
        indent = len(line) - len(line.lstrip())
        if indent == 0:
            break
        margin = indent if margin is None else margin
        if indent <= margin and (match := _ENTRY.match(line.strip())):
            entry = found.setdefault(match[1], [])
            entry.append(match[2])
        else:
            entry.append(line.strip())
    return {name: " ".join(texts).strip() for name, texts in found.items()}
