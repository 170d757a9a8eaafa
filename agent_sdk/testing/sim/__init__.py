from agent_sdk.testing.sim.asked import Dialect, SimRequest, SimTool, Spoken, Wanted
from agent_sdk.testing.sim.faults import FAULT_KINDS, Fault, FaultKind, Faults
from agent_sdk.testing.sim.latency import Latency, constant, lognormal, uniform
from agent_sdk.testing.sim.model import SimModel
from agent_sdk.testing.sim.said import Charge, SimPrice, SimReply, SimSaid
from agent_sdk.testing.sim.server import SimServer
from agent_sdk.testing.sim.sim import Sim, SimItem, SimScript
from agent_sdk.testing.sim.tokens import count_tokens
from agent_sdk.testing.sim.values import make_value

__all__ = [
    "FAULT_KINDS",
    "Charge",
    "Dialect",
    "Fault",
    "FaultKind",
    "Faults",
    "Latency",
    "Sim",
    "SimItem",
    "SimModel",
    "SimPrice",
    "SimReply",
    "SimRequest",
    "SimSaid",
    "SimScript",
    "SimServer",
    "SimTool",
    "Spoken",
    "Wanted",
    "constant",
    "count_tokens",
    "lognormal",
    "make_value",
    "uniform",
]
