"""How far vectors are apart in SQLite: by the extension sqlite-vec where it is installed and may be loaded, else in Python."""

import sqlite3
import sys
from array import array
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from operator import mul
from types import ModuleType
from typing import Literal

_PACKAGE = "sqlite_vec"
"""An extra; looked for by its name, since it brings no types."""


def to_blob(values: Sequence[float]) -> bytes:
    """Return 32-bit floats, the lowest byte first."""
    return _ordered(array("f", values)).tobytes()


def use_distance(db: sqlite3.Connection) -> Literal["sqlite-vec", "python"]:
    """Give the connection `vec_distance_cosine(blob, blob)`, and say whose it is. A Python built without extensions has only its own."""
    if find_spec(_PACKAGE) is not None and _load_extension(db, import_module(_PACKAGE)):
        return "sqlite-vec"
    db.create_function("vec_distance_cosine", 2, _distance, deterministic=True)
    return "python"


def _load_extension(db: sqlite3.Connection, package: ModuleType) -> bool:
    try:
        db.enable_load_extension(True)  # noqa: FBT003  (sqlite3's own)
    except (AttributeError, sqlite3.NotSupportedError):
        return False
    try:
        package.load(db)
    except sqlite3.OperationalError:
        return False
    finally:
        db.enable_load_extension(False)  # noqa: FBT003  (the same)
    return True


def _distance(one: bytes, other: bytes) -> float:
    """Return the cosine distance of two vectors of length 1."""
    closeness: float = sum(map(mul, _floats(one), _floats(other)))
    return 1.0 - closeness


def _floats(blob: bytes) -> "array[float]":
    values = array("f")
    values.frombytes(blob)
    return _ordered(values)


def _ordered(values: "array[float]") -> "array[float]":
    """Turn the bytes of each number round where this machine's order is the other one."""
    if sys.byteorder == "big":
        values.byteswap()
    return values
