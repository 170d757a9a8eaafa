"""A process that stands still while a `once` effect is under way, and what its lease allows when it goes on."""

import asyncio
from collections.abc import Mapping

import pytest
from pydantic import JsonValue

from agent_sdk.core.tools import ToolContext
from agent_sdk.testing import Call, VirtualClock
from tests.unit.execution.fakes import LEASE_S, FakeTool
from tests.unit.execution.world import World


def standing_still(*, seconds: float) -> tuple[FakeTool, list[str]]:
    """Return a tool that waits a second and then acts outside; meanwhile the process stands still, and all its timers are due at once."""
    acts: list[str] = []

    async def body(_args: Mapping[str, JsonValue], context: ToolContext[object]) -> JsonValue:
        asyncio.get_running_loop().call_later(0.5, VirtualClock().advance, seconds)
        await asyncio.sleep(1)
        acts.append(context.step_id)
        return "sent"

    return FakeTool("send", body, "once"), acts


@pytest.mark.parametrize("calls", [1, 2])
async def test_a_once_effect_under_way_goes_no_further_when_its_lease_has_run_out(calls: int) -> None:
    tool, acts = standing_still(seconds=LEASE_S + 5)
    world = World([tool], [[Call("send")] * calls, "done"])
    assert await world.drive() == "waiting"
    assert acts == []
    assert await world.state() == "waiting: unknown_effect"
    lost = [line for line in await world.story() if line.startswith("step.unknown")]
    assert sorted(lost) == [f"step.unknown t1.{call} lease_lost #1" for call in range(1, calls + 1)]


async def test_a_once_effect_goes_on_as_long_as_its_lease_is_renewed() -> None:
    tool, acts = standing_still(seconds=LEASE_S + 5)
    world = World([tool], [Call("send"), "done"], kept_s=LEASE_S)
    assert await world.drive() == "ended"
    assert acts == ["t1.1"]
