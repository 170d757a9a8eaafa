"""The thread that renews leases: while the event loop is blocked, after the store failed, and until a lease is lost."""

import asyncio
import threading
from collections.abc import Sequence

from agent_sdk.core.errors import StorageError
from agent_sdk.core.ids import DEFAULT_TENANT, OwnerId, RunId
from agent_sdk.core.ports import Claim
from agent_sdk.execution import Lease
from agent_sdk.runtime.keeper import LeaseKeeper, RunKey
from agent_sdk.runtime.system import SystemClock
from agent_sdk.storage.memory import MemoryJournal

LEASE_S = 0.03
CLAIM = Claim(DEFAULT_TENANT, RunId("run_1"), OwnerId("me"), 1, 1, 0)
KEY = CLAIM.tenant, CLAIM.run_id


class Line:
    """Answers each renewal with the next of what it was given, and tells when it did."""

    def __init__(self, *answers: Sequence[Claim] | StorageError) -> None:
        self.answers = list(answers)
        self.answered = threading.Event()
        self.closed = threading.Event()

    def renew(self, claims: Sequence[Claim], *, lease_s: float) -> Sequence[Claim]:
        answer = self.answers.pop(0)
        if not self.answers:
            self.answers.append(answer)
            self.answered.set()
        if isinstance(answer, StorageError):
            raise answer
        return answer

    def close(self) -> None:
        self.closed.set()


class Lined(MemoryJournal):
    def __init__(self, line: Line) -> None:
        super().__init__(SystemClock())
        self.line = line

    def lease_line(self) -> Line:
        return self.line


def keeper(line: Line, lost: list[RunKey]) -> LeaseKeeper:
    return LeaseKeeper(Lined(line), SystemClock(), LEASE_S, lost.append)


async def test_a_lease_is_renewed_while_the_event_loop_is_blocked() -> None:
    line, lost = Line([CLAIM]), list[RunKey]()
    leases, lease = keeper(line, lost), Lease(CLAIM, LEASE_S, SystemClock().monotonic())
    leases.hold(lease)
    assert line.answered.wait(10)
    leases.close()
    assert lease.left_s(SystemClock()) > 0 or line.closed.is_set()
    assert not lost
    assert line.closed.wait(10)


async def test_a_store_that_fails_is_asked_again_before_the_lease_is_over() -> None:
    line = Line(StorageError("down"), StorageError("down"), [CLAIM])
    leases, lease = keeper(line, []), Lease(CLAIM, LEASE_S, 0.0)
    leases.hold(lease)
    assert line.answered.wait(10)
    leases.close()
    assert lease.until > 0


async def test_a_lease_that_stands_no_more_is_told_of_once() -> None:

    line, lost = Line([]), list[RunKey]()
    told = asyncio.Event()

    def tell(key: RunKey) -> None:
        lost.append(key)
        told.set()

    leases = LeaseKeeper(Lined(line), SystemClock(), LEASE_S, tell)
    leases.hold(Lease(CLAIM, LEASE_S, 0.0))
    await told.wait()
    leases.close()
    assert lost == [KEY]


async def test_a_lease_that_was_given_up_is_not_lost() -> None:
    line, lost = Line([]), list[RunKey]()
    leases = keeper(line, lost)
    leases.hold(Lease(CLAIM, LEASE_S, 0.0))
    assert line.answered.wait(10)
    leases.drop(KEY)
    leases.close()

    await asyncio.sleep(0)
    assert lost == []
