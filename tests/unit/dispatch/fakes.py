"""A hub in memory, whose wires lose nothing unless they are told to."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from agent_sdk.core.errors import OutsideError
from agent_sdk.dispatch.wire import Arrived


@dataclass(eq=False)
class Hub:
    wires: list["HubWire"] = field(default_factory=list["HubWire"])

    def wire(self) -> "HubWire":
        made = HubWire(self)
        self.wires.append(made)
        return made


@dataclass(eq=False)
class HubWire:
    """One process's end of the hub; while it `is_down`, it refuses all."""

    hub: Hub
    pause_s: float = 0.005
    is_down: bool = False
    is_closed: bool = False
    sent: list[tuple[str, bytes]] = field(default_factory=list[tuple[str, bytes]])
    listeners: dict[str, Arrived] = field(default_factory=dict[str, Arrived])

    async def send(self, messages: Sequence[tuple[str, bytes]]) -> None:
        self._require_up()
        self.sent += messages
        for wire in self.hub.wires:
            for topic, data in messages if wire is not self else ():
                if (arrived := wire.listeners.get(topic)) is not None:
                    arrived(topic, data)
        await asyncio.sleep(0)

    async def listen(self, topic: str, arrived: Arrived) -> None:
        self._require_up()
        self.listeners[topic] = arrived

    async def ignore(self, topic: str) -> None:
        self._require_up()
        self.listeners.pop(topic, None)

    async def close(self) -> None:
        self.is_closed = True
        self.listeners.clear()

    def _require_up(self) -> None:
        if self.is_down:
            raise OutsideError("the hub is down")
