from agent_sdk.testing.chat_protocol import ChatReply, ChatRequest, Delivery, RawReply, error_reply
from agent_sdk.testing.openai_server import FakeOpenAI, ServerItem, ServerReply
from agent_sdk.testing.replay import assert_replays, replay_recorded
from agent_sdk.testing.scripted_model import Call, Scripted, ScriptedModel, ScriptExhausted, ScriptItem
from agent_sdk.testing.virtual_time import CountingIds, Deadlock, SeededRandom, VirtualClock, VirtualTimeLoop, run_virtual

__all__ = [
    "Call",
    "ChatReply",
    "ChatRequest",
    "CountingIds",
    "Deadlock",
    "Delivery",
    "FakeOpenAI",
    "RawReply",
    "ScriptExhausted",
    "ScriptItem",
    "Scripted",
    "ScriptedModel",
    "SeededRandom",
    "ServerItem",
    "ServerReply",
    "VirtualClock",
    "VirtualTimeLoop",
    "assert_replays",
    "error_reply",
    "replay_recorded",
    "run_virtual",
]
