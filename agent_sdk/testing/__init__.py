"""What tests, benchmarks and the demo play the world with."""

from agent_sdk.testing.scripted_model import Call, Scripted, ScriptedModel, ScriptExhausted, ScriptItem

__all__ = ["Call", "ScriptExhausted", "ScriptItem", "Scripted", "ScriptedModel"]
