"""What every `RateStore` holds to. Periods are short and times are the stores' own, so these tests really wait, for tenths of a second."""

import asyncio
import time
from collections.abc import AsyncGenerator
from itertools import count

import pytest

from agent_sdk.core.ids import TenantId
from agent_sdk.core.rates import Permit, RateLimit, RateRule, RateStore
from agent_sdk.llm.rate_limit import LimitsOf
from tests.contract.rate_stores import STORES, OpenStore

pytestmark = pytest.mark.alone
FIVE = RateLimit("rate limit five", requests=5, period_s=0.5)
TOKENS = RateLimit("tokens", tokens=100, period_s=0.5)
TWO = RateLimit("two", concurrency=2)
LEASE_S = 0.5
_ids = count(1)


@pytest.fixture(params=STORES, ids=lambda make: make.__name__)
async def store(request: pytest.FixtureRequest) -> AsyncGenerator[RateStore]:
    make: OpenStore = request.param
    async with make(request, LEASE_S) as opened:
        yield opened


def permit(*limits: RateLimit, tokens: int = 0) -> Permit:
    return Permit(limits, tokens, id=f"permit-{next(_ids)}")


async def wait_of(store: RateStore, *limits: RateLimit, tokens: int = 0, holder: str = "me") -> float:
    return await store.take(permit(*limits, tokens=tokens), holder)


async def test_what_fits_is_taken_and_the_rest_is_told_when_to_ask_again(store: RateStore) -> None:
    assert [await wait_of(store, FIVE) for _ in range(5)] == [0] * 5
    wait_s = await wait_of(store, FIVE)
    assert 0 < wait_s <= 0.6
    await asyncio.sleep(wait_s + 0.005)
    assert await wait_of(store, FIVE) == 0


async def test_all_limits_give_or_none_does(store: RateStore) -> None:
    assert await wait_of(store, TOKENS, tokens=100) == 0
    for _ in range(8):
        assert await wait_of(store, FIVE, TOKENS, tokens=1) > 0
    await store.leave((FIVE, TOKENS), "me")
    assert [await wait_of(store, FIVE) for _ in range(5)] == [0] * 5


async def test_a_permit_that_is_taken_again_takes_nothing(store: RateStore) -> None:
    mine = permit(TWO)
    assert [await store.take(mine, "me") for _ in range(5)] == [0] * 5
    assert await wait_of(store, TWO) == 0
    assert await wait_of(store, TWO) > 0


async def test_tokens_that_were_not_used_come_back_once(store: RateStore) -> None:
    mine = permit(TOKENS, tokens=100)
    assert await store.take(mine, "me") == 0
    await store.settle(mine, 40)
    await store.settle(mine, 0)
    assert await wait_of(store, TOKENS, tokens=61) > 0
    assert await wait_of(store, TOKENS, tokens=60) == 0


async def test_tokens_that_were_used_beyond_are_taken(store: RateStore) -> None:
    mine = permit(TOKENS, tokens=1)
    assert await store.take(mine, "me") == 0
    await store.settle(mine, 500)
    assert await wait_of(store, TOKENS, tokens=1) > 0


async def test_a_call_larger_than_the_limit_takes_all_of_it(store: RateStore) -> None:
    assert await wait_of(store, TOKENS, tokens=100_000) == 0
    assert await wait_of(store, TOKENS, tokens=1) > 0


async def test_what_was_used_for_nothing_comes_back_whole(store: RateStore) -> None:
    mine = permit(TWO, TOKENS, RateLimit("once", requests=1), tokens=100)
    assert await store.take(mine, "me") == 0
    await store.settle(mine, None, is_void=True)
    assert await store.take(permit(TWO, TOKENS, RateLimit("once", requests=1), tokens=100), "me") == 0


async def test_unknown_permits_are_passed_over(store: RateStore) -> None:
    await store.settle(permit(TWO), 5, is_void=True)
    assert await wait_of(store, TWO) == 0


async def test_a_place_is_free_when_its_call_ends_or_its_lease_is_over(store: RateStore) -> None:
    mine = permit(TWO)
    assert await store.take(mine, "me") == 0
    assert await wait_of(store, TWO) == 0
    assert await wait_of(store, TWO) > 0
    await store.settle(mine, None)
    assert await wait_of(store, TWO) == 0
    assert await wait_of(store, TWO) > 0
    await asyncio.sleep(LEASE_S + 0.1)
    assert await wait_of(store, TWO) == 0


async def test_who_was_refused_first_is_served_first_until_it_leaves(store: RateStore) -> None:
    mine = permit(TOKENS, tokens=60)
    assert await store.take(mine, "me") == 0
    assert await wait_of(store, TOKENS, tokens=90, holder="large") > 0
    assert await wait_of(store, TOKENS, tokens=1, holder="small") > 0
    assert await wait_of(store, TOKENS, tokens=1, holder="smaller") > 0
    await store.leave((TOKENS,), "large")
    assert await wait_of(store, TOKENS, tokens=1, holder="smaller") > 0
    assert await wait_of(store, TOKENS, tokens=1, holder="small") == 0
    assert await wait_of(store, TOKENS, tokens=1, holder="smaller") == 0


async def test_who_waits_for_a_limit_of_its_own_holds_up_nobody_else(store: RateStore) -> None:
    one = RateLimit("one", TenantId("acme"), concurrency=1)
    assert await wait_of(store, one, TOKENS) == 0
    assert await wait_of(store, one, TOKENS, holder="acme") > 0
    assert await wait_of(store, TOKENS, holder="other") == 0


async def test_the_limits_of_tenants_are_their_own(store: RateStore) -> None:
    limits = [RateLimit(f"tenant={name}/requests", TenantId(name), requests=1) for name in ("acme", "zeta")]
    assert [await wait_of(store, limit) for limit in limits] == [0, 0]
    assert await wait_of(store, limits[0]) > 0


async def test_a_limit_of_one_tenant_stands_in_the_place_of_the_general_one_for_it_alone(store: RateStore) -> None:
    rules = [RateRule(("tenant",), requests=1), RateRule(("tenant",), requests=3, of=TenantId("acme"))]
    of = LimitsOf(rules, key="main").of
    for tenant, most in {"acme": 3, "zeta": 1}.items():
        limits = of("m", TenantId(tenant))
        assert [await wait_of(store, *limits, holder=tenant) for _ in range(most)] == [0] * most
        assert await wait_of(store, *limits, holder=tenant) > 0


async def test_a_pause_holds_everybody_for_as_long(store: RateStore) -> None:
    await store.pause(FIVE, 0.2)
    wait_s = await wait_of(store, FIVE)
    assert 0 < wait_s <= 0.21
    await asyncio.sleep(wait_s + 0.005)
    assert await wait_of(store, FIVE) == 0


async def test_many_at_once_never_pass_more_than_the_limit_in_any_window(store: RateStore) -> None:
    taken: list[float] = []

    async def ask(holder: str) -> None:
        for _ in range(6):
            mine = permit(FIVE, TWO)
            while wait_s := await store.take(mine, holder):  # noqa: ASYNC110 - a store calls nobody
                await asyncio.sleep(min(wait_s, 0.05))
            taken.append(time.monotonic())
            await store.settle(mine, None)

    async with asyncio.TaskGroup() as tasks:
        for number in range(4):
            tasks.create_task(ask(f"holder-{number}"))
    assert len(taken) == 24
    # A window of five: the sixth from here on comes when a period has passed, less what a reply may be late.
    assert min(later - sooner for sooner, later in zip(taken, taken[5:], strict=False)) > 0.5 - 0.1
