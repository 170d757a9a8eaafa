"""Hypothesis strategies for our own types, made from their annotations: whatever a type allows is tried."""

import types
import typing
from dataclasses import fields, is_dataclass
from decimal import Decimal
from typing import NewType, cast, get_args, get_origin, get_type_hints

from hypothesis import strategies as st
from pydantic import JsonValue

from agent_sdk.core.envelope import EVENT_CLASSES
from agent_sdk.core.events import Event, Fact
from agent_sdk.core.labels import Label

FINITE = st.floats(allow_nan=False, allow_infinity=False)
SCALARS = st.none() | st.booleans() | st.integers() | FINITE | st.text(max_size=8)
JSON: st.SearchStrategy[JsonValue] = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3), max_leaves=8
)
OBJECTS: st.SearchStrategy[dict[str, JsonValue]] = st.dictionaries(st.text(max_size=4), JSON, max_size=3)
NAMES = st.lists(st.sampled_from("abcd"), max_size=4, unique=True).map(sorted).map(tuple)
LABELS = st.builds(Label, NAMES, st.none() | NAMES)

_PLAIN: dict[object, st.SearchStrategy[object]] = {
    JsonValue: JSON,
    type(None): st.none(),
    bool: st.booleans(),
    int: st.integers(),
    float: FINITE,
    str: st.text(max_size=8),
    Decimal: st.decimals(allow_nan=False, allow_infinity=False),
    Label: LABELS,
}


def of_type(hint: object) -> st.SearchStrategy[object]:
    """Return a strategy for all values that a field of this annotation may hold."""
    if hint in _PLAIN:
        return _PLAIN[hint]
    if isinstance(hint, NewType):
        return of_type(hint.__supertype__)
    if isinstance(hint, type) and is_dataclass(hint):
        return _made(hint)
    arguments = get_args(hint)
    match get_origin(hint):
        case typing.Annotated:
            return of_type(arguments[0])
        case typing.Literal:
            return st.sampled_from(arguments)
        case typing.Union | types.UnionType:
            return st.one_of([of_type(each) for each in arguments])
        case origin if origin is tuple:
            return st.lists(of_type(arguments[0]), max_size=2).map(tuple)
        case origin if origin is dict:
            return st.dictionaries(st.text(max_size=4), of_type(arguments[1]), max_size=2)
        case _:
            raise TypeError(f"no strategy for {hint}")


def _made(kind: type) -> st.SearchStrategy[object]:
    hints = get_type_hints(kind, include_extras=True)
    return st.builds(kind, **{field.name: of_type(hints[field.name]) for field in fields(kind)})


_EVENT_STRATEGIES = [_made(kind) for kind in EVENT_CLASSES.values()]
EVENTS = cast("st.SearchStrategy[Event]", st.one_of(_EVENT_STRATEGIES))
FACTS = st.builds(Fact, st.integers(1, 10**6), st.integers(0, 100), st.integers(0, 2**60), EVENTS, st.none() | st.just("inbox:4"))
