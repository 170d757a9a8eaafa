"""Replies and errors say what they cost, to the last digit, or that nobody knows."""

from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given, strategies as st

from agent_sdk.core.errors import ModelError, Unavailable
from agent_sdk.core.ids import StepId
from agent_sdk.core.messages import Conversation, Message, TextPart, user_message
from agent_sdk.core.model import Attempt, Delta, ModelReply, ModelRequest, ModelSettings, ReplyDone, TextDelta
from agent_sdk.core.usage import Usage
from agent_sdk.llm.catalog import Catalog, CatalogEntry, Prices, Rates
from agent_sdk.llm.pricing import PricedModel, price_of

RATES = Rates(*map(Decimal, ("1", "0.1", "1.25", "2", "5")))
LONG = Rates(*map(Decimal, ("2", "0.2", "2.5", "4", "10")))
ENTRY = CatalogEntry("openai", "m", prices=Prices(RATES, ((1000, LONG),)))
CATALOG = Catalog(date(2026, 11, 23), {("openai", "m"): ENTRY, ("openai", "free"): CatalogEntry("openai", "free")})


def asked(model: str = "m", settings: ModelSettings | None = None) -> ModelRequest:
    return ModelRequest(StepId("t1"), model, Conversation([user_message("hi")]), settings=settings or ModelSettings())


@dataclass(frozen=True, slots=True)
class Fixed:
    """A model that gives one reply, or fails."""

    outcome: ModelReply | ModelError

    async def complete(self, request: ModelRequest) -> ModelReply:
        if isinstance(self.outcome, ModelError):
            raise self.outcome
        return self.outcome

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Delta, None]:
        yield TextDelta("o")
        yield ReplyDone(await self.complete(request))


def reply(usage: Usage, *, model: str = "", attempts: tuple[Attempt, ...] = ()) -> ModelReply:
    return ModelReply(Message("assistant", (TextPart("ok"),)), usage, model=model, attempts=attempts)


async def last(deltas: AsyncIterator[Delta]) -> ModelReply:
    seen = [delta async for delta in deltas]
    assert seen[0] == TextDelta("o")
    assert isinstance(seen[-1], ReplyDone)
    return seen[-1].reply


@pytest.mark.parametrize(
    ("usage", "cost"),
    [
        (Usage(), "0"),
        (Usage(1, 0), "0.000001"),
        (Usage(1000, 10), "0.00105"),
        (Usage(1001, 10), "0.002102"),
        (Usage(1000, 0, cached_tokens=400), "0.00064"),
        (Usage(1000, 0, cached_tokens=400, cache_write_tokens=100), "0.000665"),
        (Usage(100, 0, cached_tokens=400), "0.00004"),
    ],
)
def test_each_kind_of_token_has_its_price(usage: Usage, cost: str) -> None:
    assert price_of(usage, ENTRY) == Decimal(cost)


def test_what_is_kept_for_an_hour_costs_more_to_write() -> None:
    assert price_of(Usage(100, 0, cache_write_tokens=100), ENTRY, is_kept_long=True) == Decimal("0.0002")


@pytest.mark.parametrize("entry", [None, CatalogEntry("openai", "free")])
def test_what_has_no_known_price_has_no_known_cost(entry: CatalogEntry | None) -> None:
    assert price_of(Usage(1, 1), entry) is None


TOKENS = st.integers(min_value=0, max_value=10**7)


@given(TOKENS, TOKENS, TOKENS, TOKENS)
def test_the_cost_is_exact(plain: int, cached: int, written: int, output: int) -> None:
    usage = Usage(plain + cached + written, output, cached_tokens=cached, cache_write_tokens=written)
    cost = price_of(usage, replace(ENTRY, prices=Prices(RATES)))
    assert cost is not None
    assert int(cost * 10**8) == 100 * plain + 10 * cached + 125 * written + 500 * output
    assert cost * 10**8 == int(cost * 10**8)


async def test_a_reply_says_what_it_cost_streamed_or_not() -> None:
    model = PricedModel(Fixed(reply(Usage(1000, 10))), CATALOG, "openai")
    assert (await model.complete(asked())).usage.cost_usd == Decimal("0.00105")
    assert (await last(model.stream(asked()))).usage.cost_usd == Decimal("0.00105")


async def test_a_request_to_keep_for_an_hour_is_priced_as_such() -> None:
    model = PricedModel(Fixed(reply(Usage(100, 0, cache_write_tokens=100))), CATALOG, "openai")
    assert (await model.complete(asked(settings=ModelSettings(cache="long")))).usage.cost_usd == Decimal("0.0002")


@pytest.mark.parametrize(("model", "vendor"), [("free", "openai"), ("other", "openai"), ("m", "gemini")])
async def test_a_reply_of_a_model_without_a_price_says_nothing_of_its_cost(model: str, vendor: str) -> None:
    assert (await PricedModel(Fixed(reply(Usage(1000, 10))), CATALOG, vendor).complete(asked(model))).usage.cost_usd is None


async def test_an_alias_is_priced_by_the_model_that_answered() -> None:
    answered = reply(Usage(1000, 10), model="m-2026-01-01")
    assert (await PricedModel(Fixed(answered), CATALOG, "openai").complete(asked("newest"))).usage.cost_usd == Decimal("0.00105")


async def test_a_reply_that_does_not_say_what_was_used_has_no_known_cost() -> None:
    assert (await PricedModel(Fixed(reply(Usage())), CATALOG, "openai").complete(asked())).usage.cost_usd is None


async def test_a_cost_that_the_model_itself_knows_stays() -> None:
    known = reply(Usage(1000, 10, cost_usd=Decimal(7)))
    assert (await PricedModel(Fixed(known), CATALOG, "openai").complete(asked())).usage.cost_usd == 7


async def test_failed_attempts_of_a_reply_are_priced_unless_another_model_made_them() -> None:
    tries = (Attempt(1, "x", usage=Usage(1000, 0)), Attempt(1, "x", model="other", usage=Usage(1000, 0)), Attempt(1))
    priced = await PricedModel(Fixed(reply(Usage(), attempts=tries)), CATALOG, "openai").complete(asked())
    assert [each.usage and each.usage.cost_usd for each in priced.attempts] == [Decimal("0.001"), None, None]


async def test_an_error_that_knows_what_was_used_says_what_it_cost() -> None:
    for used, cost in ((Usage(1000, 10), Decimal("0.00105")), (None, None)):
        failure = Unavailable("gone")
        failure.usage = used
        model = PricedModel(Fixed(failure), CATALOG, "openai")
        with pytest.raises(Unavailable) as caught:
            await model.complete(asked())
        assert caught.value.usage == (None if used is None else replace(used, cost_usd=cost))
        failure.usage = used
        with pytest.raises(Unavailable) as caught:
            await last(model.stream(asked()))
        assert caught.value.usage == (None if used is None else replace(used, cost_usd=cost))
