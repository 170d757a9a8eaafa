"""Other models for when one fails."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from agent_sdk.core.errors import AuthFailed, BadRequest, ConfigError, ContextTooLong, ModelError, Overloaded, RateLimited, Unavailable
from agent_sdk.core.model import Attempt, AttemptStarted, ModelReply, ReplyDone, TextDelta
from agent_sdk.core.ports import Model
from agent_sdk.core.usage import Usage
from agent_sdk.llm.failures import FALLS_BACK, CircuitOpen
from agent_sdk.llm.fallback import Candidate, FallbackModel
from agent_sdk.llm.retry import RetryingModel, RetryPolicy
from tests.unit.llm.chains import REQUEST, Clock, Lowest, Told, read, reply


def falling(*models: Model, on: frozenset[type[ModelError]] = FALLS_BACK) -> FallbackModel:
    return FallbackModel([Candidate(model, "mnopq"[place]) for place, model in enumerate(models)], Clock(), on=on)


def retrying(told: Told, tries: int = 2) -> RetryingModel:
    return RetryingModel(told, RetryPolicy(tries), Clock(), Lowest())


def causes(error: BaseException | None) -> Iterator[str]:
    while error is not None:
        yield str(error)
        error = error.__cause__


async def test_the_first_model_that_answers_is_enough() -> None:
    first, second = Told([reply()]), Told([])
    answer = await falling(retrying(first), second).complete(REQUEST)
    assert first.asked == [REQUEST]
    assert [attempt.model for attempt in answer.attempts] == [None]


async def test_the_next_model_is_asked_by_its_own_name_and_all_tries_are_told() -> None:
    failure = Unavailable("cut")
    failure.usage = Usage(3, 0)
    first, second = Told([failure, Overloaded("full")]), Told([Unavailable("no"), reply("yes")])
    answer = await falling(retrying(first), retrying(second)).complete(REQUEST)
    assert answer.message.text == "yes"
    assert [request.model for request in second.asked] == ["n", "n"]
    assert [(attempt.code, attempt.model, attempt.usage) for attempt in answer.attempts] == [
        ("model_unavailable", None, Usage(3, 0)),
        ("model_overloaded", None, None),
        ("model_unavailable", "n", None),
        (None, "n", None),
    ]


async def test_a_model_that_counts_no_tries_is_counted() -> None:
    failure = RateLimited("wait")
    failure.usage = Usage(2, 1)
    answer = await falling(Told([failure]), Told([reply()])).complete(REQUEST)
    assert answer.attempts == (Attempt(0, "model_rate_limited", usage=Usage(2, 1)), Attempt(0, model="n"))


@pytest.mark.parametrize("failure", [BadRequest("no"), ContextTooLong("no"), AuthFailed("no"), ModelError("no")])
async def test_what_the_caller_or_the_operator_must_mend_is_raised_at_once(failure: ModelError) -> None:
    second = Told([])
    with pytest.raises(type(failure)):
        await falling(Told([failure]), second).complete(REQUEST)
    assert second.asked == []


async def test_what_falls_back_can_be_chosen() -> None:
    answer = await falling(Told([AuthFailed("no")]), Told([reply()]), on=FALLS_BACK | {AuthFailed}).complete(REQUEST)
    assert [attempt.code for attempt in answer.attempts] == ["model_auth_failed", None]


async def test_a_conversation_that_is_too_long_goes_to_a_model_that_holds_more_if_that_is_wanted() -> None:
    small, same, unknown, large = Told([ContextTooLong("8k")]), Told([]), Told([]), Told([reply()])
    candidates = [Candidate(small, "m", 8000), Candidate(same, "n", 8000), Candidate(unknown, "o"), Candidate(large, "p", 100_000)]
    model = FallbackModel(candidates, Clock(), on=frozenset({ContextTooLong}))
    await model.complete(REQUEST)
    assert [len(told.asked) for told in (small, same, unknown, large)] == [1, 0, 0, 1]


async def test_the_last_error_is_raised_above_those_before_it_with_all_tries_and_what_they_used() -> None:
    failures = [Unavailable("1"), Unavailable("2"), Overloaded("3"), Overloaded("4")]
    for failure in failures[1:]:
        failure.usage = Usage(10, 1)
    with pytest.raises(Overloaded) as caught:
        await falling(retrying(Told([*failures[:2]])), retrying(Told([*failures[2:]]))).complete(REQUEST)
    assert list(causes(caught.value)) == ["4", "3", "2", "1"]
    assert caught.value.attempts == 4
    assert [attempt.model for attempt in caught.value.tried] == [None, None, "n", "n"]
    assert caught.value.usage == Usage(30, 3)


async def test_an_error_that_comes_twice_is_no_circle() -> None:
    again = Unavailable("again")
    with pytest.raises(Unavailable) as caught:
        await falling(Told([again]), Told([again])).complete(REQUEST)
    assert list(causes(caught.value)) == ["again"]


async def test_the_request_s_attempts_bound_the_tries_of_all_models_together() -> None:
    first, second, third = Told([Unavailable("1")] * 9), Told([Unavailable("2")] * 9), Told([])
    with pytest.raises(Unavailable) as caught:
        await falling(retrying(first, 3), retrying(second, 3), retrying(third)).complete(replace(REQUEST, max_attempts=5))
    assert [len(told.asked) for told in (first, second, third)] == [3, 2, 0]
    assert caught.value.attempts == 5


async def test_what_was_never_sent_uses_up_no_attempt() -> None:
    second = Told([reply()])
    answer = await falling(retrying(Told([CircuitOpen("open")])), retrying(second)).complete(replace(REQUEST, max_attempts=1))
    assert second.asked[0].max_attempts == 1
    assert [attempt.code for attempt in answer.attempts] == ["circuit_open", None]


async def test_a_stream_says_when_what_it_showed_is_void_and_counts_the_tries_of_all_models() -> None:
    first, second = Told([Unavailable("1"), Unavailable("2")]), Told([Unavailable("3"), reply("yes")])
    deltas = await read(falling(retrying(first), retrying(second)).stream(REQUEST))
    assert deltas[:-1] == [
        TextDelta("half"), AttemptStarted(2), TextDelta("half"), AttemptStarted(3), TextDelta("half"), AttemptStarted(4), TextDelta("yes"),
    ]  # fmt: skip
    assert isinstance(deltas[-1], ReplyDone)
    assert [attempt.model for attempt in deltas[-1].reply.attempts] == [None, None, "n", "n"]
    assert (first.closed, second.closed) == (2, 2)


async def test_a_stream_that_ends_in_nothing_goes_to_the_next_model() -> None:
    deltas = await read(falling(Told([None]), Told([reply()])).stream(REQUEST))
    assert deltas[1] == AttemptStarted(2)


async def test_a_stream_that_no_model_ends_raises() -> None:
    with pytest.raises(Unavailable):
        await read(falling(Told([Unavailable("1")]), Told([Unavailable("2")])).stream(REQUEST))


async def test_a_stream_that_is_left_early_is_closed() -> None:
    told = Told([reply()])
    deltas = falling(told).stream(REQUEST)
    await anext(deltas)
    await deltas.aclose()
    assert told.closed == 1


def test_a_fallback_needs_a_model() -> None:
    with pytest.raises(ConfigError, match="at least one"):
        falling()


async def test_the_same_model_may_stand_twice() -> None:
    told = Told([Unavailable("1"), reply()])
    same = Candidate(told, "m")
    answer: ModelReply = await FallbackModel([same, same], Clock()).complete(REQUEST)
    assert len(answer.attempts) == 2


class Refusing:
    """An allowance that grants no further try, and counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0

    def ended(self, attempt: Attempt) -> None:
        """Take it as it is."""

    async def another(self) -> bool:
        self.asked += 1
        return False


async def test_another_model_is_a_further_try_and_asked_for_like_one() -> None:
    allowance, second = Refusing(), Told([reply()])
    with pytest.raises(CircuitOpen):
        await falling(retrying(Told([CircuitOpen("open")])), retrying(second)).complete(replace(REQUEST, allowance=allowance))
    assert (second.asked, allowance.asked) == ([], 1)
