"""What the dispatcher over NATS promises beyond the port's contract: here no sweep comes to its help, and servers go down."""

import asyncio
import json
import secrets
import sys
import time
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, replace

import pytest
from nats.js.manager import JetStreamManager

from agent_sdk.core.errors import ConfigError, StorageError
from agent_sdk.core.events import Fact, RunClaimed, RunCreated, RunReleased, RunSucceeded
from agent_sdk.core.ids import OwnerId, RunId, TenantId
from agent_sdk.core.labels import TRUSTED
from agent_sdk.core.ports import Batch, Claim, Journal, RunRow, Ticket, Wanted
from agent_sdk.core.run import RunState
from agent_sdk.dispatch import open_dispatcher
from agent_sdk.dispatch.jetstream import NatsDispatcher
from agent_sdk.dispatch.nats_link import NatsOptions, connect, subscribe
from agent_sdk.storage import open_journal
from agent_sdk.storage.memory import MemoryJournal
from agent_sdk.testing import SeededRandom
from agent_sdk.testing.nats import NatsMissing, PrivateNats
from tests.contract.real_time import RealClock

ACME = TenantId("acme")
ALICE, BOB = OwnerId("own_alice"), OwnerId("own_bob")
CLERK = Wanted(1, agents=frozenset({("clerk", "1")}), queues=frozenset({"default"}))
NEVER_S = 3600.0
CLOCK = RealClock()


@contextmanager
def started(*options: str) -> Generator[PrivateNats]:
    nats = PrivateNats(options)
    try:
        nats.start()
    except NatsMissing as missing:
        pytest.skip(f"{missing.message}: {missing.hint}")
    try:
        yield nats
    finally:
        nats.close()


@pytest.fixture(scope="module")
def server() -> Generator[PrivateNats]:
    with started() as nats:
        yield nats


@dataclass
class Bench:
    options: NatsOptions
    journal: Journal
    stack: AsyncExitStack

    async def dispatcher(self, *, sweep_s: float = NEVER_S) -> NatsDispatcher:
        """Return one whose first sweep is over."""
        made = await NatsDispatcher.open(replace(self.options, sweep_s=sweep_s), self.journal, CLOCK, SeededRandom())
        self.stack.push_async_callback(made.close)
        await take(made, wait_s=0.0)
        return made

    async def create(self, run_id: str, *, tenant: TenantId = ACME) -> Ticket:
        await self.journal.create(tenant, RunId(run_id), [Fact(1, 0, CLOCK.now_us(), RunCreated("clerk", "1", {}, goal="count"))])
        return Ticket(tenant, RunId(run_id), "clerk", "1")

    async def waiting_tickets(self) -> int:
        """Return how many tickets the stream holds."""
        client = await connect(self.options)
        info = await JetStreamManager(client).stream_info(self.options.name)
        await client.close()
        return info.state.messages

    async def release(self, claim: Claim, *, ends: bool) -> None:
        last = RunSucceeded(TRUSTED, "ten") if ends else RunReleased("suspended")
        facts = [Fact(claim.head + n, claim.epoch, CLOCK.now_us(), event) for n, event in enumerate([RunClaimed(claim.owner), last], 1)]
        state: RunState = "succeeded" if ends else "queued"
        await self.journal.append(Batch(claim.tenant, claim.run_id, claim.epoch, claim.head, facts, state, releases=True))


@pytest.fixture
async def bench(server: PrivateNats) -> AsyncGenerator[Bench]:
    async with AsyncExitStack() as stack:
        journal = await open_journal("memory:", clock=CLOCK)
        stack.push_async_callback(journal.close)
        yield Bench(NatsOptions(server.url, name=f"test_{secrets.token_hex(8)}"), journal, stack)


async def take(
    dispatcher: NatsDispatcher, limit: int = 1, *, owner: OwnerId = ALICE, wait_s: float = 10.0, lease_s: float = 20.0
) -> list[Claim]:
    return await dispatcher.take(replace(CLERK, limit=limit), owner, lease_s=lease_s, wait_s=wait_s)


def names(claims: Sequence[Claim]) -> list[str]:
    return sorted(claim.run_id for claim in claims)


async def test_a_ticket_alone_brings_a_run_to_who_waits(bench: Bench) -> None:
    dispatcher = await bench.dispatcher()
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(take(dispatcher))
        await asyncio.sleep(0.05)
        await dispatcher.offer(await bench.create("r1"))
    assert names(waiting.result()) == ["r1"]


async def test_a_ticket_is_held_while_its_run_is_performed_and_gone_at_its_end(bench: Bench) -> None:
    dispatcher = await bench.dispatcher()
    await dispatcher.offer(await bench.create("r1"))
    claims = await take(dispatcher)
    assert await bench.waiting_tickets() == 1
    await bench.release(claims[0], ends=True)
    await dispatcher.done(claims[0])
    assert await bench.waiting_tickets() == 0
    await dispatcher.done(claims[0])
    await dispatcher.keep(claims)


@pytest.mark.slow
async def test_the_ticket_of_a_lost_worker_comes_again_without_a_sweep(bench: Bench) -> None:
    lost, other = await bench.dispatcher(), await bench.dispatcher()
    await lost.offer(await bench.create("r1"))
    assert names(await take(lost, lease_s=1.0)) == ["r1"]
    began = time.monotonic()
    assert names(await take(other, owner=BOB, lease_s=1.0)) == ["r1"]
    assert time.monotonic() - began > 0.5


@pytest.mark.slow
async def test_a_ticket_that_is_kept_does_not_come_again(bench: Bench) -> None:
    first, second = await bench.dispatcher(), await bench.dispatcher()
    await first.offer(await bench.create("r1"))
    claims = await take(first, lease_s=1.0)
    for _ in range(5):
        assert await take(second, owner=BOB, wait_s=0.4, lease_s=1.0) == []
        await first.keep(claims)


async def test_what_is_offered_to_a_full_worker_goes_to_another(bench: Bench) -> None:
    full, idle = await bench.dispatcher(), await bench.dispatcher()
    assert await take(full, wait_s=0.05) == []
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(take(idle, owner=BOB))
        await asyncio.sleep(0.05)
        await full.offer(await bench.create("r1"))
    assert names(waiting.result()) == ["r1"]


async def test_tickets_of_runs_that_are_gone_or_ended_are_dropped(bench: Bench) -> None:
    dispatcher = await bench.dispatcher()
    ticket = await bench.create("r1")
    claim = await bench.journal.claim(ACME, RunId("r1"), BOB, lease_s=20)
    await bench.release(claim, ends=True)
    await dispatcher.offer(ticket)
    await dispatcher.offer(replace(ticket, run_id=RunId("nobody's")))
    assert await take(dispatcher, 5, wait_s=0.3) == []
    assert await take(dispatcher, 5, wait_s=0.1) == []
    assert await bench.waiting_tickets() == 0


@pytest.mark.slow
async def test_the_ticket_of_a_run_that_somebody_holds_comes_again_when_that_lease_ends(bench: Bench) -> None:
    dispatcher = await bench.dispatcher()
    ticket = await bench.create("r1")
    await bench.journal.claim(ACME, RunId("r1"), BOB, lease_s=1.0)
    await dispatcher.offer(ticket)
    began = time.monotonic()
    assert names(await take(dispatcher)) == ["r1"]
    assert time.monotonic() - began > 0.5


async def test_a_ticket_whose_run_was_taken_otherwise_serves_another_run(bench: Bench) -> None:
    dispatcher = await bench.dispatcher()
    ticket = await bench.create("r1")
    await bench.create("r2")
    await bench.journal.claim(ACME, RunId("r1"), BOB, lease_s=20)
    await dispatcher.offer(ticket)
    claims = await take(dispatcher)
    assert names(claims) == ["r2"]
    await dispatcher.done(claims[0])
    assert await bench.waiting_tickets() == 0


class UnsteadyJournal(MemoryJournal):
    """A journal that is slow to claim, and fails as often as it is told to."""

    claim_s = 0.0
    failing_claims = 0
    failing_rows = 0

    async def claim_due(self, wanted: Wanted, owner: OwnerId, *, lease_s: float) -> list[Claim]:
        if self.failing_claims:
            self.failing_claims -= 1
            raise StorageError("no disk")
        await asyncio.sleep(self.claim_s)
        return await super().claim_due(wanted, owner, lease_s=lease_s)

    async def row(self, tenant: TenantId, run_id: RunId) -> RunRow:
        if self.failing_rows:
            self.failing_rows -= 1
            raise StorageError("no disk")
        return await super().row(tenant, run_id)


async def test_a_ticket_that_the_journal_failed_on_comes_again(bench: Bench) -> None:
    bench.journal = journal = UnsteadyJournal(CLOCK)
    dispatcher = await bench.dispatcher()
    await dispatcher.offer(await bench.create("r1"))
    journal.failing_claims = 1
    with pytest.raises(StorageError):
        await take(dispatcher)
    assert names(await take(dispatcher)) == ["r1"]


async def test_a_ticket_that_cannot_be_judged_comes_again(bench: Bench) -> None:
    bench.journal = journal = UnsteadyJournal(CLOCK)
    dispatcher = await bench.dispatcher()
    ticket = await bench.create("r1")
    await bench.release(await journal.claim(ACME, RunId("r1"), BOB, lease_s=20), ends=True)
    journal.failing_rows = 1
    await dispatcher.offer(ticket)
    assert await take(dispatcher, wait_s=0.3) == []
    assert (journal.failing_rows, await bench.waiting_tickets()) == (0, 1)
    assert await take(dispatcher, wait_s=1.5) == []
    assert await bench.waiting_tickets() == 0


async def test_a_take_cancelled_while_it_claims_gives_run_and_ticket_back(bench: Bench) -> None:
    bench.journal = journal = UnsteadyJournal(CLOCK)
    dispatcher, other = await bench.dispatcher(), await bench.dispatcher()
    journal.claim_s = 0.2
    await dispatcher.offer(await bench.create("r1"))
    async with asyncio.TaskGroup() as tasks:
        taking = tasks.create_task(take(dispatcher))
        await asyncio.sleep(0.1)
        taking.cancel()
    assert taking.cancelled()
    assert [(claim.run_id, claim.epoch) for claim in await take(other, owner=BOB)] == [("r1", 2)]


async def test_a_worker_that_closes_early_leaves_its_tickets_to_others(bench: Bench) -> None:
    dispatcher, other = await bench.dispatcher(), await bench.dispatcher()
    await dispatcher.offer(await bench.create("r1"))
    claims = await take(dispatcher)
    await bench.release(claims[0], ends=False)
    await dispatcher.close()
    assert names(await take(other, owner=BOB)) == ["r1"]


@pytest.mark.slow
async def test_takes_that_are_cancelled_at_any_moment_lose_neither_run_nor_ticket(bench: Bench) -> None:
    hasty, patient = await bench.dispatcher(), await bench.dispatcher()
    taken = list[Claim]()
    for number in range(40):
        await patient.offer(await bench.create(f"r{number:02}"))
        async with asyncio.TaskGroup() as tasks:
            taking = tasks.create_task(take(hasty))
            await asyncio.sleep(number / 10_000)
            taking.cancel()
        taken += [] if taking.cancelled() else taking.result()
    while len(taken) < 40 and (claims := await take(patient, 5, owner=BOB)):
        taken += claims
    assert names(taken) == [f"r{number:02}" for number in range(40)]


WORKER = """
import asyncio, sys, time
from agent_sdk.core.ids import OwnerId
from agent_sdk.dispatch.jetstream import NatsDispatcher
from agent_sdk.dispatch.nats_link import NatsOptions
from agent_sdk.storage import open_journal
from agent_sdk.storage.memory import MemoryJournal
from agent_sdk.testing import SeededRandom
from tests.contract.real_time import RealClock
from tests.integration.test_nats_dispatcher import CLERK, NEVER_S

async def work(journal_url, nats_url, name):
    journal = await open_journal(journal_url, clock=RealClock())
    options = NatsOptions(nats_url, name=name, sweep_s=NEVER_S)
    dispatcher = await NatsDispatcher.open(options, journal, RealClock(), SeededRandom())
    while True:
        claims = await dispatcher.take(CLERK, OwnerId("own_doomed"), lease_s=1.0, wait_s=1.0)
        if claims:
            print(claims[0].run_id, flush=True)
            time.sleep(60)

asyncio.run(work(*sys.argv[1:]))
"""


@pytest.mark.slow
async def test_a_killed_worker_s_run_comes_to_another_within_its_lease_and_two_seconds(server: PrivateNats, postgres_url: str) -> None:
    async with AsyncExitStack() as stack:
        journal = await open_journal(postgres_url, clock=CLOCK)
        stack.push_async_callback(journal.close)
        bench = Bench(NatsOptions(server.url, name=f"test_{secrets.token_hex(8)}"), journal, stack)
        other = await bench.dispatcher()
        await other.offer(await bench.create("r1"))
        doomed = await asyncio.create_subprocess_exec(
            sys.executable, "-c", WORKER, postgres_url, server.url, bench.options.name, stdout=asyncio.subprocess.PIPE
        )
        assert doomed.stdout is not None
        assert (await doomed.stdout.readline()).strip() == b"r1"
        doomed.kill()
        await doomed.wait()
        assert names(await take(other, owner=BOB, wait_s=3.0)) == ["r1"]


async def test_many_runs_without_tickets_do_not_wait_for_a_sweep_each(bench: Bench) -> None:
    dispatcher = await bench.dispatcher(sweep_s=2.0)
    for number in range(100):
        await bench.create(f"r{number}")
    began, taken = time.monotonic(), list[Claim]()
    while len(taken) < 100:
        taken += await take(dispatcher, 5)
    assert time.monotonic() - began < 20, "20 questions that wait for a sweep each would take 40 s"


async def test_a_message_that_is_no_ticket_is_dropped(bench: Bench) -> None:
    dispatcher = await bench.dispatcher()
    ticket = await bench.create("r1")
    client = await connect(bench.options)
    subjects: list[str] = []

    async def note(message: object) -> None:
        subjects.append(str(getattr(message, "subject", "")))

    await subscribe(client, f"{bench.options.name}.run.>", note)
    await client.flush()
    await dispatcher.offer(ticket)
    assert names(await take(dispatcher)) == ["r1"]
    await client.publish(subjects[0], b"{}")
    await client.flush()
    await client.close()
    assert await take(dispatcher, wait_s=0.2) == []
    assert await bench.waiting_tickets() == 1


async def test_an_offer_that_is_sent_twice_is_one_ticket(bench: Bench) -> None:
    dispatcher = await bench.dispatcher()
    seen: list[tuple[str, dict[str, str], bytes]] = []
    client = await connect(bench.options)

    async def note(message: object) -> None:
        headers = getattr(message, "headers", None)
        seen.append((str(getattr(message, "subject", "")), dict(headers or {}), bytes(getattr(message, "data", b""))))

    await subscribe(client, f"{bench.options.name}.run.>", note)
    await client.flush()
    await dispatcher.offer(await bench.create("r1"))
    await client.flush()
    subject, headers, data = seen[0]
    assert json.loads(data)["run_id"] == "r1"
    await client.publish(subject, data, headers=headers)
    await client.flush()
    await client.close()
    assert await bench.waiting_tickets() == 1


@pytest.mark.slow
@pytest.mark.alone
async def test_a_worker_that_lost_the_server_goes_on_when_it_is_back() -> None:
    with started() as server:
        async with AsyncExitStack() as stack:
            bench = Bench(NatsOptions(server.url), await open_journal("memory:", clock=CLOCK), stack)
            sweeping, drawing = await bench.dispatcher(sweep_s=0.3), await bench.dispatcher()
            assert await take(drawing, wait_s=0.05) == []
            server.stop("KILL")
            await asyncio.sleep(0.1)
            began = time.monotonic()
            await sweeping.offer(await bench.create("r1"))
            assert time.monotonic() - began < 1.5, "an offer waits for no server that is known to be down"
            assert names(await take(sweeping)) == ["r1"], "the sweep serves meanwhile"
            server.start()
            async with asyncio.timeout(60):
                number = 0
                while not await take(drawing, wait_s=0.3):
                    number += 1
                    await sweeping.offer(await bench.create(f"more{number}"))


@pytest.mark.slow
@pytest.mark.parametrize("what", ["the stream", "its consumers"])
async def test_what_was_deleted_at_the_server_is_made_anew(bench: Bench, what: str) -> None:
    dispatcher = await bench.dispatcher()
    await dispatcher.offer(await bench.create("r1"))
    assert names(await take(dispatcher)) == ["r1"]
    client = await connect(bench.options)
    manager = JetStreamManager(client)
    if what == "the stream":
        await manager.delete_stream(bench.options.name)
    else:
        for consumer in await manager.consumers_info(bench.options.name):
            await manager.delete_consumer(bench.options.name, consumer.name)
    await client.close()
    await dispatcher.offer(await bench.create("r2"))
    async with asyncio.timeout(60):
        while not (claims := await take(dispatcher, wait_s=0.2)):
            pass
    assert names(claims) == ["r2"]


async def test_a_missing_server_is_the_operator_s_to_mend_and_no_password_is_told() -> None:
    journal = await open_journal("memory:", clock=CLOCK)
    options = NatsOptions("nats://eve:s3cret@127.0.0.1:1", connect_timeout_s=0.3)
    with pytest.raises(ConfigError, match=r"no NATS server can be used at nats://127\.0\.0\.1:1") as told:
        await NatsDispatcher.open(options, journal, CLOCK, SeededRandom())
    assert "s3cret" not in f"{told.value!r} {told.value.hint} {told.value.__context__!r}"
    assert "-js" in str(told.value.hint)


async def test_a_server_that_refuses_the_password_does_not_make_it_known() -> None:
    with started("--user", "eve", "--pass", "right") as server:
        journal = await open_journal("memory:", clock=CLOCK)
        options = NatsOptions(server.url.replace("nats://", "nats://eve:s3cret@"), connect_timeout_s=0.5)
        with pytest.raises(ConfigError, match="no NATS server can be used at") as told:
            await NatsDispatcher.open(options, journal, CLOCK, SeededRandom())
        assert "s3cret" not in f"{told.value!r} {told.value.hint}"


async def test_a_server_that_cannot_keep_the_stream_as_asked_is_said(bench: Bench) -> None:
    with pytest.raises(ConfigError, match="cannot keep the stream") as told:
        await NatsDispatcher.open(replace(bench.options, replicas=3), bench.journal, CLOCK, SeededRandom())
    assert "replicas" in str(told.value.hint)


async def test_a_url_opens_the_dispatcher_that_it_names(bench: Bench) -> None:
    dispatcher = await open_dispatcher(bench.options.url, bench.journal, clock=CLOCK, random=SeededRandom())
    assert isinstance(dispatcher, NatsDispatcher)
    await dispatcher.close()
