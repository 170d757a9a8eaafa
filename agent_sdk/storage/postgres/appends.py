"""Appends of many runs in few statements: what waits while one is under way goes together with the next."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from agent_sdk.core.errors import StorageError
from agent_sdk.core.frozen import frozen
from agent_sdk.core.ids import RunId, TenantId
from agent_sdk.core.ports import Batch
from agent_sdk.storage.follow import RunKey
from agent_sdk.storage.postgres import writes
from agent_sdk.storage.postgres.connect import Connection
from agent_sdk.storage.postgres.crew import Crew
from agent_sdk.storage.postgres.database import Database
from agent_sdk.storage.postgres.encoding import Written, written
from agent_sdk.storage.postgres.failures import FAILURES, closed, collided, passes

LANES = 2
"""How many statements of one process may be under way at once."""
_MOST_A_STATEMENT = 256
_STORED = """
SELECT b.ix FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bytea[]) WITH ORDINALITY AS b (tenant, run_id, seq, tip, ix)
JOIN agent_sdk.events AS e USING (tenant, run_id, seq) WHERE e.hash = b.tip
"""


@frozen
class Tip:
    """Where a run's chain ends, as its owner left it: true as long as epoch and head are."""

    epoch: int
    head: int
    hash: bytes


@dataclass(slots=True, eq=False)
class _Job:
    """A batch, who waits for it, and the keys of its mail."""

    batch: Batch
    done: "asyncio.Future[int]"
    keys: tuple[str, ...]
    item: Written | None = None
    is_sent: bool = False

    @property
    def run(self) -> RunKey:
        return self.batch.tenant, self.batch.run_id

    @property
    def is_plain(self) -> bool:
        return not (self.batch.ledger or self.batch.mail)

    def fail(self, error: Exception) -> None:
        if not self.done.done():
            self.done.set_exception(error)


class Appends:
    """Takes batches and answers each by itself. Batches of one run are written one after the other."""

    def __init__(self, database: Database, crew: Crew, *, lanes: int = LANES) -> None:
        self._database = database
        self._crew = crew
        self._lanes = lanes
        self._busy_lanes = 0
        self._waiting: list[_Job] = []
        self._flying: set[RunKey] = set()
        self._tips: dict[RunKey, Tip] = {}
        self._idle = asyncio.Event()
        self._idle.set()
        self._is_closed = False

    def claimed(self, tenant: TenantId, run_id: RunId, tip: Tip) -> None:
        """Remember where the chain of a run ends that was claimed here."""
        self._tips[tenant, run_id] = tip

    async def append(self, batch: Batch) -> int:
        """Write the batch, and return how many runs its end let go. Where the caller is cancelled it may be written all the same."""
        if self._is_closed:
            raise closed(self._database.address.name)
        job = _Job(batch, asyncio.get_running_loop().create_future(), tuple(writes.key_of(mail.item) for mail in batch.mail))
        self._waiting.append(job)
        self._idle.clear()
        if self._busy_lanes < self._lanes:
            self._busy_lanes += 1
            self._crew.start(self._serve(), "append")
        return await job.done

    async def close(self) -> None:
        """Write what waits, and take no more."""
        self._is_closed = True
        await self._idle.wait()

    async def _serve(self) -> None:
        """Write groups until nothing waits that may be written now."""
        jobs: list[_Job] = []
        try:
            while jobs := self._take():
                runs = {job.run for job in jobs}
                self._flying |= runs
                try:
                    await self._write(jobs)
                finally:
                    self._flying -= runs
        finally:
            self._busy_lanes -= 1
            lost = [*jobs, *self._waiting] if self._busy_lanes == 0 else jobs
            for job in lost:
                job.fail(closed(self._database.address.name))
            if self._busy_lanes == 0:
                self._waiting.clear()
                self._idle.set()

    def _take(self) -> list[_Job]:
        """Take what may go together: at most one batch a run, and one with ledger changes or mail alone."""
        taken: list[_Job] = []
        left: list[_Job] = []
        held = set(self._flying)
        is_full = False
        for job in self._waiting:
            if is_full or job.run in held or (taken and not job.is_plain):
                left.append(job)
            else:
                taken.append(job)
                is_full = not job.is_plain or len(taken) == _MOST_A_STATEMENT
            held.add(job.run)
        self._waiting = left
        return sorted(taken, key=lambda job: job.run)  # in the order that all lock rows in

    async def _write(self, jobs: Sequence[_Job]) -> None:
        """Write a group; where its statement fails as a whole, each batch by itself, so that one alone hears of what is wrong with it."""
        try:
            await self._database.perform(lambda connection, _: self._attempt(connection, jobs))
        except Exception as error:  # noqa: BLE001  (handed to those who wait)
            left = [job for job in jobs if not job.done.done()]
            if len(left) > 1 and not _is_away(error):
                for job in left:
                    await self._write([job])
                return
            for job in left:
                job.fail(error)

    async def _attempt(self, connection: Connection, jobs: Sequence[_Job]) -> None:
        await self._settle_doubtful(connection, [job for job in jobs if job.is_sent])
        await self._encode(connection, [job for job in jobs if not (job.done.done() or job.item)])
        ready = [(job, job.item) for job in jobs if job.item is not None and not job.done.done()]
        if not ready:
            return
        appended = await self._send(connection, ready)
        for place, (job, item) in enumerate(ready):
            if place in appended:
                self._appended(job, item, appended[place])
        await self._refuse(connection, [job for place, (job, _) in enumerate(ready) if place not in appended])

    async def _send(self, connection: Connection, ready: Sequence[tuple[_Job, Written]]) -> dict[int, int]:
        jobs, items = [job for job, _ in ready], [item for _, item in ready]
        doubts = [job.is_sent for job in jobs]
        for job in jobs:
            job.is_sent = True
        try:
            if jobs[0].is_plain:
                return await writes.append(connection, [job.batch for job in jobs], items)
            return await _append_with_more(connection, jobs[0], items[0])
        except FAILURES as error:
            if collided(error):
                for job, is_doubtful in zip(jobs, doubts, strict=True):
                    job.is_sent = is_doubtful
            raise

    async def _encode(self, connection: Connection, jobs: Sequence[_Job]) -> None:
        """Encode the batches that stand where their run does; a run that was not claimed here is looked up."""
        for job in jobs:
            batch = job.batch
            tip = self._tips.get(job.run)
            if tip is None or (tip.epoch, tip.head) != (batch.epoch, batch.head):
                query = "SELECT epoch, head, hash FROM agent_sdk.runs WHERE tenant = $1 AND run_id = $2"
                found = await connection.fetchrow(query, *job.run)
                tip = Tip(*found) if found is not None else None
            if tip is None or (tip.epoch, tip.head) != (batch.epoch, batch.head):
                job.fail(await writes.refusal(connection, batch))
                continue
            try:
                job.item = written(batch.tenant, batch.run_id, batch.facts, tip.hash)
            except Exception as error:  # noqa: BLE001  (handed to the one who waits)
                job.fail(error)

    async def _settle_doubtful(self, connection: Connection, jobs: Sequence[_Job]) -> None:
        """Answer those whose events are stored: they were sent before, over a connection that was lost."""
        sent = [(job, job.item) for job in jobs if job.item is not None and not job.done.done()]
        if not sent:
            return
        columns = [
            [job.batch.tenant for job, _ in sent],
            [job.batch.run_id for job, _ in sent],
            [job.batch.head + len(item.envelopes) for job, item in sent],
            [item.tip for _, item in sent],
        ]
        stored = {ix for (ix,) in await connection.fetch(_STORED, *columns)}
        for ix, (job, item) in enumerate(sent, 1):
            if not item.envelopes:
                job.fail(StorageError("the connection was lost, and a batch without events leaves no trace", hint="read the run again"))
            elif ix in stored:
                self._appended(job, item, freed=1)

    async def _refuse(self, connection: Connection, jobs: Sequence[_Job]) -> None:
        """Say why; but one that was sent before may have been written between our look and our second try."""
        if not jobs:
            return
        await self._settle_doubtful(connection, [job for job in jobs if job.batch.facts])
        for job in jobs:
            if not job.done.done():
                self._tips.pop(job.run, None)
                job.fail(await writes.refusal(connection, job.batch))

    def _appended(self, job: _Job, item: Written, freed: int) -> None:
        if job.batch.releases:
            self._tips.pop(job.run, None)
        else:
            self._tips[job.run] = Tip(job.batch.epoch, job.batch.head + len(item.envelopes), item.tip)
        if not job.done.done():
            job.done.set_result(freed)


async def _append_with_more(connection: Connection, job: _Job, item: Written) -> dict[int, int]:
    """Append a batch with its mail and ledger changes, in a transaction of its own."""
    async with connection.transaction():
        if job.batch.mail:
            await writes.lock(connection, job.batch)
        appended = await writes.append(connection, [job.batch], [item])
        if appended:
            await writes.deliver(connection, job.batch, job.keys)
            await writes.change_ledgers(connection, job.batch.tenant, job.batch.ledger)
    return appended


def _is_away(error: Exception) -> bool:
    return isinstance(error.__cause__, Exception) and passes(error.__cause__)
