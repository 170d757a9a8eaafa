"""What holds for every test: hypothesis is repeatable, in CI a skipped test is a failed one, and there is one PostgreSQL server for all."""

import gc
import logging
import os
from collections.abc import Generator
from itertools import count

import pytest
from hypothesis import settings

from agent_sdk.testing.postgres import PrivatePostgres
from agent_sdk.testing.postgres_programs import PostgresMissing

IN_CI = os.environ.get("CI", "").lower() == "true"  # noqa: TID251 - CI tells of itself in the environment alone

settings.register_profile("repeatable", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("repeatable")

_databases = count(1)


def refuse_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Fail what was skipped in CI: there everything that a test needs is present, so a skip hides a fault."""
    if IN_CI and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, and in CI nothing may be: {report.longrepr}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    refuse_skip(report)
    return report


def pytest_collection_finish() -> None:
    """Keep from the garbage collector what lasts as long as the session: hundreds of megabytes, which each full collection would walk."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _own_logs() -> Generator[None]:
    """Let no test log differently because of what an earlier one set up."""
    logger = logging.getLogger("agent_sdk")
    before = logger.level, list(logger.handlers), logger.propagate
    yield
    level, logger.handlers, logger.propagate = before
    logger.setLevel(level)


@pytest.fixture(scope="session")
def postgres() -> Generator[PrivatePostgres]:
    """One server for the whole session: it forces nothing to disk, and its databases are for one test each (`postgres_url`)."""
    server = PrivatePostgres()
    try:
        server.start()
    except PostgresMissing as missing:
        pytest.skip(f"{missing.message}: {missing.hint}")
    yield server
    server.close()


@pytest.fixture
def postgres_url(postgres: PrivatePostgres) -> Generator[str]:
    """The URL of a new, empty database that is gone after the test."""
    name = f"test_{next(_databases)}"
    yield postgres.create_database(name)
    postgres.drop_database(name)
