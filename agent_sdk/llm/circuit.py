"""Whether a model is left alone: one circuit for each model at each place, closed, open or half open, and shared where there is a store."""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType

from agent_sdk.core.errors import ConfigError, StorageError
from agent_sdk.core.frozen import frozen
from agent_sdk.core.ports import Clock
from agent_sdk.core.rates import CircuitStatus, CircuitStore
from agent_sdk.llm.failures import CircuitOpen

_log = logging.getLogger("agent_sdk.llm")
_LOOK_S = 1.0
_LOST_S = 10.0
_PATIENCE_S = 2.0
"""How old the store's word may be; how long it is left alone when it is away, beyond that; and how long it is waited for."""


@frozen
class BreakerPolicy:
    """When a circuit opens, and how it closes.

    It opens after `failures` in a row within `window_s`, or where the share `rate` of at least `min_calls` in that time failed. After
    `open_s` it lets `probes` at once through: the first answer closes it, a failure opens it again. A probe whose process died is counted
    for `probe_lease_s`.
    """

    failures: int = 5
    rate: float = 0.5
    min_calls: int = 20
    window_s: float = 30.0
    open_s: float = 30.0
    probes: int = 1
    probe_lease_s: float = 900.0

    def __post_init__(self) -> None:
        if min(self.failures, self.min_calls, self.probes) < 1:
            raise ConfigError("failures, min_calls and probes of a circuit breaker must be at least 1")
        if not (0 < self.rate <= 1 and min(self.window_s, self.open_s, self.probe_lease_s) > 0):
            raise ConfigError("a circuit breaker's times must be above 0, and its rate between 0 and 1")


@frozen
class CircuitState:
    """How a circuit stands; `retry_after_s` is for how much longer it is open."""

    status: CircuitStatus
    retry_after_s: float = 0.0


class Circuit:
    """Failures are counted in each process; that a circuit is open, and how many probe it, all processes know from the store.

    Without its store, a process goes on by itself.
    """

    def __init__(self, name: str, policy: BreakerPolicy, clock: Clock, store: CircuitStore | None = None) -> None:
        self.name = name
        self._policy = policy
        self._clock = clock
        self._store = store
        self._tally = _Tally(policy)
        self._open_until: float | None = None
        self._probes: set[str] = set()
        self._turns = 0  # how often it opened or closed: what was asked of the store before is no news after
        self._looked_at = float("-inf")
        self._is_known = True  # the store knows what we know
        self._is_lost = False

    @property
    def state(self) -> CircuitState:
        if self._open_until is None:
            return CircuitState("closed")
        left_s = self._open_until - self._clock.monotonic()
        return CircuitState("open", left_s) if left_s > 0 else CircuitState("half_open")

    async def enter(self) -> str | None:
        """Return None where the circuit is closed, or the name of the probe that the call is.

        Raises:
            CircuitOpen: the model is left alone.
        """
        if self._store is not None and self._clock.monotonic() - self._looked_at >= _LOOK_S:
            await self._look()
        if self._open_until is None:
            return None
        left_s = self._open_until - self._clock.monotonic()
        if left_s > 0:
            raise self._refusal(left_s)
        return await self._probe()

    async def leave(self, probe: str | None, *, is_up: bool | None) -> None:
        """Say how the call went; None where it says nothing of the vendor, as after a cancel."""
        if probe is None:
            if is_up is not None and self._tally.count(self._clock.monotonic(), is_up=is_up) and self._open_until is None:
                await self._open()
            return
        self._probes.discard(probe)
        try:
            if is_up is None:
                await self._free(probe)
            elif is_up:
                self._turn(None)
                self._is_known = await self._tell(lambda store: store.shut(self.name))
            else:
                await self._open()
        except asyncio.CancelledError:  # before the store heard of it: nobody else could probe for as long as a probe may last
            await self._free(probe)
            raise

    async def _free(self, probe: str) -> None:
        await self._tell(lambda store: store.leave_probe(self.name, probe))

    async def _open(self) -> None:
        self._turn(self._clock.monotonic() + self._policy.open_s)
        _log.warning("the model %s fails and is left alone for %g s", self.name, self._policy.open_s)
        self._is_known = await self._tell(lambda store: store.open_circuit(self.name, self._policy.open_s))

    def _turn(self, open_until: float | None) -> None:
        self._open_until = open_until
        self._turns += 1
        self._tally = _Tally(self._policy)

    async def _probe(self) -> str | None:
        if len(self._probes) >= self._policy.probes:
            raise self._refusal(_LOOK_S)
        probe = secrets.token_hex(8)
        self._probes.add(probe)
        is_ours = False
        try:
            is_ours = await self._may_probe(probe)
        except asyncio.CancelledError:  # when the store may have given the place already
            await self._free(probe)
            raise
        finally:
            if not is_ours:
                self._probes.discard(probe)
        if is_ours:
            return probe
        if self._open_until is None:
            return None
        raise self._refusal(_LOOK_S)

    async def _may_probe(self, probe: str) -> bool:
        if self._store is None:
            return True
        is_ours: list[bool] = []

        async def ask(store: CircuitStore) -> None:
            is_ours.append(await store.probe(self.name, probe, most=self._policy.probes, lease_s=self._policy.probe_lease_s))

        if not self._is_known or not await self._tell(ask):
            return True
        if not is_ours[0]:
            await self._look()
        return is_ours[0]

    async def _look(self) -> None:
        """Take over what the store knows, unless things turned here in the meantime, or here is known what it could not be told."""
        self._looked_at = self._clock.monotonic() + (_LOST_S if self._is_lost else 0)
        turns = self._turns
        left_s: list[float | None] = []

        async def ask(store: CircuitStore) -> None:
            left_s.append(await store.look(self.name))

        if not await self._tell(ask) or turns != self._turns:
            return
        if left_s[0] is not None:
            self._open_until, self._is_known = self._clock.monotonic() + left_s[0], True
        elif self._open_until is not None and self._is_known:
            self._turn(None)

    async def _tell(self, say: Callable[[CircuitStore], Awaitable[None]]) -> bool:
        """Speak with the store, if there is one; a store that is away is told of once in the log."""
        if self._store is None:
            return True
        try:
            async with asyncio.timeout(_PATIENCE_S):
                await say(self._store)
        except (StorageError, TimeoutError) as error:
            if not self._is_lost:
                _log.warning("the state of circuit %s cannot be shared, and is kept by this process alone: %s", self.name, error)
            self._is_lost = True
        else:
            self._is_lost = False
        return not self._is_lost

    def _refusal(self, left_s: float) -> CircuitOpen:
        return CircuitOpen(f"{self.name} failed again and again, and is left alone for {left_s:.3g} s", retry_after_s=left_s)


class Circuits:
    """The circuits of this process, one for each model and place."""

    def __init__(self, policy: BreakerPolicy, clock: Clock, store: CircuitStore | None = None) -> None:
        self._policy = policy
        self._clock = clock
        self._store = store
        self._circuits: dict[str, Circuit] = {}

    def of(self, model: str, place: str) -> Circuit:
        """Return the circuit of the model at a place, which is shown in errors and so holds no secret."""
        name = f"{model} at {place}"
        if name not in self._circuits:
            self._circuits[name] = Circuit(name, self._policy, self._clock, self._store)
        return self._circuits[name]

    def states(self) -> Mapping[str, CircuitState]:
        """Return how each circuit stands, as far as this process knows."""
        return MappingProxyType({name: circuit.state for name, circuit in self._circuits.items()})


class _Tally:
    """Answers and failures of a closed circuit, in halves of the window: this one and the one before."""

    __slots__ = ("_bad", "_calls", "_half", "_half_s", "_old_bad", "_old_calls", "_policy", "_row", "_row_began")

    def __init__(self, policy: BreakerPolicy) -> None:
        self._policy = policy
        self._half_s = policy.window_s / 2
        self._half = 0
        self._calls = self._bad = self._old_calls = self._old_bad = 0
        self._row = 0
        self._row_began = 0.0

    def count(self, now: float, *, is_up: bool) -> bool:
        """Count a call, and say whether there were too many failures."""
        half = int(now / self._half_s)
        if half != self._half:
            is_next = half == self._half + 1
            self._old_calls, self._old_bad = (self._calls, self._bad) if is_next else (0, 0)
            self._half, self._calls, self._bad = half, 0, 0
        self._calls += 1
        if is_up:
            self._row = 0
            return False
        self._bad += 1
        if not self._row or now - self._row_began > self._policy.window_s:
            self._row, self._row_began = 0, now
        self._row += 1
        calls, bad = self._calls + self._old_calls, self._bad + self._old_bad
        return self._row >= self._policy.failures or (calls >= self._policy.min_calls and bad >= self._policy.rate * calls)
