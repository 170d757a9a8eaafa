"""How much may be asked of models in a time, and when to stop: rules, limits, and the ports of what keeps count."""

from collections.abc import Sequence
from math import ceil
from typing import Literal, NamedTuple, Protocol

from agent_sdk.core.errors import ConfigError
from agent_sdk.core.frozen import frozen
from agent_sdk.core.ids import TenantId

RateScope = Literal["tenant", "key", "model"]
SLOTS = 60
"""Into how many slots a limit's period is cut: what was taken comes back when its slot is a whole period old, 1/60 of it late at most."""
MOST = 10**12
LONGEST_PERIOD_S = 366 * 86_400.0
"""More than this is no limit, and would not fit the numbers that the stores count in."""
LONGEST_PAUSE_S = 3600.0
"""A vendor that wants a longer pause is asked again after this."""


@frozen
class RateRule:
    """What each model, key (an account, by a plain name), tenant, or combination of them may have; None means no limit.

    `requests` and `tokens` (in and out together) are those of any period of `period_s` seconds, whenever it begins; `concurrency` is how
    many calls may be under way. `RateRule(("key", "model"), requests=500)` is what most vendors mean by a rate limit.
    A rule `of` one tenant holds for that alone, in the place of the one that goes by the same for all tenants.

    Raises:
        ConfigError: the rule limits nothing, or is not one that can be kept.
    """

    by: tuple[RateScope, ...]
    requests: int | None = None
    tokens: int | None = None
    concurrency: int | None = None
    period_s: float = 60.0
    of: TenantId | None = None

    def __post_init__(self) -> None:
        if not self.by or len(set(self.by)) < len(self.by) or not set(self.by) <= {"tenant", "key", "model"}:
            raise ConfigError(f"a rate limit cannot go by {self.by!r}", hint='name each of "tenant", "key" and "model" at most once')
        if self.of is not None and "tenant" not in self.by:
            raise ConfigError(
                f"a rate limit by {', '.join(self.by)} cannot be that of tenant {self.of!r}", hint='let it go by "tenant" too'
            )
        amounts = {"requests": self.requests, "tokens": self.tokens, "concurrency": self.concurrency}
        for unit, amount in amounts.items():
            if amount is None:
                continue
            if type(amount) is not int or amount > MOST:
                raise ConfigError(f"a rate limit cannot be {amount!r} {unit}", hint="give a whole number, at most a million millions")
            if amount < 1:
                raise ConfigError(f"a rate limit of {amount} {unit} lets nothing pass", hint="give at least 1, or leave it out")
        if all(amount is None for amount in amounts.values()):
            raise ConfigError(f"the rate limit by {', '.join(self.by)} limits nothing", hint="give requests, tokens or concurrency")
        if not 0.001 <= self.period_s <= LONGEST_PERIOD_S:
            raise ConfigError(f"a rate limit's period is {self.period_s} s", hint="give it in seconds; a minute is 60")


@frozen
class RateLimit:
    """A rule as it holds for one model, key or tenant. `name` says of which, and is unlike all others; `tenant` is whose limit it is."""

    name: str
    tenant: TenantId | None = None
    requests: int | None = None
    tokens: int | None = None
    concurrency: int | None = None
    period_s: float = 60.0

    @property
    def slot_us(self) -> int:
        """The length of a slot in microseconds; all of them together are never shorter than the period."""
        return ceil(self.period_s * 1_000_000 / SLOTS)

    def share(self, tokens: int) -> int:
        """Return how much of the limit a call of so many tokens takes: one that is larger than the whole limit takes all of it."""
        return 0 if self.tokens is None else min(tokens, self.tokens)


class Permit(NamedTuple):
    """Leave to ask once: a request, `tokens` and a place among those under way, taken from all `limits`; `at_us` is the limiter's time."""

    limits: tuple[RateLimit, ...]
    tokens: int
    at_us: int = 0
    id: str = ""


class RateLimiter(Protocol):
    """Lets calls pass when all of their limits have room, in the order in which they came."""

    async def take(self, limits: tuple[RateLimit, ...], tokens: int) -> Permit:
        """Wait for room in all limits and take it at once from all of them; a cancelled call takes nothing.

        Raises:
            ModelError: too many wait already, or the wait is too long; nothing was taken.
        """
        ...

    async def settle(self, permit: Permit, tokens: int | None) -> None:
        """End the call: correct what was taken to what was used (None: not known, so it stays), and free its place."""
        ...

    async def pause(self, limit: RateLimit, for_s: float) -> None:
        """Let nothing through this limit for so long, as the vendor asks."""
        ...


class RateStore(Protocol):
    """Keeps the count for many processes, by a clock of its own."""

    async def take(self, permit: Permit, holder: str) -> float:
        """Take from all of the permit's limits and return 0, or from none and return in how many seconds to ask again.

        A holder that was refused keeps its place in the queue of what refused it, as long as it asks again within seconds. To take a
        permit again that was taken changes nothing.

        Raises:
            StorageError: the store failed.
        """
        ...

    async def settle(self, permit: Permit, tokens: int | None, *, is_void: bool = False) -> None:
        """End the permit, once; one that `is_void` was used for nothing, and comes back whole. Unknown permits are passed over."""
        ...

    async def leave(self, limits: Sequence[RateLimit], holder: str) -> None:
        """Give up the holder's place in all queues."""
        ...

    async def pause(self, limit: RateLimit, for_s: float) -> None: ...

    async def close(self) -> None: ...


CircuitStatus = Literal["closed", "open", "half_open"]


class CircuitStore(Protocol):
    """Knows for many processes which circuits are open, by a clock of its own."""

    async def look(self, name: str) -> float | None:
        """Return for how many seconds more the circuit is open, 0 where probes may go through; None where it is closed.

        Raises:
            StorageError: the store failed.
        """
        ...

    async def open_circuit(self, name: str, for_s: float) -> None: ...

    async def probe(self, name: str, probe: str, *, most: int, lease_s: float) -> bool:
        """Take one of `most` places for probes, if the circuit's time is over and one is free; it is free again after `lease_s`."""
        ...

    async def leave_probe(self, name: str, probe: str) -> None:
        """Free the probe's place."""
        ...

    async def shut(self, name: str) -> None:
        """Close the circuit, and free all places."""
        ...

    async def close(self) -> None: ...
