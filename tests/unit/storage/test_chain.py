from collections.abc import Callable
from dataclasses import replace

import pytest

from agent_sdk.core.envelope import Envelope
from agent_sdk.core.ids import RunId, TenantId
from agent_sdk.storage.chain import verify_chain
from agent_sdk.storage.memory import MemoryJournal
from tests.contract.batches import RUN, TENANT, Clock, begin, finished


class Altered(MemoryJournal):
    """A journal whose stored events somebody has laid hands on: None stands for one that was removed."""

    changes: dict[int, Envelope | None]

    async def read(self, tenant: TenantId, run_id: RunId, *, after: int = 0, limit: int = 1000) -> list[Envelope]:
        stored = await super().read(tenant, run_id, after=after, limit=limit)
        changed = [self.changes.get(envelope.seq, envelope) for envelope in stored]
        return [envelope for envelope in changed if envelope is not None]


@pytest.fixture
async def journal() -> Altered:
    journal = Altered(Clock())
    journal.changes = {}
    hand = await begin(journal)
    await hand.append(*(finished(number) for number in range(5)))
    return journal


async def event(journal: Altered, seq: int) -> Envelope:
    return (await journal.read(TENANT, RUN, after=seq - 1, limit=1))[0]


ALTERATIONS: dict[str, Callable[[Envelope], Envelope]] = {
    "body": lambda envelope: replace(envelope, body=b'{"output":7}'),
    "no body": lambda envelope: replace(envelope, body=None),
    "at": lambda envelope: replace(envelope, at=1),
    "epoch": lambda envelope: replace(envelope, epoch=9),
    "cause": lambda envelope: replace(envelope, cause="inbox:1"),
    "hash": lambda envelope: replace(envelope, hash=bytes(32)),
}


@pytest.mark.parametrize("field", ALTERATIONS)
async def test_the_first_altered_event_is_named(journal: Altered, field: str) -> None:
    journal.changes = {4: ALTERATIONS[field](await event(journal, 4)), 6: None}
    assert await verify_chain(journal, TENANT, RUN) == 4


async def test_an_event_moved_elsewhere_is_named(journal: Altered) -> None:
    journal.changes = {3: replace(await event(journal, 4), seq=3), 4: replace(await event(journal, 3), seq=4)}
    assert await verify_chain(journal, TENANT, RUN) == 3


@pytest.mark.parametrize("gone", [[5], [1], [7], [6, 7], [1, 2, 3, 4, 5, 6, 7]])
async def test_the_first_missing_event_is_named(journal: Altered, gone: list[int]) -> None:
    journal.changes = dict.fromkeys(gone)
    assert await verify_chain(journal, TENANT, RUN) == gone[0]
