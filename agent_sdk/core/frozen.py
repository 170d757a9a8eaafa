"""`frozen`: what `dataclass(frozen=True, slots=True)` makes, made ten times as fast. Each process makes hundreds before it does anything.

The standard library compiles six functions a class. Here classes with as many fields share one compiled `__init__`, which fills the slots
directly; all else needs no more than the names of the fields.
"""

from collections.abc import Callable, Sequence
from dataclasses import MISSING, Field, FrozenInstanceError, dataclass, field, fields
from functools import cache
from operator import attrgetter
from types import CodeType, FunctionType
from typing import Any, TypeVar, cast, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen(cls: type[T]) -> type[T]:
    """Make the class a dataclass with slots, whose instances do not change.

    Raises:
        TypeError: it inherits fields, or has one that is given by name alone or not at all; `dataclass(frozen=True, slots=True)` can.
    """
    kind = dataclass(init=False, repr=False, eq=False, slots=True)(cls)
    own = _fields(kind)
    made = {"__repr__": _repr, "__setattr__": _refuse, "__delattr__": _refuse, "__getstate__": _state, "__setstate__": _restore}
    for name, method in {"__init__": _init(kind, own), **_comparison(own), **made}.items():
        if name not in vars(cls):
            setattr(kind, name, method)
    cast("Any", kind).__dataclass_params__.frozen = True
    return kind


def _init(kind: type[object], own: Sequence[Field[object]]) -> FunctionType:
    known: dict[str, object] = {"__name__": kind.__module__, "MISSING": MISSING}
    defaults: list[object] = []
    for index, each in enumerate(own):
        if each.kw_only or not each.init:
            raise TypeError(f"{kind.__name__}.{each.name} is not given by place: make the class a `dataclass(frozen=True, slots=True)`")
        if each.default is not MISSING or each.default_factory is not MISSING:
            defaults.append(each.default)
        elif defaults:
            raise TypeError(f"{kind.__name__}.{each.name} has no default and stands behind one that has")
        known[f"set{index}"] = getattr(kind, each.name).__set__
        known[f"make{index}"] = each.default_factory
    code = _code(tuple(each.default_factory is not MISSING for each in own), looks=hasattr(kind, "__post_init__"))
    named = code.replace(co_varnames=("self", *(each.name for each in own)), co_qualname=f"{kind.__qualname__}.__init__")
    init = FunctionType(named, known, "__init__", tuple(defaults))
    init.__annotations__ = {each.name: each.type for each in own} | {"return": None}
    return init


@cache
def _code(made: tuple[bool, ...], *, looks: bool) -> CodeType:
    """Compile an `__init__` for classes with so many fields; True stands for one that may be made anew, `looks` for a `__post_init__`."""
    lines = [f"def __init__({', '.join(['self', *(f'field{index}' for index in range(len(made)))])}):"]
    for index, is_made in enumerate(made):
        given = f"make{index}() if field{index} is MISSING else field{index}" if is_made else f"field{index}"
        lines.append(f" set{index}(self, {given})")
    lines.append(" self.__post_init__()" if looks else " return")
    known: dict[str, FunctionType] = {}
    exec("\n".join(lines), {}, known)  # noqa: S102  (made of numbers alone)
    return known["__init__"].__code__


def _comparison(own: Sequence[Field[object]]) -> dict[str, Callable[..., object]]:
    names = [each.name for each in own if each.compare]
    values: Callable[[object], object] = attrgetter(*names) if names else lambda _: ()

    def equal(self: object, other: object) -> object:
        return values(self) == values(other) if other.__class__ is self.__class__ else NotImplemented

    def digest(self: object) -> int:
        return hash(values(self))

    return {"__eq__": equal, "__hash__": digest}


def _fields(of: object) -> Sequence[Field[object]]:
    return fields(cast("Any", of))


def _repr(self: object) -> str:
    shown = ", ".join(f"{each.name}={getattr(self, each.name)!r}" for each in _fields(self) if each.repr)
    return f"{type(self).__qualname__}({shown})"


def _refuse(self: object, name: str, *_: object) -> None:
    raise FrozenInstanceError(f"{type(self).__qualname__}.{name} does not change: make another with `dataclasses.replace`")


def _state(self: object) -> list[object]:
    return [getattr(self, each.name) for each in _fields(self)]


def _restore(self: object, state: Sequence[object]) -> None:
    for each, value in zip(_fields(self), state, strict=True):
        object.__setattr__(self, each.name, value)
