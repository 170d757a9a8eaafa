"""Rate limits in the path of a model: which limits a call falls under, what it takes from them, and what it gives back."""

from collections.abc import AsyncGenerator, Callable, Sequence
from functools import lru_cache
from urllib.parse import quote

from agent_sdk.core.errors import ConfigError, ModelError, RateLimited
from agent_sdk.core.ids import TenantId
from agent_sdk.core.model import Delta, ModelReply, ModelRequest, ReplyDone
from agent_sdk.core.ports import Model
from agent_sdk.core.rates import Permit, RateLimit, RateLimiter, RateRule, RateScope
from agent_sdk.core.usage import Usage
from agent_sdk.llm.retry import close_stream

_VENDORS: tuple[RateScope, ...] = ("key", "model")
"""What a vendor speaks of when it refuses for now: this account's calls of this model."""
_REMEMBERED = 4096


class LimitsOf:
    """The limits that a call falls under, by its model and tenant; `key` names the account that it is asked with, and is never a secret.

    The last one is that which a vendor's own word pauses.

    Raises:
        ConfigError: two rules limit the same thing.
    """

    def __init__(self, rules: Sequence[RateRule], *, key: str) -> None:
        self._rules = tuple(sorted(rules, key=lambda rule: set(rule.by) == set(_VENDORS)))
        self._key = key
        self.of = lru_cache(maxsize=_REMEMBERED)(self._make)
        self.counts_tokens = any(rule.tokens is not None for rule in rules)
        for tenant in {TenantId(""), *(rule.of for rule in rules if rule.of is not None)}:
            names = [limit.name for limit in self._make("", tenant)]
            if twice := {name for name in names if names.count(name) > 1}:
                raise ConfigError(f"two rate limits go by the same: {min(twice)}", hint="keep the smaller one")

    def _make(self, model: str, tenant: TenantId) -> tuple[RateLimit, ...]:
        values: dict[RateScope, str] = {"tenant": tenant, "key": self._key, "model": model}
        named = {frozenset(rule.by) for rule in self._rules if rule.of == tenant}
        holding = [rule for rule in self._rules if rule.of == tenant or (rule.of is None and frozenset(rule.by) not in named)]
        limits = [_limit(rule, values) for rule in holding]
        if not self._rules or set(self._rules[-1].by) != set(_VENDORS):
            limits.append(RateLimit(f"{_place(_VENDORS, values)}/vendor"))
        return tuple(limits)


class RateLimitedModel:
    """Asks `model` when all its limits have room.

    A call takes one request, as many tokens as `estimate` says, and a place among those under way. Its tokens are corrected to the usage
    that came back; where none did, as after a failure, they stay taken. A call that is thought larger than a whole limit waits for all of
    it. A vendor that refuses for now, and says for how long, is asked by nobody meanwhile.
    """

    __slots__ = ("_estimate", "_limiter", "_limits", "_model")

    def __init__(self, model: Model, limiter: RateLimiter, limits: LimitsOf, estimate: Callable[[ModelRequest], int]) -> None:
        self._model = model
        self._limiter = limiter
        self._limits = limits
        self._estimate = estimate

    async def complete(self, request: ModelRequest) -> ModelReply:
        permit = await self._take(request)
        usage: Usage | None = None
        try:
            reply = await self._model.complete(request)
            usage = reply.usage
        except ModelError as error:
            usage = error.usage
            await self._heed(error, permit)
            raise
        finally:
            await self._limiter.settle(permit, _tokens(usage))
        return reply

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Delta, None]:
        permit = await self._take(request)
        usage: Usage | None = None
        deltas = self._model.stream(request)
        try:
            async for delta in deltas:
                if isinstance(delta, ReplyDone):
                    usage = delta.reply.usage
                yield delta
        except ModelError as error:
            usage = error.usage
            await self._heed(error, permit)
            raise
        finally:
            try:
                await close_stream(deltas)
            finally:
                await self._limiter.settle(permit, _tokens(usage))

    async def _take(self, request: ModelRequest) -> Permit:
        tokens = self._estimate(request) if self._limits.counts_tokens else 0
        return await self._limiter.take(self._limits.of(request.model, request.tenant), tokens)

    async def _heed(self, error: ModelError, permit: Permit) -> None:
        if isinstance(error, RateLimited) and error.retry_after_s:
            await self._limiter.pause(permit.limits[-1], error.retry_after_s)


def _limit(rule: RateRule, values: dict[RateScope, str]) -> RateLimit:
    amounts = {"requests": rule.requests, "tokens": rule.tokens, "concurrency": rule.concurrency}
    units = "+".join(unit for unit, amount in amounts.items() if amount is not None)
    return RateLimit(
        f"{_place(rule.by, values)}/{units}/{rule.period_s:g}s",
        TenantId(values["tenant"]) if "tenant" in rule.by else None,
        rule.requests,
        rule.tokens,
        rule.concurrency,
        rule.period_s,
    )


def _place(scopes: Sequence[RateScope], values: dict[RateScope, str]) -> str:
    return "/".join(f"{scope}={quote(values[scope], safe=':.')}" for scope in sorted(scopes))


def _tokens(usage: Usage | None) -> int | None:
    """Return how many tokens were used; None where nobody counted them."""
    return (usage.input_tokens + usage.output_tokens or None) if usage is not None else None
