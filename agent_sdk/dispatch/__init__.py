from agent_sdk.dispatch.giveback import give_back
from agent_sdk.dispatch.journal import JournalDispatcher
from agent_sdk.dispatch.open import open_dispatcher

__all__ = ["JournalDispatcher", "give_back", "open_dispatcher"]
