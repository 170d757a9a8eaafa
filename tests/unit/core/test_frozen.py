import inspect
from copy import deepcopy
from dataclasses import FrozenInstanceError, dataclass, field, fields, is_dataclass, replace
from typing import ClassVar, Generic, TypeVar

import pytest
from hypothesis import given, strategies as st
from pydantic import TypeAdapter

from agent_sdk.core.frozen import frozen

T = TypeVar("T")


@frozen
class Place:
    """A place."""

    KIND: ClassVar[str] = "place"
    name: str
    floor: int = 0
    tags: list[str] = field(default_factory=list[str])
    key: str = field(default="", repr=False)
    seen: int = field(default=0, compare=False)

    @property
    def title(self) -> str:
        return f"{self.name}/{self.floor}"


@dataclass(frozen=True, slots=True)
class Bare:
    """A place, by the standard library."""

    name: str
    floor: int = 0
    tags: list[str] = field(default_factory=list[str])
    key: str = field(default="", repr=False)
    seen: int = field(default=0, compare=False)


@frozen
class Point:
    """What can be hashed."""

    x: int
    y: int = 0


@frozen
class Nothing:
    """Without fields."""


@frozen
class Box(Generic[T]):
    """Of anything."""

    inside: T


@frozen
class Positive:
    """Looks at what it is given."""

    number: int

    def __post_init__(self) -> None:
        if self.number < 1:
            raise ValueError("too small")


GIVEN = st.fixed_dictionaries(
    {"name": st.text()},
    optional={"floor": st.integers(), "tags": st.lists(st.text()), "key": st.text(), "seen": st.integers()},
)


@given(GIVEN, GIVEN)
def test_it_is_read_compared_and_shown_like_a_frozen_dataclass(one: dict[str, object], other: dict[str, object]) -> None:
    ours = [TypeAdapter(Place).validate_python(values) for values in (one, other)]
    bare = [TypeAdapter(Bare).validate_python(values) for values in (one, other)]
    assert (ours[0] == ours[1]) == (bare[0] == bare[1])
    assert repr(ours[0]) == repr(bare[0]).replace("Bare", "Place")
    assert TypeAdapter(Place).dump_json(ours[0]) == TypeAdapter(Bare).dump_json(bare[0])
    assert [getattr(ours[0], each.name) for each in fields(Place)] == [getattr(bare[0], each.name) for each in fields(Bare)]


def test_what_is_not_given_has_its_default_and_each_its_own_list() -> None:
    one, other = Place("hall"), Place("hall", tags=["open"])
    assert (one.floor, one.tags, other.tags, Place("x").tags is Place("x").tags) == (0, [], ["open"], False)


def test_nothing_can_be_set_or_deleted() -> None:
    place = Place("hall")
    for name in ("floor", "unknown"):
        with pytest.raises(FrozenInstanceError, match=name):
            setattr(place, name, 1)
        with pytest.raises(FrozenInstanceError, match=name):
            delattr(place, name)
    assert not hasattr(place, "__dict__")


def test_the_same_values_have_one_hash_and_another_class_is_never_equal() -> None:
    assert len({Point(1, 2), Point(1, 2), Point(2, 1)}) == 2
    assert Nothing() == Nothing()
    assert Point(1).__eq__(Place("1")) is NotImplemented
    with pytest.raises(TypeError, match="unhashable"):
        hash(Place("hall"))


def test_it_is_replaced_matched_and_copied() -> None:
    place = Place("hall", 2, key="k")
    assert replace(place, floor=3) == Place("hall", 3, key="k")
    assert deepcopy(place) == place
    match place:
        case Place(name, floor):
            assert (name, floor, place.title, Place.KIND) == ("hall", 2, "hall/2", "place")


def test_a_generic_one_takes_its_parameter() -> None:
    assert Box[int](1) == Box(1)


def test_what_does_not_hold_is_refused_by_the_class_itself() -> None:
    assert Positive(1).number == 1
    with pytest.raises(ValueError, match="too small"):
        Positive(0)


def test_a_wrong_call_is_told_as_of_any_function() -> None:
    with pytest.raises(TypeError, match=r"Point\.__init__\(\) missing 1 required positional argument: 'x'"):
        Point()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  (the point of the test)
    assert str(inspect.signature(Point)) == "(x: int, y: int = 0) -> None"


def test_others_take_it_for_a_frozen_dataclass() -> None:
    @dataclass(frozen=True, slots=True)
    class Deep(Point):
        """A user's own."""

        z: int = 0

    assert is_dataclass(Point)
    assert Deep(1, 2, 3) == Deep(1, 2, 3) != Deep(1, 2, 4)
    with pytest.raises(FrozenInstanceError):
        Deep(1).z = 2  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]  (the point of the test)


def test_what_it_cannot_make_is_left_to_the_standard_library() -> None:
    class Named:
        """Has a field that is given by name alone."""

        name: str = field(kw_only=True)

    class Late:
        """Has a field without a default behind one that has."""

        name: str = ""
        floor: int

    class Deep(Point):
        """Inherits fields."""

        z: int = 0

    with pytest.raises(TypeError, match=r"Late\.floor has no default"):
        frozen(Late)
    with pytest.raises(TypeError, match=r"Named\.name is not given by place"):
        frozen(Named)
    with pytest.raises(TypeError, match="frozen"):
        frozen(Deep)


def test_what_the_class_says_itself_stays() -> None:
    @frozen
    class Quiet:
        """Says nothing of what it holds."""

        key: str

        def __repr__(self) -> str:
            return "Quiet()"

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Quiet)

        __hash__ = None  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]  (as Python makes it of `__eq__`)

    assert (repr(Quiet("a")), Quiet("a") == Quiet("b")) == ("Quiet()", True)
