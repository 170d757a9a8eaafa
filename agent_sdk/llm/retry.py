"""Further attempts at a model call that failed for now: a wrapper around any model, and the one place where models are retried."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterable

from agent_sdk.core.errors import ConfigError, ModelError, ReplyInvalid
from agent_sdk.core.frozen import frozen
from agent_sdk.core.model import Attempt, AttemptStarted, Delta, ModelReply, ModelRequest, ReplyDone
from agent_sdk.core.ports import Clock, Model, Random
from agent_sdk.core.usage import Usage


@frozen
class RetryPolicy:
    """How often and when to try again.

    The n-th wait is drawn evenly from 0 to `base_s` x 2^(n-1), at most `cap_s`. A vendor that says how long to wait is waited for that much
    longer, but not beyond `max_wait_s`: who asks for more is not asked again.
    """

    max_attempts: int = 4
    base_s: float = 0.5
    cap_s: float = 30.0
    max_wait_s: float = 120.0

    def __post_init__(self) -> None:
        if self.max_attempts < 1:
            raise ConfigError(f"max_attempts is {self.max_attempts}; a model is asked at least once")

    def wait_s(self, attempt: int, error: ModelError, random: Random) -> float | None:
        """Return how long to wait after the attempt failed, None where another one is useless."""
        if not error.retryable or (error.retry_after_s or 0) > self.max_wait_s:
            return None
        jitter = random.uniform(0, min(self.cap_s, self.base_s * 2 ** (attempt - 1)))
        return min(self.max_wait_s, (error.retry_after_s or 0) + jitter)


@frozen
class RetryingModel:
    """Asks `model` until it answers, at most as often as the policy and the request allow; the reply's `attempts` list every try.

    Whether there may be another try is asked once the wait before it is over.

    Giving up raises the last error, chained to what caused it or else to the error before it; its `attempts` says how many there were, its
    `tried` lists them, and its `usage` is what all of them are known to have used.
    """

    model: Model
    policy: RetryPolicy
    clock: Clock
    random: Random

    async def complete(self, request: ModelRequest) -> ModelReply:
        tries = _Tries(self, request)
        while True:
            try:
                reply = await self.model.complete(request)
            except ModelError as error:
                await tries.failed(error)
            else:
                return tries.counted(reply)

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Delta, None]:
        """Yield deltas; `AttemptStarted` voids those of the attempt before it."""
        tries = _Tries(self, request)
        while True:
            reply: ModelReply | None = None
            failure: ModelError | None = None
            deltas = self.model.stream(request)
            try:
                async for delta in deltas:
                    if isinstance(delta, ReplyDone):
                        reply = delta.reply
                        break
                    yield delta
            except ModelError as error:
                failure = error
            finally:
                await close_stream(deltas)
            if reply is not None:
                yield ReplyDone(tries.counted(reply))
                return
            await tries.failed(failure or no_reply())
            yield AttemptStarted(tries.number)


class _Tries:
    """The attempts at one question."""

    __slots__ = ("_attempts", "_before", "_began_at", "_clock", "_model", "_request")

    def __init__(self, model: RetryingModel, request: ModelRequest) -> None:
        self._model, self._request, self._clock = model, request, model.clock
        self._attempts: tuple[Attempt, ...] = ()
        self._before: ModelError | None = None
        self._began_at = self._clock.monotonic()

    @property
    def number(self) -> int:
        return len(self._attempts) + 1

    def counted(self, reply: ModelReply) -> ModelReply:
        attempts = (*self._attempts, Attempt(self._duration_us()))
        return ModelReply(reply.message, reply.usage, reply.stop, reply.model, reply.request_id, attempts)

    async def failed(self, error: ModelError) -> None:
        """Return when it is time for the next attempt, or raise the error if there is none."""
        attempt = Attempt(self._duration_us(), error.code, usage=error.usage)
        self._attempts = (*self._attempts, attempt)
        if self._request.allowance is not None:
            self._request.allowance.ended(attempt)
        tried, policy, bound = len(self._attempts), self._model.policy, self._request.max_attempts
        most = policy.max_attempts if bound is None else min(policy.max_attempts, bound)
        wait_s = policy.wait_s(tried, error, self._model.random) if tried < most else None
        if wait_s is None or not await self._may_go_on(wait_s):
            error.attempts, error.tried, error.usage = tried, self._attempts, total_usage(self._attempts)
            if self._before is error:  # a model may raise one error again and again
                raise error
            raise error from error.__cause__ or self._before
        self._before = error
        self._began_at = self._clock.monotonic()

    async def _may_go_on(self, wait_s: float) -> bool:
        await self._clock.sleep(wait_s)
        return self._request.allowance is None or await self._request.allowance.another()

    def _duration_us(self) -> int:
        return round((self._clock.monotonic() - self._began_at) * 1_000_000)


def total_usage(attempts: Iterable[Attempt]) -> Usage | None:
    """Return what these tries are known to have used; None where nothing is known."""
    known = [used for attempt in attempts if (used := attempt.usage) is not None and (used.input_tokens or used.output_tokens)]
    return sum(known[1:], known[0]) if known else None


async def close_stream(deltas: AsyncIterator[Delta]) -> None:
    """Close a stream that may not have been read to its end, and with it its connection."""
    if isinstance(deltas, AsyncGenerator):
        await deltas.aclose()


def no_reply() -> ReplyInvalid:
    """Return the error for a stream that broke the port's rule."""
    return ReplyInvalid("the model's stream ended without a reply", hint="the last delta of every stream must be ReplyDone")
