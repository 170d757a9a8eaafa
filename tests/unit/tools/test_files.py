import os
import socket
import stat
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path

import pytest

from agent_sdk.core.errors import ArgumentsInvalid, ConfigError, ToolError
from agent_sdk.core.tools import ToolContext
from agent_sdk.tools import ThreadPool
from agent_sdk.tools.beneath import Directory, Root
from agent_sdk.tools.files import Files

SECRET = "outside"


@pytest.fixture(params=[True, False], ids=["by descriptor", "by path"])
def by_descriptor(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A tree with files, and beside it a secret that nothing may reach."""
    (tmp_path / "secret.txt").write_text(SECRET)
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "key.txt").write_text(SECRET)
    root = tmp_path / "root"
    (root / "docs" / "deep").mkdir(parents=True)
    (root / "a.txt").write_text("one\ntwo\nthree\n")
    (root / "docs" / "b.md").write_text("# Two\nno end of line")
    (root / "docs" / "deep" / "c.txt").write_text("two")
    (root / ".hidden").write_text("two")
    return root


@pytest.fixture
def files(root: Path, by_descriptor: bool) -> Files:
    return Files(root, by_descriptor=by_descriptor)


def refusal(act: Callable[[], object]) -> str:
    with pytest.raises(ToolError) as caught:
        act()
    assert str(Path.cwd().root) + "tmp" not in caught.value.message, "the path of the root itself is nobody's business"
    return caught.value.message


def test_files_are_listed_in_the_order_of_the_tree_without_hidden_ones(files: Files) -> None:
    assert files.list_files().paths == ["a.txt", "docs/b.md", "docs/deep/c.txt"]
    assert files.list_files("**/*.txt").paths == ["a.txt", "docs/deep/c.txt"]
    assert files.list_files(".*").paths == [".hidden"]
    assert files.list_files("*.none").paths == []


def test_a_listing_says_when_there_is_more(files: Files) -> None:
    assert asdict(files.list_files(limit=2)) == {"paths": ["a.txt", "docs/b.md"], "is_complete": False}
    assert files.list_files(limit=3).is_complete


def test_a_file_is_read_whole_or_by_lines(files: Files) -> None:
    assert files.read_file("a.txt").text == "one\ntwo\nthree\n"
    some = files.read_file("a.txt", offset=1, limit=1)
    assert (some.text, some.first_line, some.lines, some.is_complete, some.is_exact) == ("two\n", 2, 1, False, True)
    assert asdict(files.read_file("docs/b.md", offset=1)) == {
        "path": "docs/b.md",
        "text": "no end of line",
        "first_line": 2,
        "lines": 1,
        "is_complete": True,
        "is_exact": True,
    }
    assert files.read_file("a.txt", offset=9).text == ""


def test_what_is_read_is_cut_at_the_end_of_a_line_where_there_is_one(root: Path, by_descriptor: bool) -> None:
    files = Files(root, max_text_chars=9, by_descriptor=by_descriptor)
    cut = files.read_file("a.txt")
    assert (cut.text, cut.lines, cut.is_complete) == ("one\ntwo\n", 2, False)
    long = files.read_file("docs/b.md", offset=1)
    assert (long.text, long.lines, long.is_complete) == ("no end of", 1, False)


def test_other_encodings_and_marks_are_read_as_well_as_can_be(root: Path, files: Files) -> None:
    (root / "latin.txt").write_bytes("café".encode("latin-1"))
    (root / "bom.txt").write_bytes(b"\xef\xbb\xbfx\r\ny")
    latin = files.read_file("latin.txt")
    assert (latin.text, latin.is_exact) == ("caf\ufffd", False)
    assert files.read_file("bom.txt").text == "x\r\ny"


def test_what_is_no_text_is_refused(root: Path, files: Files) -> None:
    (root / "image.png").write_bytes(b"\x89PNG\0\0")
    assert refusal(lambda: files.read_file("image.png")) == "'image.png' is no text file"


def test_large_files_are_neither_read_nor_written(root: Path, by_descriptor: bool) -> None:
    files = Files(root, max_file_bytes=10, by_descriptor=by_descriptor)
    assert refusal(lambda: files.read_file("a.txt")) == "'a.txt' is larger than 10 bytes"
    assert "larger than 10 bytes" in refusal(lambda: files.write_file("new.txt", "x" * 11))
    assert not (root / "new.txt").exists()


def test_text_is_found_by_path_and_line(root: Path, files: Files) -> None:
    (root / "image.png").write_bytes(b"two\0")
    found = files.search_text("two")
    assert [(match.path, match.line, match.text) for match in found.matches] == [("a.txt", 2, "two"), ("docs/deep/c.txt", 1, "two")]
    assert (found.is_complete, found.skipped) == (True, 1)
    assert [match.path for match in files.search_text("Two", "docs/*").matches] == ["docs/b.md"]
    limited = files.search_text("e", limit=1)
    assert (len(limited.matches), limited.is_complete) == (1, False)


def test_a_file_is_written_with_its_directories_and_over_an_old_one(root: Path, files: Files) -> None:
    (root / "a.txt").chmod(0o640)
    assert asdict(files.write_file("new/deep/x.txt", "é")) == {"path": "new/deep/x.txt", "size_bytes": 2}
    files.write_file("a.txt", "short")
    assert (root / "new/deep/x.txt").read_text() == "é"
    assert (root / "a.txt").read_text() == "short"
    assert stat.S_IMODE((root / "a.txt").stat().st_mode) == 0o640
    assert list(root.glob("*.tmp")) == []


def test_a_hard_link_is_written_beside_not_through(root: Path, files: Files) -> None:
    os.link(root.parent / "secret.txt", root / "linked.txt")
    files.write_file("linked.txt", "mine")
    assert (root.parent / "secret.txt").read_text() == SECRET


def test_a_write_that_fails_leaves_all_as_it_was(root: Path, by_descriptor: bool) -> None:
    with pytest.raises(TypeError), Root(root, by_descriptor).directory() as directory:
        directory.write("a.txt", "no bytes", ".x.tmp")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  (it must fail half way)
    assert (root / "a.txt").read_text() == "one\ntwo\nthree\n"
    assert not (root / ".x.tmp").exists()


PATHS_OUT = ["../secret.txt", "docs/../../secret.txt", "/etc/passwd", "C:\\boot.ini", "..\\secret.txt", "\\\\host\\share", "C:secret"]


@pytest.mark.parametrize("path", PATHS_OUT)
def test_no_path_leads_out(files: Files, path: str) -> None:
    acts: list[Callable[[], object]] = [
        lambda: files.read_file(path),
        lambda: files.write_file(path, "x"),
        lambda: files.list_files(path),
        lambda: files.search_text("x", path),
    ]
    assert {"leads out of the root" in refusal(act) for act in acts} == {True}


@pytest.mark.parametrize("path", ["", ".", "a\0b", "\udcff"])
def test_what_is_no_file_name_is_refused(files: Files, path: str) -> None:
    assert "is no file name" in refusal(lambda: files.read_file(path))


def test_a_link_to_a_file_is_not_followed(root: Path, files: Files) -> None:
    (root / "link.txt").symlink_to(root.parent / "secret.txt")
    (root / "near.txt").symlink_to("a.txt")
    for name in ("link.txt", "near.txt"):
        assert refusal(partial(files.read_file, name)) == f"'{name}' is a link, not a regular file"
        assert "is a link, and only regular files are written over" in refusal(partial(files.write_file, name, "x"))
    assert (root.parent / "secret.txt").read_text() == SECRET
    assert "link.txt" not in files.list_files().paths
    assert files.search_text(SECRET).matches == []


def test_a_link_in_the_middle_of_a_path_is_not_followed(root: Path, files: Files) -> None:
    (root / "docs" / "out").symlink_to(root.parent / "secrets")
    assert refusal(lambda: files.read_file("docs/out/key.txt")) == "'docs/out' is a link, not a directory"
    assert refusal(lambda: files.write_file("docs/out/new.txt", "x")) == "'docs/out' is a link, not a directory"
    assert refusal(lambda: files.write_file("docs/out/new/x.txt", "x")) == "'docs/out' is a link, not a directory"
    assert files.list_files("docs/**/*").paths == ["docs/b.md", "docs/deep/c.txt"]
    assert [path.name for path in (root.parent / "secrets").iterdir()] == ["key.txt"]


def test_a_root_that_is_a_link_itself_is_taken(root: Path, by_descriptor: bool) -> None:
    (root.parent / "alias").symlink_to(root)
    assert Files(root.parent / "alias", by_descriptor=by_descriptor).read_file("docs/deep/c.txt").text == "two"


def test_a_directory_that_may_not_be_entered_is_passed_over(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Directory, name: str) -> Directory:
        raise ToolError("no")

    monkeypatch.setattr(Directory, "enter", refuse)
    assert Files(root).list_files().paths == ["a.txt"]


class Racing(Directory):
    """A directory that saw a plain file or directory before somebody put something else there."""

    def status(self, name: str) -> os.stat_result:
        return (self.path / ("a.txt" if name.endswith(".txt") else "docs")).stat()


@pytest.mark.parametrize("kind", ["link.txt", "pipe.txt"])
def test_what_comes_between_look_and_read_is_refused(root: Path, kind: str) -> None:
    (root / "link.txt").symlink_to(root.parent / "secret.txt")
    os.mkfifo(root / "pipe.txt")
    with Root(root).directory() as directory:
        assert directory.fd is not None
        refusal(lambda: Racing(root, directory.fd, "").read(kind, 100))


def test_a_link_that_comes_between_look_and_entry_is_refused(root: Path) -> None:
    (root / "out").symlink_to(root.parent / "secrets")
    with Root(root).directory() as directory:
        refusal(lambda: Racing(root, directory.fd, "").enter("out"))
    assert refusal(lambda: Racing(root, None, "").enter("out")) == "'out' is a link, and links are not followed"


def test_special_files_are_neither_read_nor_listed_nor_waited_for(root: Path, files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(root / "pipe")
    server = socket.socket(socket.AF_UNIX)
    monkeypatch.chdir(root)  # a socket's path is short
    server.bind("socket")
    for name in ("pipe", "socket"):
        assert refusal(partial(files.read_file, name)) == f"'{name}' is a special file, not a regular file"
        assert "is a special file" in refusal(partial(files.write_file, name, "x"))
    assert files.list_files().paths == ["a.txt", "docs/b.md", "docs/deep/c.txt"]
    server.close()


def test_a_directory_is_no_file_and_a_file_no_directory(files: Files) -> None:
    assert refusal(lambda: files.read_file("docs")) == "'docs' is a directory, not a regular file"
    assert refusal(lambda: files.write_file("docs", "x")) == "'docs' is a directory, and only regular files are written over"
    assert refusal(lambda: files.read_file("a.txt/x")) == "'a.txt' is a regular file, not a directory"


def test_what_is_not_there_is_told_with_a_hint(files: Files) -> None:
    with pytest.raises(ToolError, match=r"^'docs/no' does not exist") as caught:
        files.read_file("docs/no/x.txt")
    assert caught.value.hint == "list_files shows what there is"


def test_a_name_that_the_system_refuses_is_told(files: Files) -> None:
    assert "File name too long" in refusal(lambda: files.read_file("x" * 300))


def test_names_that_are_no_unicode_make_a_listing_incomplete(root: Path, files: Files) -> None:
    (root / os.fsdecode(b"\xff.txt")).write_text("two")
    listing = files.list_files("*.txt")
    assert (listing.paths, listing.is_complete) == (["a.txt"], False)
    found = files.search_text("two", "*.txt")
    assert ([match.path for match in found.matches], found.skipped) == (["a.txt"], 1)


def test_no_descriptor_stays_open(root: Path, files: Files) -> None:
    before = len(list(Path("/dev/fd").iterdir()))
    files.list_files(limit=1)
    files.search_text("two", limit=1)
    files.write_file("new/x.txt", "x")
    refusal(lambda: files.read_file("docs/deep/none"))
    assert len(list(Path("/dev/fd").iterdir())) == before


def test_a_root_that_is_no_directory_is_refused(root: Path) -> None:
    with pytest.raises(ConfigError, match="is no directory"):
        Files(root / "a.txt")


def test_a_root_that_went_away_is_told(root: Path, files: Files, by_descriptor: bool) -> None:
    root.rename(root.with_name("moved"))
    assert refusal(files.list_files) == "'.' does not exist"


async def test_as_tools_they_are_declared_and_called(files: Files, pool: ThreadPool, context: ToolContext[object]) -> None:
    assert {each.spec.name: each.spec.effect for each in files.tools} == {
        "list_files": "read",
        "read_file": "read",
        "search_text": "read",
        "write_file": "idempotent",
    }
    assert {each.spec.label.untrusted for each in files.readers} == {("tool:list_files",), ("tool:read_file",), ("tool:search_text",)}
    read = files.read_file.bound_to(pool)
    assert await read.call({"path": "docs/deep/c.txt"}, context) == {
        "path": "docs/deep/c.txt",
        "text": "two",
        "first_line": 1,
        "lines": 1,
        "is_complete": True,
        "is_exact": True,
    }
    with pytest.raises(ArgumentsInvalid):
        await read.call({"path": "a.txt", "offset": -1}, context)


@pytest.mark.parametrize("name", ["agent.db", "agent.db-wal", "agent.db-shm"])
def test_a_database_in_use_is_neither_read_nor_replaced(root: Path, files: Files, name: str) -> None:
    for suffix in ("", "-wal", "-shm"):
        (root / f"agent.db{suffix}").write_text("pages")
    assert "belongs to a database in use" in refusal(lambda: files.read_file(name))
    assert "belongs to a database in use" in refusal(lambda: files.write_file(name, "text"))
    assert (root / name).read_text() == "pages"
