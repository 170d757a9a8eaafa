"""The NATS server of one's own that tests and demos start."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from pathlib import Path

import pytest

from agent_sdk.core.errors import OutsideError
from agent_sdk.testing.nats import NatsMissing, PrivateNats


@pytest.fixture
def server() -> Generator[PrivateNats]:
    made = PrivateNats()
    try:
        made.start()
    except NatsMissing as missing:
        pytest.skip(f"{missing.message}: {missing.hint}")
    yield made
    made.close()


def answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as probe:
            return probe.recv(5) == b"INFO "
    except OSError:
        return False


def is_silent(port: int) -> bool:
    """Wait for the server's end."""
    for _ in range(500):
        if not answers(port):
            return True
        time.sleep(0.01)
    return False


@pytest.mark.parametrize("how", ["TERM", "KILL"])
def test_a_server_is_stopped_and_started_on_the_same_port(server: PrivateNats, how: str) -> None:
    port = server.port
    server.stop("KILL" if how == "KILL" else "TERM")
    assert not answers(port)
    server.stop()
    server.start()
    assert (server.port, server.url) == (port, f"nats://127.0.0.1:{port}")
    assert answers(port)


def test_a_closed_server_leaves_nothing(server: PrivateNats) -> None:
    port = server.port
    with PrivateNats() as other:
        assert other.port != port
    assert not answers(other.port)
    assert answers(port)


def test_a_server_dies_with_the_process_that_started_it(server: PrivateNats) -> None:
    code = "from agent_sdk.testing.nats import PrivateNats; n = PrivateNats(); n.start(); print(n.port, flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        assert answers(port)
        os.kill(process.pid, signal.SIGKILL)
    assert is_silent(port)


def test_a_missing_program_is_named_with_what_brings_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NatsMissing, match="nats-server") as told:
        PrivateNats().start()
    assert "apt-get install nats-server" in str(told.value.hint)


def test_what_the_server_says_against_its_options_is_told(server: PrivateNats) -> None:
    with pytest.raises(OutsideError, match="nonsense"):
        PrivateNats(options=["--nonsense"]).start()
