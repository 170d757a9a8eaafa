"""Patterns such as `src/**/*.py`, matched part by part, so that whole directories are passed over that no file of can match."""

import re
from collections.abc import Iterable
from fnmatch import translate

from agent_sdk.core.frozen import frozen

_ANY_DEPTH = "**"

State = frozenset[int]


@frozen
class Glob:
    """A pattern: `*`, `?` and `[...]` stay within a name, `**` is any number of directories.

    A name that begins with a dot is matched by a part that begins with one, alone.
    """

    parts: tuple[str, ...]
    _tests: tuple[re.Pattern[str] | None, ...]

    @classmethod
    def parse(cls, pattern: str) -> "Glob":
        named = [part for part in pattern.split("/") if part not in ("", ".")]
        parts = tuple(part for part, before in zip(named, ["", *named], strict=False) if (part, before) != (_ANY_DEPTH, _ANY_DEPTH))
        return cls(parts, tuple(None if part == _ANY_DEPTH else re.compile(translate(part)) for part in parts))

    def start(self) -> State:
        """Return the state before the first part of a path."""
        return self._reach((0,))

    def step(self, state: State, name: str) -> State:
        """Return the state behind one more part; empty where nothing below it can match."""
        following: list[int] = []
        for place in state:
            if place == len(self.parts):
                continue
            test = self._tests[place]
            if test is None:
                following += () if name.startswith(".") else (place,)
            elif test.match(name) and (not name.startswith(".") or self.parts[place].startswith(".")):
                following.append(place + 1)
        return self._reach(following)

    def is_match(self, state: State) -> bool:
        return len(self.parts) in state

    def _reach(self, places: Iterable[int]) -> State:
        reached = set[int]()
        for place in places:
            here = place
            reached.add(here)
            while here < len(self.parts) and self._tests[here] is None:
                here += 1
                reached.add(here)
        return frozenset(reached)
