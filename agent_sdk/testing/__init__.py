"""What tests of agents need: models that say what a test wants, servers that speak as vendors do, recordings, virtual time.

Names load at first use, so that a test with a scripted model loads no server.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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

_PLACES = {
    "Call": "agent_sdk.testing.scripted_model",
    "Cassette": "agent_sdk.testing.cassette",
    "CassetteMiss": "agent_sdk.testing.cassette_file",
    "ChatReply": "agent_sdk.testing.chat_protocol",
    "ChatRequest": "agent_sdk.testing.chat_protocol",
    "CountingIds": "agent_sdk.testing.virtual_time",
    "Deadlock": "agent_sdk.testing.virtual_time",
    "Delivery": "agent_sdk.testing.chat_protocol",
    "FakeOpenAI": "agent_sdk.testing.openai_server",
    "Fault": "agent_sdk.testing.sim",
    "FaultKind": "agent_sdk.testing.sim",
    "Faults": "agent_sdk.testing.sim",
    "Latency": "agent_sdk.testing.sim",
    "RawReply": "agent_sdk.testing.chat_protocol",
    "ScriptExhausted": "agent_sdk.testing.scripted_model",
    "ScriptItem": "agent_sdk.testing.scripted_model",
    "Scripted": "agent_sdk.testing.scripted_model",
    "ScriptedModel": "agent_sdk.testing.scripted_model",
    "SeededRandom": "agent_sdk.testing.virtual_time",
    "ServerItem": "agent_sdk.testing.openai_server",
    "ServerReply": "agent_sdk.testing.openai_server",
    "Sim": "agent_sdk.testing.sim",
    "SimModel": "agent_sdk.testing.sim",
    "SimPrice": "agent_sdk.testing.sim",
    "SimReply": "agent_sdk.testing.sim",
    "SimRequest": "agent_sdk.testing.sim",
    "SimServer": "agent_sdk.testing.sim",
    "VirtualClock": "agent_sdk.testing.virtual_time",
    "VirtualTimeLoop": "agent_sdk.testing.virtual_time",
    "assert_replays": "agent_sdk.testing.replay",
    "constant": "agent_sdk.testing.sim",
    "error_reply": "agent_sdk.testing.chat_protocol",
    "lognormal": "agent_sdk.testing.sim",
    "replay_recorded": "agent_sdk.testing.replay",
    "run_virtual": "agent_sdk.testing.virtual_time",
    "uniform": "agent_sdk.testing.sim",
}


def __getattr__(name: str) -> object:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(_PLACES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
