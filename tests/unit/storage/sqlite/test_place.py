import os
import stat
from pathlib import Path

import pytest

from agent_sdk.core.errors import ConfigError, StorageReadOnly
from agent_sdk.storage.sqlite.place import prepared, refuse_network

MOUNTS = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 22 0:25 / /mnt rw - tmpfs tmpfs rw
31 30 0:26 /exports /mnt/shared\\040disk rw,relatime shared:2 master:1 - nfs4 server:/exports rw,vers=4.2
32 31 0:27 / /mnt/shared\\040disk/local rw - ext4 /dev/vdb rw
33 22 0:28 / /home/ann rw - fuse.sshfs ann@host: rw
34 22 0:29 / /host rw - 9p host rw,cache=mmap
"""


@pytest.mark.parametrize("path", ["/mnt/shared disk/agent.db", "/mnt/shared disk/deep/agent.db", "/home/ann/agent.db"])
def test_a_network_file_system_is_refused(path: str) -> None:
    with pytest.raises(ConfigError, match="network file system") as refused:
        refuse_network(Path(path), MOUNTS)
    assert "local disk" in (refused.value.hint or "")


@pytest.mark.parametrize(
    "path", ["/agent.db", "/mnt/shared disk/local/agent.db", "/mnt/shared/agent.db", "/home/anna/agent.db", "/host/agent.db"]
)
def test_other_file_systems_are_not(path: str) -> None:
    refuse_network(Path(path), MOUNTS)


def test_the_last_of_two_mounts_at_one_point_counts() -> None:
    with pytest.raises(ConfigError, match="nfs at /data"):
        refuse_network(Path("/data/agent.db"), "1 0 8:1 / /data rw - ext4 a rw\n2 1 0:9 / /data rw - nfs b rw\n")


def test_a_new_file_is_its_user_s_alone(tmp_path: Path) -> None:
    assert stat.S_IMODE(prepared(tmp_path / "agent.db").stat().st_mode) == 0o600


def test_a_file_that_exists_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "agent.db"
    path.write_bytes(b"content")
    path.chmod(0o640)
    assert prepared(path) == path.resolve()
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"content", 0o640)


def test_two_names_of_one_file_are_one_place(tmp_path: Path) -> None:
    (tmp_path / "link.db").symlink_to(tmp_path / "agent.db")
    assert prepared(tmp_path / "link.db") == prepared(tmp_path / "agent.db")


def test_a_directory_is_no_database(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is a directory"):
        prepared(tmp_path)


def test_a_missing_directory_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist") as refused:
        prepared(tmp_path / "missing" / "agent.db")
    assert (refused.value.hint or "").startswith("make it: mkdir -p")
    assert not (tmp_path / "missing").exists()


def test_a_place_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    directory = Path("/sys")  # where not even root makes a file
    if os.geteuid() or not directory.is_dir():
        directory = tmp_path / "closed"
        directory.mkdir(mode=0o500)
    with pytest.raises(StorageReadOnly, match="cannot be written"):
        prepared(directory / "agent.db")
