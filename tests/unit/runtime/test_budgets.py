"""Budgets as the ledger keeps them: who has one, how it stands, and who is woken where it changes."""

from collections.abc import Sequence
from decimal import Decimal

import pytest

from agent_sdk import App, Budget, PrincipalId, RequestError, RunId
from agent_sdk.core.budget import row_name, run_scope
from agent_sdk.core.errors import NotFound, RunEnded
from agent_sdk.core.events import Fact, RunClaimed, RunCreated, RunWaiting, WaitReason
from agent_sdk.core.ids import OwnerId, TenantId
from agent_sdk.core.ports import Batch, InboxDraft, LedgerChange, LedgerRow, Ticket
from agent_sdk.dispatch import JournalDispatcher
from agent_sdk.runtime.budgets import KNOWN_S, BudgetBook, Spending, begin_budget, read_budget, write_budget
from agent_sdk.runtime.mailing import Mailing
from agent_sdk.storage.memory import MemoryJournal
from agent_sdk.testing import SeededRandom
from tests.contract.batches import Clock, begin, end

TENANT, RUN, ME = TenantId("acme"), RunId("run-1"), OwnerId("me")


class Counting(MemoryJournal):
    """Counts how often it is asked for a row of the ledger."""

    asked = 0

    async def ledger(self, tenant: TenantId, scope: str) -> LedgerRow | None:
        self.asked += 1
        return await super().ledger(tenant, scope)


class Offers(JournalDispatcher):
    def __init__(self, journal: MemoryJournal, clock: Clock) -> None:
        super().__init__(journal, clock, SeededRandom())
        self.offered: list[RunId] = []

    async def offer(self, ticket: Ticket) -> None:
        self.offered.append(ticket.run_id)


class Place:
    """A journal, and who writes to its runs."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.journal = Counting(self.clock)
        self.book = BudgetBook(self.journal, self.clock)
        self.offers = Offers(self.journal, self.clock)
        self.mailing = Mailing(App([]), TENANT, self.journal, self.offers, self.book)

    async def waiting(self, run_id: RunId, reason: WaitReason = "budget") -> None:
        """Make a run that waits."""
        await begin(self.journal, ME, tenant=TENANT, run_id=run_id)
        row = await self.journal.row(TENANT, run_id)
        fact = Fact(row.head + 1, row.epoch, 0, RunWaiting(reason))
        await self.journal.append(Batch(TENANT, run_id, row.epoch, row.head, [fact], "waiting", reason, releases=True))

    async def inbox(self, run_id: RunId) -> Sequence[InboxDraft]:
        items = await self.journal.inbox(TENANT, run_id, after=0)
        return [InboxDraft(item.kind, item.body, item.by) for item in items]


@pytest.fixture
def place() -> Place:
    return Place()


async def spend(place: Place, scope: str, unit: str, *, reserve: int, settle: int) -> None:
    hand = await begin(place.journal, ME, tenant=TENANT, run_id=RUN)
    await hand.append(RunClaimed(ME), ledger=[LedgerChange(f"{scope}:{unit}", reserve, settle)])


async def test_a_run_spends_from_the_budgets_that_its_tenant_and_session_have(place: Place) -> None:
    assert await place.book.scopes(TENANT, "talk") == ()
    await place.mailing.set_budget(Budget(calls=5))
    assert await place.book.scopes(TENANT, None) == ("tenant",)
    await place.mailing.set_budget(Budget(usd=Decimal(1)), session="talk")
    assert await place.book.scopes(TENANT, "talk") == ("tenant", "session/talk")
    assert await place.book.scopes(TENANT, "other") == ("tenant",)
    assert await place.book.scopes(TenantId("globex"), "talk") == ()
    await place.mailing.set_budget(Budget())
    assert await place.book.scopes(TENANT, "talk") == ("session/talk",)


async def test_the_journal_is_not_asked_for_each_run_but_soon_enough(place: Place) -> None:
    await place.book.scopes(TENANT, None)
    asked = place.journal.asked
    await place.book.scopes(TENANT, None)
    assert place.journal.asked == asked
    await write_budget(place.journal, TENANT, "tenant", Budget(tokens=7))  # as another process would
    assert await place.book.scopes(TENANT, None) == ()
    place.clock.pass_s(KNOWN_S)
    assert await place.book.scopes(TENANT, None) == ("tenant",)


async def test_what_is_known_of_very_many_sessions_is_let_go(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent_sdk.runtime.budgets._MAX_KNOWN", 2)
    for session in "abc":
        assert await place.book.scopes(TENANT, session) == ()
    asked = place.journal.asked
    await place.book.scopes(TENANT, "a")
    assert place.journal.asked > asked


async def test_a_budget_is_shown_as_it_was_set_with_what_was_spent(place: Place) -> None:
    await place.mailing.set_budget(Budget(usd=Decimal("10.50"), calls=3), session="talk")
    await spend(place, "session/talk", "usd", reserve=2_000_000_000, settle=1_234_567_891)
    state = await place.mailing.budget(session="talk")
    assert (state.scope, state.limit) == ("session/talk", Budget(usd=Decimal("10.5"), calls=3))
    assert state.reserved == Spending(Decimal(2))
    assert state.settled == Spending(Decimal("1.234567891"))
    assert (await place.mailing.budget()).limit == Budget()


async def test_a_budget_may_be_lowered_below_what_is_reserved(place: Place) -> None:
    await place.mailing.set_budget(Budget(tokens=100))
    await spend(place, "tenant", "tokens", reserve=80, settle=0)
    await place.mailing.set_budget(Budget(tokens=10))
    state = await place.mailing.budget()
    assert (state.limit.tokens, state.reserved.tokens) == (10, 80)


async def test_runs_that_wait_for_a_budget_are_woken_when_one_changes(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent_sdk.runtime.mailing._PAGE", 2)
    waiting = [RunId(f"run-w{place}") for place in range(5)]
    for run_id in waiting:
        await place.waiting(run_id)
    await place.waiting(RunId("run-timer"), "timer")
    await place.mailing.set_budget(Budget(calls=50), by=PrincipalId("ann"))
    for run_id in waiting:
        assert await place.inbox(run_id) == [InboxDraft("wake", {"budget": True}, PrincipalId("ann"))]
    assert await place.inbox(RunId("run-timer")) == []
    assert sorted(place.offers.offered) == waiting


async def created_with(place: Place, *budgets: str) -> None:
    await place.journal.create(TENANT, RUN, [Fact(1, 0, 0, RunCreated("clerk", "1", {}, goal="go", budgets=budgets or None))])


async def test_the_budget_of_a_run_can_be_changed_while_it_lasts(place: Place) -> None:
    await created_with(place, "tenant", run_scope(RUN))
    await begin_budget(place.journal, TENANT, RUN, Budget(calls=1, usd=Decimal(1)))
    await place.mailing.set_budget(Budget(calls=9), run=RUN)
    assert (await place.mailing.budget(run=RUN)).limit == Budget(calls=9)
    await end(place.journal, RUN, tenant=TENANT)
    with pytest.raises(RunEnded) as caught:
        await place.mailing.set_budget(Budget(calls=10), run=RUN)
    assert caught.value.hint


async def test_a_run_without_a_budget_of_its_own_takes_none(place: Place) -> None:
    await created_with(place)
    with pytest.raises(RequestError, match="without a budget of its own") as caught:
        await place.mailing.set_budget(Budget(calls=9), run=RUN)
    assert "StartOptions(budget=...)" in (caught.value.hint or "")
    with pytest.raises(NotFound):
        await place.mailing.set_budget(Budget(), run=RunId("run-nobody"))
    with pytest.raises(NotFound):
        await place.mailing.budget(run=RunId("run-nobody"))


async def test_a_run_begins_with_its_budget_and_what_somebody_changed_stays(place: Place) -> None:
    await begin_budget(place.journal, TENANT, RUN, None)
    assert await place.journal.ledger(TENANT, row_name(run_scope(RUN), "calls")) is None
    await begin_budget(place.journal, TENANT, RUN, Budget(calls=3))
    await write_budget(place.journal, TENANT, run_scope(RUN), Budget(calls=5))
    await begin_budget(place.journal, TENANT, RUN, Budget(calls=3))
    assert (await read_budget(place.journal, TENANT, run_scope(RUN))).limit == Budget(calls=5)


@pytest.mark.parametrize("budget", [Budget(usd=Decimal("1e999999")), Budget(tokens=2**63), Budget(calls=2**63)], ids=str)
async def test_a_budget_that_no_ledger_can_keep_is_refused(place: Place, budget: Budget) -> None:
    with pytest.raises(RequestError, match="cannot be more than") as caught:
        await place.mailing.set_budget(budget)
    assert caught.value.hint
    with pytest.raises(RequestError):
        await begin_budget(place.journal, TENANT, RUN, budget)


@pytest.mark.parametrize(("session", "run"), [("talk", RUN), ("", None), (None, RunId(""))])
async def test_whose_budget_is_meant_must_be_clear(place: Place, session: str | None, run: RunId | None) -> None:
    with pytest.raises(RequestError) as caught:
        await place.mailing.budget(session=session, run=run)
    assert caught.value.hint
