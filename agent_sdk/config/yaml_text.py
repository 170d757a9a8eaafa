"""YAML as JSON values with line marks. All that we know of YAML stands here.

Plain scalars are read by the core schema of YAML 1.2 (section 10.3.2), not by 1.1: `no`, `12:30` and `2026-01-01` are text.
Tags, merge keys and several documents in one file are refused; nothing is ever constructed but text, numbers, lists and mappings.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, cast

import yaml
from pydantic import JsonValue
from yaml.reader import ReaderError

from agent_sdk.config.marks import MAX_DEPTH, DocumentError, Mark, Place, too_deep, twice

MAX_ALIASED_VALUES = 10_000
"""How many values the aliases of one document may stand for, all together."""

_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]{1,21}|0x[0-9a-fA-F]{1,16}")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_QUOTED = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""")
_OF_YAML = re.compile(r"""['"](?:.|<[a-z ]+>|\\(?:x..|u.{4}|U.{8}|[^xuU]))['"]""")
"""What PyYAML quotes of YAML itself: one character, also escaped, or the name of a token."""


def parse_yaml(text: str, path: Path) -> tuple[JsonValue, Mark]:
    """Return the value and its marks.

    Raises:
        DocumentError: the text is not YAML, uses what the module's first lines refuse, a key stands twice, or values lie too deep.
    """
    try:
        return _Reader(path, yaml.parse(text, Loader=yaml.SafeLoader)).document()
    except yaml.MarkedYAMLError as error:
        raise DocumentError(path, f"not YAML: {_said(error.problem or 'it breaks off')}", place=_place(error.problem_mark)) from error
    except ReaderError as error:
        before = text[: error.position].split("\n")
        place = Place(len(before), len(before[-1]) + 1)
        raise DocumentError(path, f"not YAML: the character U+{ord(text[error.position]):04X} may not stand here", place=place) from error


@dataclass(slots=True)
class _Reader:
    """Builds values from the parser's events, and counts what aliases stand for."""

    path: Path
    events: Iterator[yaml.Event]
    anchors: dict[str, tuple[JsonValue, int]] = field(default_factory=dict[str, tuple[JsonValue, int]])
    values: int = 0
    aliased: int = 0

    def document(self) -> tuple[JsonValue, Mark]:
        next(self.events)  # the stream's start
        if isinstance(next(self.events), yaml.StreamEndEvent):
            raise DocumentError(self.path, "the file holds no value")
        root = next(self.events)
        mark = Mark(_place(root.start_mark))
        value = self._value(root, mark, depth=0)
        next(self.events)  # the document's end
        if isinstance(another := next(self.events), yaml.DocumentStartEvent):
            place = _place(another.start_mark)
            raise DocumentError(self.path, "a second document begins here", place=place, hint="write one document a file")
        return value, mark

    def _value(self, event: yaml.Event, mark: Mark, depth: int) -> JsonValue:
        if depth > MAX_DEPTH:
            raise too_deep(self.path, mark.place)
        if isinstance(event, yaml.AliasEvent):
            return self._aliased(event)
        start = cast("yaml.ScalarEvent | yaml.CollectionStartEvent", event)  # the parser gives nothing else where a value stands
        self._refuse_tag(start)
        before = self.values
        if isinstance(start, yaml.ScalarEvent):
            value = self._scalar(start)
        elif isinstance(start, yaml.SequenceStartEvent):
            value = self._list(mark, depth + 1)
        else:
            value = self._mapping(mark, depth + 1)
        self.values += 1
        if start.anchor is not None:
            self.anchors[start.anchor] = (value, self.values - before)
        return value

    def _mapping(self, mark: Mark, depth: int) -> JsonValue:
        mapping: dict[str, JsonValue] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            place = _place(event.start_mark)
            name = self._name(event, place)
            if first := mark.inner.get(name):
                raise twice(self.path, name, first.place, place)
            inner = mark.inner[name] = Mark(place)
            mapping[name] = self._value(next(self.events), inner, depth)
        return mapping

    def _list(self, mark: Mark, depth: int) -> JsonValue:
        items: list[JsonValue] = []
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            inner = mark.inner[len(items)] = Mark(_place(event.start_mark))
            items.append(self._value(event, inner, depth))
        return items

    def _name(self, event: yaml.Event, place: Place) -> str:
        if not isinstance(event, yaml.ScalarEvent) or not isinstance(name := self._scalar(event), str):
            raise DocumentError(self.path, "a key must be text", place=place, hint="put it in quotes")
        self._refuse_tag(event)
        if name == "<<" and event.implicit[0]:
            raise DocumentError(self.path, "merge keys are not read", place=place, hint="write the keys out")
        return name

    def _aliased(self, event: yaml.AliasEvent) -> JsonValue:
        place = _place(event.start_mark)
        if (anchored := self.anchors.get(event.anchor or "")) is None:
            raise DocumentError(self.path, "an alias of nothing above it", place=place, hint="put text that begins with * in quotes")
        value, count = anchored
        self.values += count
        self.aliased += count
        if self.aliased > MAX_ALIASED_VALUES:
            raise DocumentError(self.path, f"aliases stand for more than {MAX_ALIASED_VALUES} values", place=place)
        return value

    def _scalar(self, event: yaml.ScalarEvent) -> JsonValue:
        text = event.value
        if not event.implicit[0]:
            return text
        if text in _WORDS:
            return _WORDS[text]
        try:
            if _INT.fullmatch(text):
                return int(text, 0 if text[:2] in {"0o", "0x"} else 10)
        except ValueError as error:
            raise DocumentError(self.path, "a number of so many digits is not read", place=_place(event.start_mark)) from error
        if _FLOAT.fullmatch(text) and math.isfinite(number := float(text)):
            return number
        return text

    def _refuse_tag(self, event: yaml.CollectionStartEvent | yaml.ScalarEvent) -> None:
        if event.tag is not None:
            raise DocumentError(self.path, "tags are not read", place=_place(event.start_mark), hint="put text in quotes instead")


def _said(problem: str) -> str:
    """Return PyYAML's words without what they quote of the file: it may be a secret that was meant as a value."""
    return _QUOTED.sub(lambda quoted: quoted[0] if _OF_YAML.fullmatch(quoted[0]) else "this", problem)


class _Mark(Protocol):
    """What both kinds of PyYAML's marks have in common; they count from 0."""

    line: int
    column: int


def _place(mark: _Mark | None) -> Place:
    return Place(mark.line + 1, mark.column + 1) if mark else Place(1, 1)
