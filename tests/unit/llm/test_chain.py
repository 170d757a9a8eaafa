"""The wrappers around models in their one order."""

import asyncio

import pytest

from agent_sdk.core.errors import ConfigError, Unavailable
from agent_sdk.core.rates import RateRule
from agent_sdk.llm.chain import Link, Resilience, compose_chain
from agent_sdk.llm.circuit import BreakerPolicy, Circuits
from agent_sdk.llm.rate_limiter import LocalLimiter
from agent_sdk.llm.retry import RetryingModel, RetryPolicy
from agent_sdk.testing import SeededRandom, VirtualClock, run_virtual
from tests.unit.llm.chains import REQUEST, Told, reply


def plain() -> Resilience:
    return Resilience(VirtualClock(), SeededRandom())


async def test_one_model_without_limits_is_only_retried() -> None:
    told = Told([reply()])
    model = compose_chain([Link(told, "m")], plain())
    assert isinstance(model, RetryingModel)
    assert model.model is told


def test_each_try_takes_its_share_and_an_open_circuit_goes_straight_to_the_next_model() -> None:
    async def scene() -> None:
        clock = VirtualClock()
        circuits = Circuits(BreakerPolicy(failures=2, open_s=1000), clock)
        how = Resilience(
            clock, SeededRandom(), RetryPolicy(2, base_s=0.1), circuits, (RateRule(("model",), requests=2),), LocalLimiter(clock)
        )
        first, second = Told([Unavailable("1"), Unavailable("2")]), Told([reply("a"), reply("b"), reply("c")])
        model = compose_chain([Link(first, "m", "here"), Link(second, "n", "there")], how)
        assert (await model.complete(REQUEST)).message.text == "a"
        assert circuits.states()["m at here"].status == "open"
        answer = await model.complete(REQUEST)
        assert [(attempt.code, attempt.model) for attempt in answer.attempts] == [("circuit_open", None), (None, "n")]
        assert asyncio.get_running_loop().time() < 1
        await model.complete(REQUEST)
        assert asyncio.get_running_loop().time() >= 60
        assert len(first.asked) == 2

    run_virtual(scene())


def test_limits_need_somebody_who_keeps_and_counts_them() -> None:
    clock = VirtualClock()
    with pytest.raises(ConfigError, match="nothing that keeps them"):
        Resilience(clock, SeededRandom(), rules=(RateRule(("model",), requests=2),))
    with pytest.raises(ConfigError, match="nothing that counts"):
        Resilience(clock, SeededRandom(), rules=(RateRule(("model",), tokens=2),), limiter=LocalLimiter(clock))


def test_no_models_are_no_chain() -> None:
    with pytest.raises(ConfigError, match="at least one"):
        compose_chain([], plain())
