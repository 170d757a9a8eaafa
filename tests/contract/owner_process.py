"""An owner in a process of its own: takes a run, appends to it, and prints the number of the last event as soon as it is durable."""

import asyncio
import sys
import time
from pathlib import Path

from agent_sdk.core.ids import OwnerId, RunId
from agent_sdk.storage.sqlite.journal import SqliteJournal
from tests.contract.batches import Clock, finished, take


class SystemClock(Clock):
    def now_us(self) -> int:
        return time.time_ns() // 1000


async def own(path: Path, run_id: RunId, owner: OwnerId, appends: int) -> None:
    journal = await SqliteJournal.open(path, clock=SystemClock())
    hand = await take(journal, owner, run_id=run_id, lease_s=3600)
    print(hand.head, flush=True)  # noqa: T201  (the parent reads it)
    for number in range(appends):
        await hand.append(finished(number), finished("x" * 500))
        print(hand.head, flush=True)  # noqa: T201
    await hand.end()
    print(hand.head, flush=True)  # noqa: T201
    await journal.close()


if __name__ == "__main__":
    asyncio.run(own(Path(sys.argv[1]), RunId(sys.argv[2]), OwnerId(sys.argv[3]), int(sys.argv[4])))
