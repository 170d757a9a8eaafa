"""What contract suites share: every journal, each in a store of its own; and one NATS server, in which each test takes a stream."""

from collections.abc import AsyncIterator, Generator

import pytest

from agent_sdk.core.ports import Journal
from agent_sdk.testing.nats import NatsMissing, PrivateNats
from tests.contract.stores import STORES, Store


@pytest.fixture(params=list(STORES))
async def store(request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    """Each journal in turn, on an empty store."""
    async with STORES[request.param](request) as opened:
        yield opened


@pytest.fixture
def journal(store: Store) -> Journal:
    return store.journal


@pytest.fixture(scope="session")
def nats_url() -> Generator[str]:
    """The URL of a NATS server with JetStream."""
    server = PrivateNats()
    try:
        server.start()
    except NatsMissing as missing:
        pytest.skip(f"{missing.message}: {missing.hint}")
    yield server.url
    server.close()
