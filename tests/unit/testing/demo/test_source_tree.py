"""Which files a tree has, and what it refuses to read."""

import os
import sys
from pathlib import Path

import pytest

from agent_sdk.core.errors import ConfigError, ToolError
from agent_sdk.testing.demo.source_tree import MAX_SOURCE_BYTES, NoSource, SourceTree, module_name, package_of


@pytest.fixture
def tree(tmp_path: Path) -> SourceTree:
    for path in ("a.py", "pack/__init__.py", "pack/sub/b.py", "pack/test/c.py", "data/readme.txt", "tests-old/d.py"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("x = 1\n")
    return SourceTree(tmp_path)


def test_all_python_files_are_listed_in_order(tree: SourceTree) -> None:
    assert tree.paths([]) == (["a.py", "pack/__init__.py", "pack/sub/b.py", "pack/test/c.py", "tests-old/d.py"], [])


def test_excluded_directories_are_passed_over_and_named(tree: SourceTree) -> None:
    assert tree.paths(["test*"]) == (["a.py", "pack/__init__.py", "pack/sub/b.py"], ["pack/test", "tests-old"])


def test_a_package_is_a_directory_at_the_top_that_holds_python_files(tree: SourceTree) -> None:
    assert tree.packages([]) == ["pack", "tests-old"]
    assert tree.packages(["pack"]) == ["tests-old"]


@pytest.mark.parametrize(("package", "paths"), [("pack", ["pack/__init__.py", "pack/sub/b.py"]), (".", ["a.py"])])
def test_the_files_of_one_package_are_listed(tree: SourceTree, package: str, paths: list[str]) -> None:
    assert tree.paths(["test"], package)[0] == paths


@pytest.mark.parametrize("package", ["none", "pack/sub", "..", "", "a.py"])
def test_what_is_no_package_is_refused(tree: SourceTree, package: str) -> None:
    with pytest.raises(ToolError, match="there is no package"):
        tree.paths([], package)


def test_links_and_special_files_are_not_listed(tree: SourceTree) -> None:
    (tree.root / "link.py").symlink_to(tree.root / "a.py")
    (tree.root / "loop").symlink_to(tree.root)
    os.mkfifo(tree.root / "pipe.py")
    assert tree.paths(["pack", "tests-old"])[0] == ["a.py"]


@pytest.mark.skipif(sys.platform == "darwin", reason="file names are Unicode there")
def test_a_name_that_is_no_unicode_is_listed_and_cannot_be_read(tree: SourceTree) -> None:
    Path(os.fsdecode(bytes(tree.root) + b"/caf\xe9.py")).write_text("x = 1\n")
    assert "caf\N{REPLACEMENT CHARACTER}.py" in tree.paths([])[0]
    with pytest.raises(NoSource, match="No such file"):
        tree.read("caf\N{REPLACEMENT CHARACTER}.py")


def test_a_directory_that_does_not_exist_any_more_holds_nothing(tree: SourceTree) -> None:
    gone = SourceTree(tree.root / "pack" / "sub")
    (gone.root / "b.py").unlink()
    gone.root.rmdir()
    assert gone.paths([]) == ([], [])


def test_text_is_decoded_as_python_does_it(tree: SourceTree) -> None:
    (tree.root / "latin.py").write_bytes(b"# coding: latin-1\r\nname = '\xe9'\r\n")
    assert tree.read("latin.py") == "# coding: latin-1\nname = '\xe9'\n"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"# coding: klingon\n", "unknown encoding"),
        (b"x = '\xff'\n", "missing encoding declaration"),
        (b"# coding: ascii\n\n\nx = '\xff'\n", "can't decode byte 0xff"),
    ],
)
def test_what_is_no_source_is_told(tree: SourceTree, content: bytes, reason: str) -> None:
    (tree.root / "bad.py").write_bytes(content)
    with pytest.raises(NoSource, match=reason):
        tree.read("bad.py")


def test_a_huge_file_is_no_source(tree: SourceTree) -> None:
    os.truncate(tree.root / "a.py", MAX_SOURCE_BYTES + 1)
    with pytest.raises(NoSource, match="at most"):
        tree.read("a.py")


@pytest.mark.parametrize("path", ["../secret.py", "pack/../../secret.py", "link.py"])
def test_nothing_outside_of_the_tree_is_read(tree: SourceTree, path: str) -> None:
    (tree.root.parent / "secret.py").write_text("x = 1\n")
    (tree.root / "link.py").symlink_to(tree.root.parent / "secret.py")
    with pytest.raises(NoSource, match="outside of the tree"):
        tree.read(path)


def test_a_directory_is_no_source(tree: SourceTree) -> None:
    with pytest.raises(NoSource, match="no regular file"):
        tree.read("pack")


def test_a_root_that_is_no_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no directory"):
        SourceTree(tmp_path / "none")


@pytest.mark.parametrize(
    ("path", "module", "package"),
    [("a.py", "a", ""), ("p/__init__.py", "p", "p"), ("p/q/b.py", "p.q.b", "p.q"), ("__init__.py", "__init__", "")],
)
def test_a_module_is_named_by_its_path(path: str, module: str, package: str) -> None:
    assert (module_name(path), package_of(path)) == (module, package)
