"""What a token line goes over: small messages by topic, between the processes that listen to one server."""

from collections.abc import Callable, Sequence
from typing import Protocol

Arrived = Callable[[str, bytes], None]
"""Takes a message and its topic; it neither waits nor raises."""


class Wire(Protocol):
    """Carries messages, which may be lost but not altered, in the order of each sender; nothing comes back to its own sender.

    Topics are words of letters, digits and `_`, of 40 characters at most. After an interruption the wire listens on by itself.
    """

    @property
    def pause_s(self) -> float:
        """How long to gather before sending, so that many messages go together."""
        ...

    async def send(self, messages: Sequence[tuple[str, bytes]]) -> None:
        """Send all of these (topic, data).

        Raises:
            OutsideError: the wire is down; how much of it was sent is not known.
        """
        ...

    async def listen(self, topic: str, arrived: Arrived) -> None:
        """Have `arrived` called with each message of the topic from now on.

        Raises:
            OutsideError: the wire is down.
        """
        ...

    async def ignore(self, topic: str) -> None:
        """Listen no more.

        Raises:
            OutsideError: the wire is down.
        """
        ...

    async def close(self) -> None: ...
