from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, field, replace

import pytest

from agent_sdk.core.errors import AuthFailed, ConfigError, ModelError, Overloaded, RateLimited, ReplyInvalid, Unavailable
from agent_sdk.core.ids import StepId
from agent_sdk.core.messages import Conversation, Message, TextPart, user_message
from agent_sdk.core.model import Attempt, AttemptStarted, Delta, ModelReply, ModelRequest, ReplyDone, TextDelta
from agent_sdk.core.usage import Usage
from agent_sdk.llm import RetryingModel, RetryPolicy
from agent_sdk.testing import ScriptedModel, ScriptItem

REQUEST = ModelRequest(StepId("t1"), "m", Conversation([user_message("Hi")]))
DONE = ReplyDone(ModelReply(Message("assistant", (TextPart("ok"),)), Usage()))


class Clock:
    """Time that passes only in sleep; every look at it takes a millisecond."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def now_us(self) -> int:
        return round(self.now * 1_000_000)

    def monotonic(self) -> float:
        self.now += 0.001
        return self.now

    async def sleep(self, delay_s: float) -> None:
        self.slept.append(delay_s)


class Highest:
    """Chance that always draws the most."""

    def uniform(self, low: float, high: float) -> float:
        return high


class Deltas:
    """A model that streams the given deltas, and errors, one list an attempt; `closed` counts the streams that were closed."""

    def __init__(self, *attempts: list[Delta | ModelError]) -> None:
        self.attempts = list(attempts)
        self.closed = 0

    async def complete(self, request: ModelRequest) -> ModelReply:
        raise NotImplementedError

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Delta, None]:
        try:
            for item in self.attempts.pop(0):
                if isinstance(item, ModelError):
                    raise item
                yield item
        finally:
            self.closed += 1


def retrying(*script: ScriptItem, clock: Clock | None = None, policy: RetryPolicy | None = None) -> RetryingModel:
    return RetryingModel(ScriptedModel(script), policy or RetryPolicy(), clock or Clock(), Highest())


def streaming(model: Deltas, policy: RetryPolicy | None = None) -> RetryingModel:
    return RetryingModel(model, policy or RetryPolicy(), Clock(), Highest())


async def read(deltas: AsyncIterator[Delta]) -> list[Delta]:
    return [delta async for delta in deltas]


async def test_a_reply_at_once_is_one_attempt() -> None:
    reply = await retrying("ok").complete(REQUEST)
    assert reply.message.text == "ok"
    assert reply.attempts == (Attempt(1000),)


async def test_what_may_succeed_later_is_tried_again_and_every_try_is_told() -> None:
    clock = Clock()
    reply = await retrying(Unavailable("a"), Overloaded("b"), "ok", clock=clock).complete(REQUEST)
    assert [attempt.code for attempt in reply.attempts] == ["model_unavailable", "model_overloaded", None]
    assert clock.slept == [0.5, 1.0]


async def test_what_cannot_succeed_is_not_tried_again() -> None:
    model = retrying(AuthFailed("no"), "ok")
    with pytest.raises(AuthFailed) as caught:
        await model.complete(REQUEST)
    assert caught.value.attempts == 1


async def test_giving_up_raises_the_last_error_chained_to_the_one_before() -> None:
    first, last = Unavailable("first"), Unavailable("last")
    with pytest.raises(Unavailable) as caught:
        await retrying(first, last, policy=RetryPolicy(max_attempts=2)).complete(REQUEST)
    assert caught.value is last
    assert caught.value.__cause__ is first
    assert caught.value.attempts == 2


async def test_giving_up_tells_of_all_tries_and_of_what_they_are_known_to_have_used() -> None:
    first, middle, last = Unavailable("first"), Unavailable("middle"), Unavailable("last")
    first.usage, last.usage = Usage(5, 1), Usage(7, 2)
    with pytest.raises(Unavailable) as caught:
        await retrying(first, middle, last, policy=RetryPolicy(max_attempts=3)).complete(REQUEST)
    assert [attempt.usage for attempt in caught.value.tried] == [Usage(5, 1), None, Usage(7, 2)]
    assert caught.value.usage == Usage(12, 3)


async def test_a_request_can_allow_fewer_attempts_than_the_policy() -> None:
    with pytest.raises(Unavailable) as caught:
        await retrying(*(Unavailable("no") for _ in range(4))).complete(replace(REQUEST, max_attempts=2))
    assert caught.value.attempts == 2


async def test_a_vendor_s_wait_is_honoured_before_the_jitter() -> None:
    clock = Clock()
    await retrying(RateLimited("wait", retry_after_s=7.0), "ok", clock=clock).complete(REQUEST)
    assert clock.slept == [7.5]


async def test_a_wait_beyond_the_bound_is_not_begun() -> None:
    clock = Clock()
    with pytest.raises(RateLimited):
        await retrying(RateLimited("wait", retry_after_s=3600.0), "ok", clock=clock).complete(REQUEST)
    assert clock.slept == []


def test_waits_grow_to_their_cap() -> None:
    policy = RetryPolicy(max_attempts=20, base_s=1.0, cap_s=5.0)
    assert [policy.wait_s(n, Unavailable("no"), Highest()) for n in range(1, 6)] == [1.0, 2.0, 4.0, 5.0, 5.0]


def test_a_model_is_asked_at_least_once() -> None:
    with pytest.raises(ConfigError, match="at least once"):
        RetryPolicy(max_attempts=0)


async def test_a_stream_tells_when_what_it_showed_is_void() -> None:
    model = Deltas([TextDelta("ha"), Unavailable("cut")], [TextDelta("ok"), DONE])
    deltas = await read(streaming(model).stream(REQUEST))
    assert deltas[:-1] == [TextDelta("ha"), AttemptStarted(2), TextDelta("ok")]
    assert isinstance(deltas[-1], ReplyDone)
    assert [attempt.code for attempt in deltas[-1].reply.attempts] == ["model_unavailable", None]
    assert model.closed == 2


async def test_a_stream_without_a_reply_is_an_error_like_another() -> None:
    model = streaming(Deltas([TextDelta("ha")], [TextDelta("ha")]), RetryPolicy(max_attempts=2))
    with pytest.raises(ReplyInvalid, match="without a reply"):
        await read(model.stream(REQUEST))


async def test_a_stream_that_is_left_early_is_closed() -> None:
    model = Deltas([TextDelta("a"), TextDelta("b"), DONE])
    deltas = streaming(model).stream(REQUEST)
    assert await anext(deltas) == TextDelta("a")
    await deltas.aclose()
    assert model.closed == 1


@dataclass
class Asked:
    """An allowance of so many further tries, which notes in order what it was told and asked."""

    clock: Clock
    left: int
    told: list[str] = field(default_factory=list[str])

    def ended(self, attempt: Attempt) -> None:
        self.told.append(f"{attempt.code} {attempt.usage.input_tokens if attempt.usage is not None else None}")

    async def another(self) -> bool:
        self.left -= 1
        self.told.append(f"another after {sum(self.clock.slept)}")
        return self.left >= 0


async def test_each_further_try_is_asked_for_once_the_wait_before_it_is_over() -> None:
    clock, first = Clock(), Unavailable("a")
    first.usage = Usage(5, 1)
    allowance = Asked(clock, left=2)
    model = retrying(first, RateLimited("b", retry_after_s=7.0), "ok", clock=clock)
    reply = await model.complete(replace(REQUEST, allowance=allowance))
    assert len(reply.attempts) == 3
    assert allowance.told == ["model_unavailable 5", "another after 0.5", "model_rate_limited None", "another after 8.5"]


@pytest.mark.parametrize("is_stream", [False, True])
async def test_a_further_try_that_is_not_granted_is_not_made(*, is_stream: bool) -> None:
    clock, failures = Clock(), [Unavailable("a"), Overloaded("b")]
    model, request = retrying(*failures, "ok", clock=clock), replace(REQUEST, allowance=Asked(clock, left=1))
    with pytest.raises(Overloaded) as caught:
        await (read(model.stream(request)) if is_stream else model.complete(request))
    assert [attempt.code for attempt in caught.value.tried] == ["model_unavailable", "model_overloaded"]


async def test_nobody_is_asked_for_a_try_that_is_useless() -> None:
    allowance = Asked(Clock(), left=9)
    with pytest.raises(AuthFailed):
        await retrying(AuthFailed("no")).complete(replace(REQUEST, allowance=allowance))
    assert allowance.told == ["model_auth_failed None"]
