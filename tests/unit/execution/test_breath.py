"""When a walk yields to its event loop."""

import asyncio

from agent_sdk.execution.breath import BREATH_S, Breath
from agent_sdk.testing import VirtualClock


async def test_a_walk_that_held_the_loop_for_too_long_is_to_yield() -> None:
    clock = VirtualClock()
    breath = Breath(clock)
    assert not breath.is_due(), "the time counts from the first look on"
    clock.advance(BREATH_S / 2)
    assert not breath.is_due()
    clock.advance(BREATH_S)
    assert breath.is_due()


async def test_where_the_loop_went_round_by_itself_the_time_counts_anew() -> None:
    clock = VirtualClock()
    breath = Breath(clock)
    breath.is_due()
    await asyncio.sleep(0)
    clock.advance(2 * BREATH_S)
    assert not breath.is_due()
    clock.advance(2 * BREATH_S)
    assert breath.is_due()
