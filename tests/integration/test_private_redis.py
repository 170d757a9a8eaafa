"""The Redis server of one's own that tests start."""

import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from agent_sdk.core.errors import ConfigError, OutsideError
from agent_sdk.storage.redis_rates import RedisRates
from agent_sdk.testing.redis import PrivateRedis, RedisMissing
from tests.contract.rate_stores import fresh_redis


def answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as probe:
            probe.sendall(b"PING\r\n")
            return probe.recv(5) == b"+PONG"
    except OSError:
        return False


@pytest.mark.redis
def test_a_server_answers_until_it_is_closed() -> None:
    with fresh_redis() as server:
        assert answers(server.port)
    assert not answers(server.port)


@pytest.mark.redis
@pytest.mark.slow
def test_a_process_that_is_killed_takes_its_server_with_it() -> None:
    fresh_redis()
    program = (
        "from agent_sdk.testing.redis import PrivateRedis\n"
        "import time\nserver = PrivateRedis()\nserver.start()\nprint(server.port, flush=True)\ntime.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]) as owner:
        assert owner.stdout is not None
        port = int(owner.stdout.readline())
        assert answers(port)
        owner.kill()
    for _ in range(500):
        if not answers(port):
            break
        time.sleep(0.01)
    assert not answers(port)


def test_a_machine_without_a_server_is_told_how_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(RedisMissing, match="no redis-server") as caught:
        PrivateRedis().start()
    assert caught.value.hint is not None
    assert "apt-get install redis-server" in caught.value.hint


def test_a_program_that_is_no_server_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent_sdk.testing.redis._PATIENCE_S", 0.01)
    with pytest.raises(OutsideError, match="did not start"):
        PrivateRedis(Path("/bin/true")).start()


async def test_a_url_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="malformed"):
        await RedisRates.open("postgresql://me:secret@host/db")
