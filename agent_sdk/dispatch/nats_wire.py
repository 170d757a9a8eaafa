"""The wire over core NATS: no stream, no storage; what nobody listens to is gone."""

from collections.abc import Sequence

from nats import errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from agent_sdk.core.errors import OutsideError
from agent_sdk.dispatch.nats_link import NatsOptions, connect, disconnect, subscribe
from agent_sdk.dispatch.wire import Arrived

PAUSE_S = 0.005


class NatsWire:
    """A connection of its own, to which nothing comes back. A message over the server's limit (1 MB, as it comes) is dropped."""

    pause_s = PAUSE_S

    def __init__(self, client: Client, name: str) -> None:
        self._client = client
        self._name = name
        self._subscriptions: dict[str, Subscription] = {}

    @classmethod
    async def open(cls, options: NatsOptions) -> "NatsWire":
        """Connect.

        Raises:
            ConfigError: no server answers, or it refuses the credentials.
        """
        return cls(await connect(options, echoes=False), options.name)

    async def send(self, messages: Sequence[tuple[str, bytes]]) -> None:
        if not self._client.is_connected:
            raise OutsideError("there is no connection to NATS")
        try:
            for topic, data in messages:
                if len(data) <= self._client.max_payload:
                    await self._client.publish(f"{self._name}.line.{topic}", data)
        except errors.Error as error:
            raise OutsideError(f"NATS did not take a message: {error}") from error

    async def listen(self, topic: str, arrived: Arrived) -> None:
        async def hand_on(message: Msg) -> None:
            arrived(topic, message.data)

        try:
            self._subscriptions[topic] = await subscribe(self._client, f"{self._name}.line.{topic}", hand_on)
        except errors.Error as error:
            raise OutsideError(f"NATS cannot be listened to: {error}") from error

    async def ignore(self, topic: str) -> None:
        subscription = self._subscriptions.pop(topic, None)
        if subscription is not None:
            try:
                await subscription.unsubscribe()
            except errors.Error as error:
                raise OutsideError(f"NATS did not end a subscription: {error}") from error

    async def close(self) -> None:
        await disconnect(self._client)
