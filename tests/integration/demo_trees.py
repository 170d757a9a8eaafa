"""Small trees to ask the demo about: parts of the standard library itself, copied."""

import shutil
from pathlib import Path

from agent_sdk.testing.demo import standard_library

PACKAGES = ("collections", "concurrent", "importlib", "json", "logging", "unittest")
MODULES = ("__future__.py", "abc.py", "antigravity.py", "functools.py", "heapq.py", "io.py", "keyword.py", "os.py", "reprlib.py", "this.py")


def make_tree(root: Path) -> Path:
    """Copy a part of the standard library to a new directory and return it."""
    root.mkdir()
    for name in PACKAGES:
        shutil.copytree(standard_library() / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in MODULES:
        shutil.copy(standard_library() / name, root / name)
    return root


def change_tree(root: Path) -> Path:
    """Add modules that turn each answer: 30 importers of what nobody imported, none with a docstring, in the largest package."""
    added = root / "added"
    added.mkdir()
    for number in range(30):
        (added / f"part{number}.py").write_text("import colorsys\n\n# a comment\n" + "x = 1\n" * 500)
    return root


def spoil_tree(root: Path) -> Path:
    """Add what no tool can read: broken syntax, an unknown encoding, a null byte, and a link that leads out."""
    (root / "broken.py").write_text("def f(:\n")
    (root / "unknown.py").write_text("# coding: klingon\n")
    (root / "null.py").write_bytes(b"x = 1\n\0")
    (root / "latin.py").write_bytes(b'"""Na\xefve."""\n')
    (root / "outside.py").symlink_to(standard_library() / "ast.py")
    (root / "test").mkdir()
    (root / "test" / "test_all.py").write_text("import colorsys\n")
    return root
