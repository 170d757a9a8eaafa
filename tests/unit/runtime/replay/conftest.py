from collections.abc import Callable, Mapping

import pytest

from agent_sdk.testing.virtual_time import VirtualTimeLoop


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> Mapping[str, Callable[[], VirtualTimeLoop]]:
    """Run every asynchronous test of this directory in virtual time."""
    return {"virtual": VirtualTimeLoop}
