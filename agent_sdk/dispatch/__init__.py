from agent_sdk.dispatch.giveback import give_back
from agent_sdk.dispatch.journal import JournalDispatcher
from agent_sdk.dispatch.open import open_dispatcher, open_token_line
from agent_sdk.dispatch.wire import Wire

__all__ = ["JournalDispatcher", "Wire", "give_back", "open_dispatcher", "open_token_line"]
