"""The distance of vectors in SQLite, whoever computes it."""

import math
import sqlite3
import sys
from types import ModuleType

import pytest

from agent_sdk.storage.memories.distance import to_blob, use_distance


class WithoutExtensions(sqlite3.Connection):
    """A connection of a Python that was built without them."""

    def enable_load_extension(self, enable: bool, /) -> None:
        raise AttributeError


class Recording(sqlite3.Connection):
    """A connection that may load extensions, and tells what it was asked for."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.asked: list[bool] = []

    def enable_load_extension(self, enable: bool, /) -> None:
        self.asked.append(enable)


def a_quarter(_one: bytes, _other: bytes) -> float:
    return 0.25


class FakeVec(ModuleType):
    """The package sqlite-vec: its extension is a function, or cannot be loaded."""

    works = True

    def load(self, db: sqlite3.Connection) -> None:
        if not self.works:
            raise sqlite3.OperationalError("vec0.so: cannot open shared object file")
        db.create_function("vec_distance_cosine", 2, a_quarter)


@pytest.fixture
def vec(monkeypatch: pytest.MonkeyPatch) -> FakeVec:
    fake = FakeVec("sqlite_vec")
    fake.__spec__ = __spec__
    monkeypatch.setitem(sys.modules, "sqlite_vec", fake)
    return fake


def distance(db: sqlite3.Connection, one: list[float], other: list[float]) -> float:
    found: float = db.execute("SELECT vec_distance_cosine(?, ?)", (to_blob(one), to_blob(other))).fetchone()[0]
    return found


@pytest.mark.parametrize("kind", [sqlite3.Connection, WithoutExtensions])
def test_vectors_of_one_direction_are_not_apart_and_opposite_ones_most(kind: type[sqlite3.Connection]) -> None:
    db = kind(":memory:")
    use_distance(db)
    assert distance(db, [0.6, 0.8], [0.6, 0.8]) == pytest.approx(0, abs=1e-6)
    assert distance(db, [1.0, 0.0], [0.0, 1.0]) == pytest.approx(1, abs=1e-6)
    assert distance(db, [1.0, 0.0], [-1.0, 0.0]) == pytest.approx(2, abs=1e-6)
    assert distance(db, [1.0, 0.0], [math.sqrt(0.5)] * 2) == pytest.approx(1 - math.sqrt(0.5), abs=1e-6)
    db.close()


def test_a_python_without_extensions_has_its_own_function(vec: FakeVec) -> None:
    db = WithoutExtensions(":memory:")
    assert use_distance(db) == "python"
    assert distance(db, [1.0], [1.0]) == 0
    db.close()


def test_sqlite_vec_is_used_where_it_loads_and_nothing_else_may_be_loaded_then(vec: FakeVec) -> None:
    db = Recording(":memory:")
    assert use_distance(db) == "sqlite-vec"
    assert (distance(db, [1.0], [1.0]), db.asked) == (0.25, [True, False])
    db.close()


def test_an_extension_that_does_not_load_is_done_without(vec: FakeVec) -> None:
    vec.works = False
    db = Recording(":memory:")
    assert use_distance(db) == "python"
    assert db.asked == [True, False]
    db.close()


def test_a_blob_holds_32_bit_floats_with_the_lowest_byte_first() -> None:
    assert to_blob([1.0, -2.0]) == bytes.fromhex("0000803f000000c0")
