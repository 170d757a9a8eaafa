from agent_sdk.testing.cassette import Cassette
from agent_sdk.testing.cassette_file import CassetteMiss
from agent_sdk.testing.chat_protocol import ChatReply, ChatRequest, Delivery, RawReply, error_reply
from agent_sdk.testing.openai_server import FakeOpenAI, ServerItem, ServerReply
from agent_sdk.testing.replay import assert_replays, replay_recorded
from agent_sdk.testing.scripted_model import Call, Scripted, ScriptedModel, ScriptExhausted, ScriptItem
from agent_sdk.testing.sim import (
    Fault,
    FaultKind,
    Faults,
    Latency,
    Sim,
    SimModel,
    SimPrice,
    SimReply,
    SimRequest,
    SimServer,
    constant,
    lognormal,
    uniform,
)
from agent_sdk.testing.virtual_time import CountingIds, Deadlock, SeededRandom, VirtualClock, VirtualTimeLoop, run_virtual

__all__ = [
    "Call",
    "Cassette",
    "CassetteMiss",
    "ChatReply",
    "ChatRequest",
    "CountingIds",
    "Deadlock",
    "Delivery",
    "FakeOpenAI",
    "Fault",
    "FaultKind",
    "Faults",
    "Latency",
    "RawReply",
    "ScriptExhausted",
    "ScriptItem",
    "Scripted",
    "ScriptedModel",
    "SeededRandom",
    "ServerItem",
    "ServerReply",
    "Sim",
    "SimModel",
    "SimPrice",
    "SimReply",
    "SimRequest",
    "SimServer",
    "VirtualClock",
    "VirtualTimeLoop",
    "assert_replays",
    "constant",
    "error_reply",
    "lognormal",
    "replay_recorded",
    "run_virtual",
    "uniform",
]
