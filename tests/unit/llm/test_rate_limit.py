"""Rate limits in the path of a model."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest

from agent_sdk.core.errors import ConfigError, ModelError, RateLimited, Unavailable
from agent_sdk.core.ids import TenantId
from agent_sdk.core.model import ModelRequest
from agent_sdk.core.rates import Permit, RateLimit, RateRule
from agent_sdk.core.usage import Usage
from agent_sdk.llm.rate_limit import LimitsOf, RateLimitedModel
from agent_sdk.llm.rate_limiter import LocalLimiter, RateLimitFull
from agent_sdk.testing import VirtualClock, run_virtual
from tests.unit.llm.chains import REQUEST, Told, read, reply

RULES = (
    RateRule(("key", "model"), requests=500, tokens=10_000),
    RateRule(("tenant",), concurrency=3),
)


@dataclass
class Noting:
    """A limiter that lets all pass and notes what it is told."""

    taken: list[Permit] = field(default_factory=list[Permit])
    settled: list[int | None] = field(default_factory=list[int | None])
    paused: list[tuple[str, float]] = field(default_factory=list[tuple[str, float]])

    async def take(self, limits: tuple[RateLimit, ...], tokens: int) -> Permit:
        self.taken.append(Permit(limits, tokens))
        return self.taken[-1]

    async def settle(self, permit: Permit, tokens: int | None) -> None:
        self.settled.append(tokens)

    async def pause(self, limit: RateLimit, for_s: float) -> None:
        self.paused.append((limit.name, for_s))


def estimate(request: ModelRequest) -> int:
    return 123


def limited(model: Told, limiter: Noting, rules: Sequence[RateRule] = RULES) -> RateLimitedModel:
    return RateLimitedModel(model, limiter, LimitsOf(rules, key="main"), estimate)


def names(limits: tuple[RateLimit, ...]) -> list[str]:
    return [limit.name for limit in limits]


def test_a_limit_is_named_by_what_it_goes_by_and_a_tenant_s_says_whose_it_is() -> None:
    found = LimitsOf(RULES, key="main").of("gpt/5", TenantId("a=b/c"))
    assert names(found) == ["tenant=a%3Db%2Fc/concurrency/60s", "key=main/model=gpt%2F5/requests+tokens/60s"]
    assert [limit.tenant for limit in found] == ["a=b/c", None]


def test_a_rule_of_one_tenant_holds_for_it_alone_and_in_the_place_of_the_general_one() -> None:
    rules = (*RULES, RateRule(("tenant",), concurrency=9, of=TenantId("acme")), RateRule(("tenant",), tokens=5, of=TenantId("zeta")))
    of = LimitsOf(rules, key="main").of
    (acme, _) = of("m", TenantId("acme"))
    assert (acme.name, acme.concurrency) == ("tenant=acme/concurrency/60s", 9)
    assert names(of("m", TenantId("zeta"))) == ["tenant=zeta/tokens/60s", "key=main/model=m/requests+tokens/60s"]
    assert of("m", TenantId("other"))[0].concurrency == 3
    assert [len(of("m", TenantId(tenant))) for tenant in ("acme", "zeta", "other")] == [2, 2, 2]


def test_a_rule_of_one_tenant_that_stands_alone_leaves_all_others_free() -> None:
    of = LimitsOf([RateRule(("tenant", "model"), requests=1, of=TenantId("acme"))], key="main").of
    assert names(of("m", TenantId("acme"))) == ["model=m/tenant=acme/requests/60s", "key=main/model=m/vendor"]
    assert names(of("m", TenantId("other"))) == ["key=main/model=m/vendor"]


def test_two_rules_of_one_tenant_for_the_same_are_refused() -> None:
    with pytest.raises(ConfigError, match="go by the same: tenant=acme"):
        LimitsOf([RateRule(("tenant",), requests=each, of=TenantId("acme")) for each in (1, 2)], key="main")


def test_a_tenant_with_a_limit_of_its_own_waits_at_that_in_this_process() -> None:
    rules = [RateRule(("tenant",), requests=1), RateRule(("tenant",), requests=2, of=TenantId("acme"))]

    async def main() -> None:
        limiter = LocalLimiter(VirtualClock(), max_wait_s=0)
        model = RateLimitedModel(Told([reply()] * 9), limiter, LimitsOf(rules, key="main"), estimate)
        for tenant, most in {"acme": 2, "zeta": 1}.items():
            request = replace(REQUEST, tenant=TenantId(tenant))
            for _ in range(most):
                await model.complete(request)
            with pytest.raises(RateLimitFull, match=f"tenant={tenant}"):
                await model.complete(request)

    run_virtual(main())


def test_there_is_always_something_that_a_vendor_can_pause() -> None:
    found = LimitsOf([RateRule(("key",), requests=5)], key="main").of("m", TenantId("t"))
    assert names(found) == ["key=main/requests/60s", "key=main/model=m/vendor"]


def test_two_rules_for_the_same_are_refused() -> None:
    with pytest.raises(ConfigError, match="go by the same"):
        LimitsOf([RateRule(("key", "model"), requests=5), RateRule(("model", "key"), requests=6)], key="main")


async def test_a_call_takes_what_it_is_thought_to_need_and_settles_what_it_used() -> None:
    limiter = Noting()
    answer = await limited(Told([reply(tokens=77)]), limiter).complete(REQUEST)
    assert answer.message.text == "ok"
    assert [permit.tokens for permit in limiter.taken] == [123]
    assert limiter.settled == [77]


async def test_nobody_counts_tokens_where_none_are_limited() -> None:
    def explode(request: ModelRequest) -> int:
        raise NotImplementedError

    limiter = Noting()
    model = RateLimitedModel(Told([reply()]), limiter, LimitsOf([RateRule(("model",), requests=5)], key="main"), explode)
    await model.complete(REQUEST)
    assert [permit.tokens for permit in limiter.taken] == [0]


@pytest.mark.parametrize("is_stream", [False, True])
@pytest.mark.parametrize(("usage", "settled"), [(None, None), (Usage(5, 6), 11), (Usage(), None)])
async def test_a_failed_call_settles_what_is_known_and_leaves_what_is_not(
    is_stream: bool, usage: Usage | None, settled: int | None
) -> None:
    failure = Unavailable("no")
    failure.usage = usage
    limiter = Noting()
    model = limited(Told([failure]), limiter)
    with pytest.raises(Unavailable):
        await (read(model.stream(REQUEST)) if is_stream else model.complete(REQUEST))
    assert limiter.settled == [settled]
    assert limiter.paused == []


@pytest.mark.parametrize("is_stream", [False, True])
async def test_a_vendor_s_own_word_pauses_its_model_for_everybody(is_stream: bool) -> None:
    limiter = Noting()
    model = limited(Told([RateLimited("wait", retry_after_s=9.0), RateLimited("wait")]), limiter)
    for _ in range(2):
        with pytest.raises(ModelError):
            await (read(model.stream(REQUEST)) if is_stream else model.complete(REQUEST))
    assert limiter.paused == [("key=main/model=m/requests+tokens/60s", 9.0)]


async def test_a_stream_settles_when_it_is_done_or_left() -> None:
    limiter, told = Noting(), Told([reply(tokens=5), reply()])
    model = limited(told, limiter)
    assert len(await read(model.stream(replace(REQUEST, tenant=TenantId("acme"))))) == 2
    assert limiter.settled == [5]
    left = model.stream(REQUEST)
    await anext(left)
    await left.aclose()
    assert limiter.settled == [5, None]
    assert told.closed == 2
