"""The wrappers around models, in the one order that is meant: fallback( for each model: retry( breaker( rate limit( adapter ) ) ) ).

The limit stands inside the retry, so that each try takes its share, and inside the breaker, so that nobody waits for room at a model that
is left alone. The fallback stands outside, and asks another model when one has given up.
"""

from collections.abc import Callable, Sequence, Set as AbstractSet
from dataclasses import field

from agent_sdk.core.errors import ConfigError, ModelError
from agent_sdk.core.frozen import frozen
from agent_sdk.core.model import ModelRequest
from agent_sdk.core.ports import Clock, Model, Random
from agent_sdk.core.rates import RateLimiter, RateRule
from agent_sdk.llm.breaker import BreakerModel
from agent_sdk.llm.circuit import Circuits
from agent_sdk.llm.failures import FALLS_BACK
from agent_sdk.llm.fallback import Candidate, FallbackModel
from agent_sdk.llm.rate_limit import LimitsOf, RateLimitedModel
from agent_sdk.llm.retry import RetryingModel, RetryPolicy


@frozen
class Link:
    """A model of a chain: an adapter, and `name` as its vendor knows it.

    `place` is where it is asked, as it may be shown; `key` names the account that it is asked with, and is never the key itself. `rules`
    are the limits of this model alone; None takes those of the chain.
    """

    model: Model
    name: str
    place: str = ""
    key: str = "default"
    window_tokens: int | None = None
    rules: Sequence[RateRule] | None = None


@frozen
class Resilience:
    """What a chain does against failures. None of `circuits`, no `rules`: nothing breaks, nothing is limited.

    `limiter` and `circuits` are shared by all chains of a process. `estimate` says how many tokens a request takes, its reply included.
    """

    clock: Clock
    random: Random
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    circuits: Circuits | None = None
    rules: Sequence[RateRule] = ()
    limiter: RateLimiter | None = None
    estimate: Callable[[ModelRequest], int] | None = None
    falls_back_on: AbstractSet[type[ModelError]] = FALLS_BACK

    def __post_init__(self) -> None:
        if self.rules and self.limiter is None:
            raise ConfigError("there are rate limits and nothing that keeps them", hint="give a limiter, such as LocalLimiter(clock)")
        if any(rule.tokens is not None for rule in self.rules) and self.estimate is None:
            raise ConfigError("there is a limit of tokens and nothing that counts them beforehand", hint="give estimate")


def compose_chain(links: Sequence[Link], how: Resilience) -> Model:
    """Return one model made of all, asked in this order.

    Raises:
        ConfigError: there are none, or two rules limit the same.
    """
    candidates = [Candidate(_wrapped(link, how), link.name, link.window_tokens) for link in links]
    if len(candidates) == 1:
        return candidates[0].model
    return FallbackModel(candidates, how.clock, on=how.falls_back_on)


def _wrapped(link: Link, how: Resilience) -> Model:
    model = link.model
    rules = how.rules if link.rules is None else link.rules
    if how.limiter is not None and rules:
        model = RateLimitedModel(model, how.limiter, LimitsOf(rules, key=link.key), how.estimate or (lambda _: 0))
    if how.circuits is not None:
        model = BreakerModel(model, how.circuits.of(link.name, link.place))
    return RetryingModel(model, how.retry, how.clock, how.random)
