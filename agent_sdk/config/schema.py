"""The table of all settings, made from the tree: dotted key, variable, and what is expected, in words."""

import types
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Literal, Union, cast, get_args, get_origin

from annotated_types import Ge, Gt, Le
from pydantic import BaseModel

from agent_sdk.config.secret import SecretRef
from agent_sdk.config.settings import Settings
from agent_sdk.config.values import Expects
from agent_sdk.core.frozen import frozen

ENV_PREFIX = "AGENT_SDK__"


@frozen
class Key:
    """One setting: `name` is dotted, `expected` says in words what its value must be."""

    name: str
    expected: str
    is_number: bool
    is_nullable: bool
    is_secret: bool

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return ENV_PREFIX + self.name.upper().replace(".", "__")


@cache
def keys() -> Mapping[str, Key]:
    """Return all settings by their dotted keys, in the order of the tree."""
    return {key.name: key for key in _keys(Settings, "")}


@cache
def sections() -> frozenset[str]:
    """Return the names that hold settings and are none."""
    return frozenset(name.partition(".")[0] for name in keys() if "." in name)


def _keys(section: type[BaseModel], prefix: str) -> Iterator[Key]:
    for name, field in section.model_fields.items():
        kind = cast("object", field.annotation)
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _keys(kind, f"{name}.")
            continue
        members = cast("tuple[object, ...]", get_args(kind) if get_origin(kind) in {types.UnionType, Union} else (kind,))
        yield Key(
            name=prefix + name,
            expected=_expected(members, field.metadata),
            is_number=int in members or float in members,
            is_nullable=types.NoneType in members,
            is_secret=SecretRef in members or any(isinstance(fact, Expects) and fact.may_hold_secrets for fact in field.metadata),
        )


def _expected(members: Sequence[object], facts: Sequence[object]) -> str:
    for fact in facts:
        if isinstance(fact, Expects):
            return fact.words
    or_null = ", or null" if types.NoneType in members else ""
    if get_origin(members[0]) is Literal:
        return f"one of {', '.join(get_args(members[0]))}{or_null}"
    words = "a whole number" if int in members else "a number"
    return f"{words} {_bounds(facts)}{or_null}"


def _bounds(facts: Sequence[object]) -> str:
    """Say between what a number lies; all of ours have both bounds."""
    low = next(
        f"from {fact.ge} to" if isinstance(fact, Ge) else f"above {fact.gt} and up to" for fact in facts if isinstance(fact, Ge | Gt)
    )
    high = next(fact.le for fact in facts if isinstance(fact, Le))
    return f"{low} {high}"
