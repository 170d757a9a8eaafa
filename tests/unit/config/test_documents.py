"""Reading a file: the kinds that there are, and all that a file can have wrong with it."""

import os
import sys
from pathlib import Path

import pytest

from agent_sdk.config.documents import MAX_DOCUMENT_BYTES, read_document, read_text
from agent_sdk.config.marks import DocumentError, Place


def error_of(path: Path) -> DocumentError:
    with pytest.raises(DocumentError) as caught:
        read_document(path)
    return caught.value


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("a.yaml", "b:\n  c: 1\n", 2),
        ("a.YML", "b:\n  c: 1\n", 2),
        ("a.json", '{"b":\n {"c": 1}}', 2),
        ("a.toml", "[b]\nc = 1\n", None),
    ],
)
def test_every_kind_is_read_with_the_lines_that_it_knows(tmp_path: Path, name: str, text: str, line: int | None) -> None:
    (tmp_path / name).write_text(text)
    document = read_document(tmp_path / name)
    assert document.value == {"b": {"c": 1}}
    assert document.line_of("$.b.c") == line


def test_a_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_bytes(b"\xef\xbb\xbf[7]")
    document = read_document(file)
    assert document.value == [7]
    assert document.place_of("$[0]") == Place(1, 2)


@pytest.mark.parametrize(
    ("name", "data", "problem"),
    [
        ("a.ini", b"x", "not a kind of file that is read here"),
        ("a.yaml", b"", "the file is empty"),
        ("a.toml", b" \n\n", "the file is empty"),
        ("a.json", b'{"a": "\xe9"}', "not UTF-8: byte 8 is 0xe9"),
        ("a.yaml", b"x" * (10 * 1024 * 1024), f"larger than {MAX_DOCUMENT_BYTES} bytes"),
    ],
)
def test_a_file_that_is_no_document_says_why(tmp_path: Path, name: str, data: bytes, problem: str) -> None:
    (tmp_path / name).write_bytes(data)
    assert error_of(tmp_path / name).problem == problem


def test_a_file_that_is_not_there_says_so(tmp_path: Path) -> None:
    assert error_of(tmp_path / "a.yaml").problem == "there is no such file"


def test_a_directory_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").mkdir()
    assert error_of(tmp_path / "a.yaml").problem == "a directory, not a file"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no named pipes in its file system")
def test_a_pipe_is_refused_rather_than_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.yaml")
    assert error_of(tmp_path / "a.yaml").problem == "not a regular file"


def test_a_path_that_the_system_refuses_is_an_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").symlink_to(tmp_path / "a.yaml")
    assert error_of(tmp_path / "a.yaml").problem == "cannot be read: Too many levels of symbolic links"
    assert error_of(tmp_path / ("x" * 300 + ".yaml")).problem == "cannot be read: File name too long"


def test_a_text_may_be_as_large_as_its_bound(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1234")
    assert read_text(tmp_path / "a", max_bytes=4) == "1234"
