"""A `RateStore` and `CircuitStore` in memory: the windows of one process, as if it were a server; for tests of what asks a store."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from agent_sdk.core.ports import Clock
from agent_sdk.core.rates import Permit, RateLimit
from agent_sdk.llm.rate_window import FOR_A_PLACE, RateWindow

_QUEUE_S, _LOOK_S = 2.0, 0.05


@dataclass
class MemoryRates:
    clock: Clock
    lease_s: float = 900.0
    windows: dict[str, RateWindow] = field(default_factory=dict[str, RateWindow])
    taken: dict[str, tuple[int, float]] = field(default_factory=dict[str, tuple[int, float]])
    queues: dict[str, dict[str, float]] = field(default_factory=dict[str, dict[str, float]])
    turns: dict[str, int] = field(default_factory=dict[str, int])
    last_turn: int = 0
    circuits: dict[str, float] = field(default_factory=dict[str, float])
    probes: dict[str, dict[str, float]] = field(default_factory=dict[str, dict[str, float]])
    permits: dict[str, Permit] = field(default_factory=dict[str, Permit])
    asked: int = 0

    def window(self, limit: RateLimit) -> RateWindow:
        return self.windows.setdefault(limit.name, RateWindow(limit))

    def now_us(self) -> int:
        return int(self.clock.monotonic() * 1_000_000)

    def is_behind(self, limit: RateLimit, holder: str) -> bool:
        queue = self.queues.setdefault(limit.name, {})
        for other in [each for each, until in queue.items() if until < self.clock.monotonic()]:
            del queue[other]
        return any(self.turns[other] < self.turns.get(holder, self.last_turn + 1) for other in queue.keys() - {holder})

    async def take(self, permit: Permit, holder: str) -> float:
        self.asked += 1
        now = self.now_us()
        if permit.id in self.taken:
            return 0.0
        for lost in [each for each, (_, until) in self.taken.items() if until * 1e6 < now]:
            for limit in self.permits.pop(lost).limits:
                self.window(limit).held -= 1
            del self.taken[lost]
        longest = 0.0
        for limit in permit.limits:
            wait_us = self.window(limit).wait_us(now, permit.tokens)
            wait_s = max(_LOOK_S, wait_us / 1e6) if wait_us else _LOOK_S if self.is_behind(limit, holder) else 0.0
            assert wait_us >= FOR_A_PLACE
            if wait_s:
                if holder not in self.turns:
                    self.last_turn += 1
                    self.turns[holder] = self.last_turn
                self.queues.setdefault(limit.name, {})[holder] = self.clock.monotonic() + _QUEUE_S
            longest = max(longest, wait_s)
        if longest:
            return longest
        for limit in permit.limits:
            self.window(limit).take(now, permit.tokens)
        self.taken[permit.id] = now, self.clock.monotonic() + self.lease_s
        self.permits[permit.id] = permit
        await self.leave(permit.limits, holder)
        return 0.0

    async def settle(self, permit: Permit, tokens: int | None, *, is_void: bool = False) -> None:
        if permit.id not in self.taken:
            return
        at, _ = self.taken.pop(permit.id)
        del self.permits[permit.id]
        for limit in permit.limits:
            if is_void:
                self.window(limit).void(at, permit.tokens)
            else:
                self.window(limit).settle(self.now_us(), at, permit.tokens, tokens)

    async def leave(self, limits: Sequence[RateLimit], holder: str) -> None:
        for limit in limits:
            self.queues.setdefault(limit.name, {}).pop(holder, None)
        self.turns.pop(holder, None)

    async def pause(self, limit: RateLimit, for_s: float) -> None:
        self.window(limit).pause(self.now_us(), for_s)

    async def look(self, name: str) -> float | None:
        return max(0.0, self.circuits[name] - self.clock.monotonic()) if name in self.circuits else None

    async def open_circuit(self, name: str, for_s: float) -> None:
        self.circuits[name] = self.clock.monotonic() + for_s
        self.probes.pop(name, None)

    async def probe(self, name: str, probe: str, *, most: int, lease_s: float) -> bool:
        now = self.clock.monotonic()
        if self.circuits.get(name, now + 1) > now:
            return False
        places = {each: until for each, until in self.probes.get(name, {}).items() if until >= now}
        self.probes[name] = places
        if len(places.keys() - {probe}) >= most:
            return False
        places[probe] = now + lease_s
        return True

    async def leave_probe(self, name: str, probe: str) -> None:
        self.probes.get(name, {}).pop(probe, None)

    async def shut(self, name: str) -> None:
        self.circuits.pop(name, None)
        self.probes.pop(name, None)

    async def close(self) -> None: ...
