"""What one limit has given away, in this process: slots of time as the stores keep them, and when there is room. It knows no clock."""

from collections import deque

from agent_sdk.core.rates import LONGEST_PAUSE_S, SLOTS, RateLimit

FOR_A_PLACE = -1
"""A wait that ends when a call does, and nobody knows when."""


class RateWindow:
    """All times are whole microseconds of one clock that never goes back."""

    __slots__ = ("_slots", "_width", "held", "limit", "paused_until", "requests", "tokens")

    def __init__(self, limit: RateLimit) -> None:
        self.limit = limit
        self.held = 0
        self.requests = 0
        self.tokens = 0
        self.paused_until = 0
        self._width = limit.slot_us
        self._slots: deque[list[int]] = deque()  # [number, requests, tokens], oldest first

    @property
    def is_idle(self) -> bool:
        return not (self.held or self._slots or self.paused_until)

    def wait_us(self, now: int, tokens: int) -> int:
        """Return how long there is no room for a request of so many tokens, 0 if there is, or `FOR_A_PLACE`."""
        limit = self.limit
        slots = self._slots
        oldest = now // self._width - SLOTS
        while slots and slots[0][0] < oldest:
            _, requests, used = slots.popleft()
            self.requests -= requests
            self.tokens -= used
        if limit.concurrency is not None and self.held >= limit.concurrency:
            return FOR_A_PLACE
        if now < self.paused_until:
            return self.paused_until - now
        self.paused_until = 0
        requests, used = self.requests + 1, self.tokens + limit.share(tokens)
        if self._fits(requests, used):
            return 0
        for number, old_requests, old_tokens in slots:
            requests -= old_requests
            used -= old_tokens
            if self._fits(requests, used):
                return (number + SLOTS + 1) * self._width - now
        return FOR_A_PLACE  # cannot be: an empty window has room for any share

    def take(self, now: int, tokens: int) -> None:
        self.held += 1
        self._add(now // self._width, 1, self.limit.share(tokens))

    def settle(self, now: int, taken_at: int, taken: int, used: int | None) -> None:
        """Free a place, and correct `taken` tokens to `used`: less is given back where it was taken, more is taken now."""
        self.held -= 1
        if used is None or self.limit.tokens is None:
            return
        more = used - self.limit.share(taken)
        if more > 0:
            self._add(now // self._width, 0, more)
        elif more < 0:
            self._give_back(taken_at // self._width, 0, -more)

    def void(self, taken_at: int, taken: int) -> None:
        """Undo a take that was used for nothing."""
        self.held -= 1
        self._give_back(taken_at // self._width, 1, self.limit.share(taken))

    def pause(self, now: int, for_s: float) -> None:
        self.paused_until = max(self.paused_until, now + int(min(for_s, LONGEST_PAUSE_S) * 1_000_000))

    def resize(self, limit: RateLimit) -> None:
        """Go on under other amounts; what was taken under a period of another length counts from its last moment on."""
        if limit.slot_us != self._width and self._slots:
            end = (self._slots[-1][0] + 1) * self._width
            self._slots = deque([[end // limit.slot_us, self.requests, self.tokens]])
        self.limit, self._width = limit, limit.slot_us

    def _fits(self, requests: int, tokens: int) -> bool:
        limit = self.limit
        return (limit.requests is None or requests <= limit.requests) and (limit.tokens is None or tokens <= limit.tokens)

    def _add(self, number: int, requests: int, tokens: int) -> None:
        self.requests += requests
        self.tokens += tokens
        slots = self._slots
        if slots and slots[-1][0] >= number:
            slots[-1][1] += requests
            slots[-1][2] += tokens
        else:
            slots.append([number, requests, tokens])

    def _give_back(self, number: int, requests: int, tokens: int) -> None:
        for slot in reversed(self._slots):
            if slot[0] < number:
                return
            if slot[0] == number:
                requests, tokens = min(requests, slot[1]), min(tokens, slot[2])
                slot[1] -= requests
                slot[2] -= tokens
                self.requests -= requests
                self.tokens -= tokens
                return
