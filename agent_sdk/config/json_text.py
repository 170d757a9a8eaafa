"""JSON with line marks: the standard library reads the values, a walk over the tokens finds where they stand and what stands twice."""

import json
import re
from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path

from pydantic import JsonValue

from agent_sdk.config.marks import MAX_DEPTH, DocumentError, Mark, Place, too_deep, twice

_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\]:,]|[^\s{}\[\]:,"]+')


def parse_json(text: str, path: Path) -> tuple[JsonValue, Mark]:
    """Return the value and its marks.

    Raises:
        DocumentError: the text is not JSON (RFC 8259), a key stands twice, or values lie too deep.
    """
    try:
        value: JsonValue = json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise DocumentError(path, f"not JSON: {error.msg}", place=Place(error.lineno, error.colno)) from error
    except RecursionError as error:
        raise too_deep(path) from error
    except ValueError as error:  # a constant of ours, or a whole number with more digits than Python converts
        raise DocumentError(path, f"not JSON: {error}") from error
    return value, _Marker(text, path).mark()


def _refuse_constant(name: str) -> JsonValue:
    raise ValueError(f"{name} is no JSON number")


class _Marker:
    """Walks the tokens of a text that is known to be JSON."""

    def __init__(self, text: str, path: Path) -> None:
        self._path = path
        self._tokens: Iterator[re.Match[str]] = _TOKEN.finditer(text)
        self._line_starts = [0, *(match.end() for match in re.finditer("\n", text))]

    def mark(self) -> Mark:
        token = next(self._tokens)
        mark = Mark(self._place(token))
        self._fill(mark, token, depth=0)
        return mark

    def _fill(self, mark: Mark, token: re.Match[str], depth: int) -> None:
        if depth > MAX_DEPTH:
            raise too_deep(self._path, mark.place)
        match token.group():
            case "{":
                self._fill_object(mark, depth + 1)
            case "[":
                self._fill_list(mark, depth + 1)
            case _:
                pass

    def _fill_object(self, mark: Mark, depth: int) -> None:
        while (token := next(self._tokens)).group() != "}":
            if token.group() == ",":
                continue
            name: str = json.loads(token.group())
            place = self._place(token)
            if first := mark.inner.get(name):
                raise twice(self._path, name, first.place, place)
            inner = mark.inner[name] = Mark(place)
            next(self._tokens)  # the colon
            self._fill(inner, next(self._tokens), depth)

    def _fill_list(self, mark: Mark, depth: int) -> None:
        while (token := next(self._tokens)).group() != "]":
            if token.group() != ",":
                inner = mark.inner[len(mark.inner)] = Mark(self._place(token))
                self._fill(inner, token, depth)

    def _place(self, token: re.Match[str]) -> Place:
        line = bisect_right(self._line_starts, token.start())
        return Place(line, token.start() - self._line_starts[line - 1] + 1)
