"""Each model is asked once, and what it does is told: its times, its cost, or why it failed."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import date
from decimal import Decimal

import pytest

from agent_sdk.core.errors import AuthFailed, ConfigError
from agent_sdk.core.messages import Message, TextPart
from agent_sdk.core.model import Attempt, Delta, ModelReply, ModelRequest, ReplyDone, TextDelta
from agent_sdk.core.ports import Model
from agent_sdk.core.usage import Usage
from agent_sdk.llm.catalog import Catalog, CatalogEntry, Prices, Rates
from agent_sdk.runtime.model_check import MAX_OUTPUT_TOKENS, ModelCheck, ModelFailure, check_models
from agent_sdk.testing import VirtualClock, run_virtual

RATES = Rates(*map(Decimal, ("1", "0.1", "1.25", "2", "5")))
CATALOG = Catalog(date(2026, 11, 23), {("openai", "small"): CatalogEntry("openai", "small", None, 900, 20, Prices(RATES))})

USED = Usage(10, 2)


class Slow:
    """A model that says its deltas 2 s after one another."""

    def __init__(self, *deltas: Delta) -> None:
        self.deltas = deltas
        self.requests: list[ModelRequest] = []

    async def complete(self, request: ModelRequest) -> ModelReply:
        raise NotImplementedError

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Delta, None]:
        self.requests.append(request)
        for delta in self.deltas:
            await asyncio.sleep(2)
            yield delta


class Failing(Slow):
    """A model that does not accept the key."""

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Delta, None]:
        for delta in (TextDelta("a"), None):
            if delta is None:
                raise AuthFailed("no such key", hint="look at it")
            yield delta


def done(usage: Usage = USED, *attempts: Attempt) -> ReplyDone:
    return ReplyDone(ModelReply(Message("assistant", (TextPart("ready"),)), usage, "end", "small-1", "req_1", attempts))


def check(model: Model | None, *names: str) -> list[ModelCheck]:
    def open_model(name: str) -> tuple[Model, str]:
        if model is None:
            raise ConfigError("there is no key", hint="set one")
        return model, name.partition(":")[2]

    async def main() -> list[ModelCheck]:
        return await check_models(names, open_model, CATALOG, VirtualClock())

    return run_virtual(main())


def test_a_model_that_streams_is_told_with_its_times_and_cost() -> None:
    model = Slow(TextDelta("rea"), TextDelta("dy"), done())
    (found,) = check(model, "openai:small")
    assert (found.latency_s, found.first_token_s, found.answered_by, found.request_id) == (6.0, 2.0, "small-1", "req_1")
    assert found.usage == Usage(10, 2, cost_usd=Decimal("0.00002"))
    assert found.is_counted
    assert found.failure is None
    (request,) = model.requests
    assert (request.model, request.max_attempts, request.settings.max_output_tokens) == ("small", 1, 20)


def test_a_model_that_answers_in_one_piece_does_not_stream_and_may_count_nothing() -> None:
    (found,) = check(Slow(done(Usage())), "openai:small")
    assert found.first_token_s is None
    assert not found.is_counted


def test_a_model_that_is_not_in_the_catalog_has_no_known_cost() -> None:
    model = Slow(done())
    (found,) = check(model, "openai:other")
    assert found.entry is None
    assert found.usage == Usage(10, 2)
    assert model.requests[0].settings.max_output_tokens == MAX_OUTPUT_TOKENS


def test_a_cost_that_is_known_stays() -> None:
    (found,) = check(Slow(done(Usage(10, 2, cost_usd=Decimal(3)))), "openai:small")
    assert found.usage == Usage(10, 2, cost_usd=Decimal(3))


@pytest.mark.parametrize(
    ("model", "name", "failure"),
    [
        (Failing(), "openai:small", ModelFailure("model_auth_failed", "no such key", "look at it")),
        (None, "openai:small", ModelFailure("config_invalid", "there is no key", "set one")),
        (Slow(TextDelta("a")), "openai:small", None),
        (Slow(done(Usage(), Attempt(1, "model_overloaded"))), "openai:small", None),
        (None, "small", None),
    ],
)
def test_a_model_that_does_not_answer_says_why(model: Model | None, name: str, failure: ModelFailure | None) -> None:
    (found,) = check(model, name)
    assert found.failure is not None
    assert found.failure.hint
    assert failure in {None, found.failure}
    assert not found.is_counted


def test_what_stands_in_for_a_model_does_not_count_as_its_answer() -> None:
    (found,) = check(Slow(done(Usage(), Attempt(1, "model_overloaded"), Attempt(1, model="other"))), "openai:small")
    assert found.failure == ModelFailure(
        "model_overloaded", "it failed, and what stands in for it answered", "look at the setting `fallbacks`"
    )


def test_a_model_that_is_named_twice_is_asked_once() -> None:
    model = Slow(done())
    assert [found.model for found in check(model, "openai:small", "openai:other", "openai:small")] == ["openai:small", "openai:other"]
    assert len(model.requests) == 2


def test_without_a_model_there_is_nothing_to_check() -> None:
    with pytest.raises(ConfigError, match="no model is configured"):
        check(None)
