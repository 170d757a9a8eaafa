"""Planners that propose, and the checker that finds what does not hold."""

from agent_sdk.planning.answers import AnswerType
from agent_sdk.planning.checker import PlanChecker
from agent_sdk.planning.fixed import FixedPlanner
from agent_sdk.planning.loop import LoopPlanner
from agent_sdk.planning.parse import parse_plan
from agent_sdk.planning.whole import PlanOnly, WholePlanner, plan_schema

__all__ = ["AnswerType", "FixedPlanner", "LoopPlanner", "PlanChecker", "PlanOnly", "WholePlanner", "parse_plan", "plan_schema"]
