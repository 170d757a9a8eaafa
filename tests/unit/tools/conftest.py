from collections.abc import Generator

import pytest

from agent_sdk.core.ids import RunId, StepId, TenantId
from agent_sdk.core.tools import ToolContext
from agent_sdk.tools import ThreadPool


@pytest.fixture
def pool() -> Generator[ThreadPool, None, None]:
    pool = ThreadPool(4)
    yield pool
    pool.close()


@pytest.fixture
def context() -> ToolContext[object]:
    return ToolContext(TenantId("t"), RunId("r"), StepId("s"), attempt=1, idempotency_key="key-1", deps={"db": "open"})
