"""One NATS server for all contract tests; each takes a stream of its own in it."""

from collections.abc import Generator

import pytest

from agent_sdk.testing.nats import NatsMissing, PrivateNats


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
