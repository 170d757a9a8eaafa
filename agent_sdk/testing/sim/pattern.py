"""Random texts that a regular expression matches, for the expressions that JSON Schemas usually hold."""

import random
import re
import string
from collections.abc import Callable
from functools import lru_cache

from agent_sdk.core.errors import ConfigError

Writer = Callable[[random.Random], str]

_WORD = string.ascii_letters + string.digits + "_"
_PRINTABLE = string.ascii_letters + string.digits + string.punctuation + " "
_CLASSES = {"d": string.digits, "w": _WORD, "s": " "}
_MANY = 6


def text_of(pattern: str, chance: random.Random) -> str:
    """Return a text in which the pattern is found.

    Raises:
        ConfigError: the pattern holds more than literals, classes, groups, alternatives, repetitions and anchors.
    """
    text = _writer(pattern)(chance)
    if re.search(pattern, text) is None:
        raise _unknown(pattern)
    return text


@lru_cache(maxsize=256)
def _writer(pattern: str) -> Writer:
    reader = _Reader(pattern)
    written = reader.alternatives()
    if reader.rest:
        raise _unknown(pattern)
    return written


class _Reader:
    """Reads a pattern from left to right into what writes texts for it."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self.rest = pattern

    def alternatives(self) -> Writer:
        branches = [self._sequence()]
        while self.rest.startswith("|"):
            self._take()
            branches.append(self._sequence())
        return lambda chance: chance.choice(branches)(chance)

    def _sequence(self) -> Writer:
        pieces: list[Writer] = []
        while self.rest and self.rest[0] not in "|)":
            pieces.append(self._repeated(self._atom()))
        return lambda chance: "".join(piece(chance) for piece in pieces)

    def _atom(self) -> Writer:
        match self._take():
            case "^" | "$":
                return lambda _: ""
            case ".":
                return _one_of(_PRINTABLE)
            case "[":
                return _one_of(self._class())
            case "(":
                return self._group()
            case "\\":
                return self._escaped()
            case character if character not in "*+?{":
                return lambda _: character
            case _:
                raise _unknown(self._pattern)

    def _group(self) -> Writer:
        if self.rest.startswith("?"):
            if not self.rest.startswith("?:"):
                raise _unknown(self._pattern)
            self.rest = self.rest[2:]
        inner = self.alternatives()
        if self._take() != ")":
            raise _unknown(self._pattern)
        return inner

    def _escaped(self) -> Writer:
        character = self._take()
        if character in _CLASSES:
            return _one_of(_CLASSES[character])
        if character.upper() in {"D", "W", "S"}:
            return _one_of("".join(sorted(set(_PRINTABLE) - set(_CLASSES[character.lower()]))))
        if character.isalnum():
            raise _unknown(self._pattern)
        return lambda _: character

    def _class(self) -> str:
        negated = self.rest.startswith("^")
        if negated:
            self._take()
        members: list[str] = []
        while (character := self._take()) != "]":
            if character == "\\":
                character = self._take()
                members.extend(_CLASSES.get(character, character))
            elif self.rest.startswith("-") and self.rest[1:2] not in {"]", ""}:
                self._take()
                members.extend(map(chr, range(ord(character), ord(self._take()) + 1)))
            else:
                members.append(character)
        allowed = sorted(set(_PRINTABLE) - set(members)) if negated else members
        if not allowed:
            raise _unknown(self._pattern)
        return "".join(allowed)

    def _repeated(self, atom: Writer) -> Writer:
        if (counted := re.match(r"\{(\d+)(,?)(\d*)\}", self.rest)) is not None:
            self.rest = self.rest[counted.end() :]
            least = int(counted[1])
            most = int(counted[3]) if counted[3] else least + (_MANY if counted[2] else 0)
        elif self.rest[:1] in {"*", "+", "?"}:
            least, most = {"*": (0, _MANY), "+": (1, _MANY), "?": (0, 1)}[self._take()]
        else:
            return atom
        if self.rest.startswith("?"):
            self._take()
        return lambda chance: "".join(atom(chance) for _ in range(chance.randint(least, most)))

    def _take(self) -> str:
        if not self.rest:
            raise _unknown(self._pattern)
        character, self.rest = self.rest[0], self.rest[1:]
        return character


def _one_of(characters: str) -> Writer:
    return lambda chance: chance.choice(characters)


def _unknown(pattern: str) -> ConfigError:
    return ConfigError(
        f"no text can be made up for the pattern {pattern!r}", hint="answer this question with a script, or use a plainer pattern"
    )
