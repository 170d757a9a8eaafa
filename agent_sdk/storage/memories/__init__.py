"""Memories: where long-term memory is kept. SQLite and Postgres are loaded by the URL that asks for them."""

from agent_sdk.storage.memories.kept import KeptMemory
from agent_sdk.storage.memories.open import open_memory_rows
from agent_sdk.storage.memories.rows import MemoryRows

__all__ = ["KeptMemory", "MemoryRows", "open_memory_rows"]
