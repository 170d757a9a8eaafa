import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent_sdk.core.ids import OwnerId
from agent_sdk.storage.sqlite.owners import Owners

ALICE = OwnerId("host/alice:1")


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "agent.db"


@pytest.fixture
def owners(database: Path) -> Iterator[Owners]:
    made = Owners(database)
    yield made
    made.close()


@pytest.fixture
def others(database: Path) -> Iterator[Owners]:
    made = Owners(database)
    yield made
    made.close()


def locks(database: Path) -> list[str]:
    return sorted(file.name for file in Path(f"{database}.owners").iterdir())


def test_an_owner_that_holds_its_lock_lives(owners: Owners, others: Owners) -> None:
    owners.hold(ALICE)
    assert owners.holds(ALICE)
    assert not owners.is_dead(ALICE)
    assert not others.is_dead(ALICE)


def test_an_owner_that_let_go_is_dead(owners: Owners, others: Owners) -> None:
    owners.hold(ALICE)
    owners.close()
    assert others.is_dead(ALICE)
    assert not owners.holds(ALICE)


def test_two_may_look_at_once(owners: Owners, others: Owners, database: Path) -> None:
    owners.hold(ALICE)
    owners.close()
    assert others.is_dead(ALICE)
    assert Owners(database).is_dead(ALICE)


def test_of_an_owner_without_a_lock_file_nothing_is_known(owners: Owners) -> None:
    assert not owners.is_dead(ALICE)


def test_where_no_lock_can_be_had_the_lease_alone_counts(owners: Owners, database: Path) -> None:
    Path(f"{database}.owners").write_text("no directory")
    owners.hold(ALICE)
    owners.clean([])
    assert not owners.is_dead(ALICE)
    assert not Owners(database).is_dead(ALICE)


def test_an_owner_whose_name_is_held_elsewhere_lives_on_its_lease(owners: Owners, others: Owners) -> None:
    owners.hold(ALICE)
    others.hold(ALICE)
    assert not others.is_dead(ALICE)


def test_files_of_the_dead_go_unless_their_runs_are_still_theirs(owners: Owners, others: Owners, database: Path) -> None:
    for name in ("ann", "ben"):
        others.hold(OwnerId(name))
    owners.hold(ALICE)
    owners.clean([])
    assert locks(database) == ["ann.lock", "ben.lock", "host%2Falice%3A1.lock"]
    others.close()
    owners.clean([OwnerId("ben")])
    assert locks(database) == ["ben.lock", "host%2Falice%3A1.lock"]


def test_a_lock_is_not_inherited_by_child_processes(owners: Owners, database: Path) -> None:
    owners.hold(ALICE)
    (file,) = Path(f"{database}.owners").iterdir()
    assert [os.get_inheritable(number) for number in range(3, 256) if _is_open_as(number, file)] == [False]


def _is_open_as(number: int, file: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(number), file.stat())
    except OSError:
        return False
