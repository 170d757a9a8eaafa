import subprocess
import sys

import pytest

from agent_sdk.core.errors import ConfigError
from agent_sdk.dispatch import JournalDispatcher, open_dispatcher, open_token_line
from agent_sdk.storage.memory import MemoryJournal
from agent_sdk.testing import SeededRandom, VirtualClock


@pytest.fixture
def without_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("nats", "asyncpg"):
        monkeypatch.setitem(sys.modules, name, None)
    for name in ("nats_link", "nats_queue", "nats_wire", "postgres_wire", "jetstream"):
        monkeypatch.delitem(sys.modules, f"agent_sdk.dispatch.{name}", raising=False)


async def test_without_a_url_runs_are_handed_out_by_the_journal() -> None:
    clock = VirtualClock()
    assert isinstance(await open_dispatcher(None, MemoryJournal(clock), clock=clock, random=SeededRandom()), JournalDispatcher)


async def test_a_scheme_that_no_dispatcher_has_is_refused_without_its_password() -> None:
    clock = VirtualClock()
    with pytest.raises(ConfigError, match="'amqp'") as told:
        await open_dispatcher("amqp://eve:s3cret@host", MemoryJournal(clock), clock=clock, random=SeededRandom())
    assert "s3cret" not in str(told.value)


@pytest.mark.usefixtures("without_packages")
async def test_a_missing_package_is_named_with_the_extra_that_brings_it() -> None:
    clock = VirtualClock()
    with pytest.raises(ConfigError, match="nats-py") as told:
        await open_dispatcher("nats://host", MemoryJournal(clock), clock=clock, random=SeededRandom())
    assert "agent-sdk[nats]" in str(told.value.hint)


@pytest.mark.usefixtures("without_packages")
@pytest.mark.parametrize(("url", "extra"), [("nats://host", "nats"), ("postgresql://host", "postgres")])
async def test_a_token_line_whose_package_is_missing_names_it_too(url: str, extra: str) -> None:
    with pytest.raises(ConfigError, match="package") as told:
        async with open_token_line(url, clock=VirtualClock()):
            pass
    assert f"agent-sdk[{extra}]" in str(told.value.hint)


def test_no_client_of_a_server_is_loaded_before_it_is_needed() -> None:
    code = "import sys, agent_sdk.dispatch; sys.exit(any(name in sys.modules for name in ('nats', 'asyncpg')))"
    assert subprocess.call([sys.executable, "-c", code]) == 0
