from collections.abc import Coroutine

from agent_sdk.storage.memory import MemoryJournal
from tests.contract.batches import RUN, TENANT, Clock, begin, finished


def steps(work: Coroutine[object, object, None]) -> int:
    """Count how often a coroutine suspends."""
    count = 0
    try:
        while True:
            work.send(None)
            count += 1
    except StopIteration:
        return count


async def test_an_append_never_suspends() -> None:
    hand = await begin(MemoryJournal(Clock()))
    assert steps(hand.append(finished(), finished())) == 0


async def test_what_is_read_twice_is_the_same_object() -> None:
    journal = MemoryJournal(Clock())
    hand = await begin(journal)
    early = await journal.read(TENANT, RUN)
    await hand.append(finished())
    assert (await journal.read(TENANT, RUN))[1] is early[1]
