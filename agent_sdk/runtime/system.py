"""The real world's time, names and chance."""

import asyncio
import random
import secrets
import time

from agent_sdk.core.ids import RunId

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


class SystemClock:
    """The machine's clocks."""

    def now_us(self) -> int:
        return time.time_ns() // 1000

    monotonic = staticmethod(time.monotonic)  # called some times a turn: nothing stands between

    async def sleep(self, delay_s: float) -> None:
        await asyncio.sleep(delay_s)


class SystemIds:
    """Names that sort by the time they were given: 9 characters of milliseconds, 15 of chance, in Crockford's base 32."""

    def run_id(self) -> RunId:
        return RunId("run_" + _base32(time.time_ns() // 1_000_000, 9) + _base32(secrets.randbits(75), 15))


class SystemRandom:
    """Chance for jitter; nothing secret hangs on it."""

    def uniform(self, low: float, high: float) -> float:
        return random.uniform(low, high)  # noqa: S311  (jitter)


def _base32(number: int, length: int) -> str:
    return "".join(_ALPHABET[number >> 5 * place & 31] for place in reversed(range(length)))
