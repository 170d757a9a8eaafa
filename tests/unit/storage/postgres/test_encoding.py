import re

from agent_sdk.core.envelope import ARTIFACT_THRESHOLD_BYTES, GENESIS
from agent_sdk.core.events import Fact
from agent_sdk.storage.postgres.encoding import tail, tail_args, written
from tests.contract.batches import RUN, START_US, TENANT, created, envelopes, finished


def numbers(statement: str) -> set[int]:
    return {int(number) for number in re.findall(r"\$(\d+)", statement)}


def test_events_are_encoded_as_a_chain_that_ends_at_the_tip() -> None:
    facts = [created(), Fact(2, 1, START_US, finished())]
    item = written(TENANT, RUN, facts, GENESIS)
    assert item.envelopes == envelopes(facts)
    assert item.tip == item.envelopes[-1].hash
    assert written(TENANT, RUN, [], GENESIS).tip == GENESIS


def test_the_arrays_are_those_that_the_statement_names() -> None:
    small = written(TENANT, RUN, [created()], GENESIS)
    big = written(TENANT, RUN, [Fact(1, 1, START_US, finished("x" * ARTIFACT_THRESHOLD_BYTES))], GENESIS)
    empty = written(TENANT, RUN, [], GENESIS)
    for items, has_artifacts in (([small], False), ([small, empty, big], True), ([empty], False)):
        columns = tail_args(items)
        assert numbers(tail(5, with_artifacts=has_artifacts)) == set(range(5, 5 + len(columns)))
    assert [column[0] for column in tail_args([empty, big])[-5:-1]] == [2, TENANT, RUN, next(iter(big.artifacts))]
