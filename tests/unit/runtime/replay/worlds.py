"""Replays of the runs that the executor's own tests make."""

from agent_sdk.core.ports import Planner
from agent_sdk.core.run import Run
from agent_sdk.planning import FixedPlanner, LoopPlanner, PlanChecker, WholePlanner
from agent_sdk.runtime.replay import Code, Recording, Replayed, load_recording, replay_recording
from tests.unit.execution.fakes import RUN, TENANT
from tests.unit.execution.world import World


def code_of_world(world: World) -> Code:
    spec, tools = world.spec, {tool.name: tool for tool in world.tools}

    def planner(_run: Run, _cap: int | None) -> Planner:
        if world.planner is not None:
            return world.planner
        if spec.plan is not None:
            return FixedPlanner(spec.plan)
        return WholePlanner(spec, "m") if world.strategy == "plan" else LoopPlanner(spec, "m")

    return Code(spec, tools, PlanChecker(spec, tools, world.answers), planner)


async def recording_of(world: World) -> Recording:
    return await load_recording(world.journal, TENANT, RUN)


async def replayed(world: World) -> Replayed:
    return await replay_recording(await recording_of(world), code_of_world(world))
