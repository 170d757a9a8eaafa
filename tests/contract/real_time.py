"""The world's own time, for what is tried with servers."""

import asyncio
import time


class RealClock:
    """The machine's clocks, as the `Clock` port tells them."""

    def now_us(self) -> int:
        return time.time_ns() // 1000

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, delay_s: float) -> None:
        await asyncio.sleep(delay_s)
