from agent_sdk.testing.chat_protocol import ChatReply, ChatRequest, Delivery, RawReply, error_reply
from agent_sdk.testing.openai_server import FakeOpenAI, ServerItem, ServerReply
from agent_sdk.testing.scripted_model import Call, Scripted, ScriptedModel, ScriptExhausted, ScriptItem

__all__ = [
    "Call",
    "ChatReply",
    "ChatRequest",
    "Delivery",
    "FakeOpenAI",
    "RawReply",
    "ScriptExhausted",
    "ScriptItem",
    "Scripted",
    "ScriptedModel",
    "ServerItem",
    "ServerReply",
    "error_reply",
]
