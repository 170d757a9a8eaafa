"""Other models for when one fails: a wrapper around several, asked in order until one answers."""

from collections.abc import AsyncGenerator, Sequence, Set as AbstractSet
from dataclasses import dataclass, replace

from agent_sdk.core.errors import ConfigError, ContextTooLong, ModelError
from agent_sdk.core.model import Attempt, AttemptStarted, Delta, ModelReply, ModelRequest, ReplyDone
from agent_sdk.core.ports import Clock, Model
from agent_sdk.llm.failures import FALLS_BACK, UNSENT
from agent_sdk.llm.retry import close_stream, no_reply, total_usage


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A model, by the name that its vendor knows; `window_tokens` is how much its context holds, None where that is not known."""

    model: Model
    name: str
    window_tokens: int | None = None


class FallbackModel:
    """Asks the first of `candidates`, and the next one after an error of a class in `on`.

    With `ContextTooLong` in `on`, a conversation that is too long goes to the next model that is known to hold more. A request's
    `max_attempts` bounds the tries of all models together. What was streamed is void once another model is asked, and an `AttemptStarted`
    says so. The last error is raised, chained to those before it; it and a reply tell of all tries.

    Raises:
        ConfigError: there are no candidates.
    """

    __slots__ = ("_candidates", "_clock", "_on")

    def __init__(self, candidates: Sequence[Candidate], clock: Clock, *, on: AbstractSet[type[ModelError]] = FALLS_BACK) -> None:
        if not candidates:
            raise ConfigError("a fallback needs at least one model")
        self._candidates = tuple(candidates)
        self._clock = clock
        self._on = tuple(on)

    async def complete(self, request: ModelRequest) -> ModelReply:
        search = _Search(self._candidates, self._on, self._clock, request)
        while True:
            try:
                reply = await search.model.complete(search.request)
            except ModelError as error:
                await search.failed(error)
            else:
                return search.counted(reply)

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Delta, None]:
        """Yield deltas; `AttemptStarted` voids those before it, and counts the tries of all models."""
        search = _Search(self._candidates, self._on, self._clock, request)
        while True:
            reply: ModelReply | None = None
            failure: ModelError | None = None
            deltas = search.model.stream(search.request)
            try:
                async for delta in deltas:
                    if isinstance(delta, ReplyDone):
                        reply = delta.reply
                        break
                    yield AttemptStarted(search.tried + delta.attempt) if isinstance(delta, AttemptStarted) else delta
            except ModelError as error:
                failure = error
            finally:
                await close_stream(deltas)
            if reply is not None:
                yield ReplyDone(search.counted(reply))
                return
            await search.failed(failure or no_reply())
            yield AttemptStarted(search.tried + 1)


class _Search:
    """One question on its way from model to model."""

    __slots__ = ("_asked", "_attempts", "_before", "_began_at", "_clock", "_on", "_rest", "candidate", "request")

    def __init__(self, candidates: tuple[Candidate, ...], on: tuple[type[ModelError], ...], clock: Clock, asked: ModelRequest) -> None:
        self._asked, self._on, self._clock = asked, on, clock
        self._attempts: tuple[Attempt, ...] = ()
        self._before: ModelError | None = None
        self._rest = candidates
        self._ask(candidates[0])

    @property
    def model(self) -> Model:
        return self.candidate.model

    @property
    def tried(self) -> int:
        return len(self._attempts)

    def counted(self, reply: ModelReply) -> ModelReply:
        """Return the reply with the tries of all models."""
        if not self._attempts and reply.attempts and self.candidate.name == self._asked.model:
            return reply
        return replace(reply, attempts=(*self._attempts, *self._named(reply.attempts or (self._attempt(None),))))

    async def failed(self, error: ModelError) -> None:
        """Go on to the next model, or raise the error where there is none."""
        tries = error.tried or (self._attempt(error),) * max(1, error.attempts)
        self._attempts = (*self._attempts, *self._named(tries))
        if self._before is not None:
            _chain(error, self._before)
        following = self._next(error)
        if following is None or self._left == 0 or not await self._may_go_on():
            error.attempts, error.tried, error.usage = self.tried, self._attempts, total_usage(self._attempts)
            raise error
        self._before = error
        self._ask(following)

    @property
    def _left(self) -> int | None:
        """How many tries are left; None where nobody bounds them."""
        if self._asked.max_attempts is None:
            return None
        return max(0, self._asked.max_attempts - sum(attempt.code not in UNSENT for attempt in self._attempts))

    async def _may_go_on(self) -> bool:
        return self._asked.allowance is None or await self._asked.allowance.another()

    def _ask(self, candidate: Candidate) -> None:
        self.candidate = candidate
        self._rest = self._rest[self._rest.index(candidate) + 1 :]
        left = self._left
        if candidate.name == self._asked.model and left == self._asked.max_attempts:
            self.request = self._asked
        else:
            self.request = replace(self._asked, model=candidate.name, max_attempts=left)
        self._began_at = self._clock.monotonic()

    def _next(self, error: ModelError) -> Candidate | None:
        if not isinstance(error, self._on):
            return None
        if not isinstance(error, ContextTooLong):
            return self._rest[0] if self._rest else None
        held = self.candidate.window_tokens or 0
        return next((each for each in self._rest if (each.window_tokens or 0) > held), None)

    def _named(self, tries: tuple[Attempt, ...]) -> tuple[Attempt, ...]:
        if self.candidate.name == self._asked.model:
            return tries
        return tuple([replace(each, model=self.candidate.name) for each in tries])

    def _attempt(self, error: ModelError | None) -> Attempt:
        duration_us = round((self._clock.monotonic() - self._began_at) * 1_000_000)
        return Attempt(duration_us) if error is None else Attempt(duration_us, error.code, usage=error.usage)


def _chain(error: BaseException, before: BaseException) -> None:
    """Put what went before under the error's own causes, unless it stands there already."""
    root = _causes(error)[-1]
    if all(each is not root for each in _causes(before)):
        root.__cause__ = before


def _causes(error: BaseException) -> list[BaseException]:
    """Return the error and what caused it; a model that raises one error again and again may have made a circle of it."""
    found = [error]
    while (cause := found[-1].__cause__) is not None and all(cause is not each for each in found):
        found.append(cause)
    return found
