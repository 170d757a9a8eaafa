"""What all sides do: so many calls of a conversation that grows by a reply and a tool's result each."""

from typing import Protocol

KEY = "sk-bench"
INSTRUCTIONS = "You find things."
MAX_TOKENS = 1000


class Talk(Protocol):
    async def __call__(self, turns: int, *, is_stream: bool) -> None: ...
