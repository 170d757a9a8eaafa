"""Journals: where the facts of runs are kept. Each is loaded by the URL that asks for it."""

from agent_sdk.storage.chain import verify_chain
from agent_sdk.storage.open import open_journal

__all__ = ["open_journal", "verify_chain"]
