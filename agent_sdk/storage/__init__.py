"""Journals: where the facts of runs are kept. SQLite is loaded by the URL that asks for it."""

from agent_sdk.storage.chain import verify_chain
from agent_sdk.storage.memory import MemoryJournal
from agent_sdk.storage.open import open_journal

__all__ = ["MemoryJournal", "open_journal", "verify_chain"]
