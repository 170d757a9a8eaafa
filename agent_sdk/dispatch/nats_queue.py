"""Tickets in a NATS JetStream work queue: put, drawn by lane, and held until they are acknowledged. What they mean is not known here."""

import asyncio
import contextlib
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count

from nats import errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig, RetentionPolicy, StorageType, StreamConfig
from nats.js.errors import BadRequestError, NoStreamResponseError, NotFoundError
from nats.js.manager import JetStreamManager
from pydantic import ValidationError

from agent_sdk.core.codec import dump, load
from agent_sdk.core.errors import ConfigError
from agent_sdk.core.ids import RunId, TenantId
from agent_sdk.core.ports import Clock, Ticket
from agent_sdk.dispatch.lanes import Lane
from agent_sdk.dispatch.nats_link import NatsOptions, connect, disconnect, subscribe

OFFER_S = 1.0
"""How long an offer may wait for its acknowledgement, each of the two times that it is sent."""
PULL_S = 30.0
"""How long a request for tickets stands at the server."""
HEARTBEAT_S = 2.0
"""The server says so often that a request still stands; where nothing was heard for twice as long, it stands no more."""
IDLE_LANE_S = 7 * 86_400.0
"""The server forgets a lane's consumer that nobody has used for so long; its tickets stay."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """A ticket that this process holds until it says otherwise, or until the server's patience ends.

    What cannot be said is passed over: the ticket comes again then.
    """

    ticket: Ticket
    message: Msg

    @property
    def key(self) -> tuple[TenantId, RunId]:
        return self.ticket.tenant, self.ticket.run_id

    async def keep(self) -> None:
        with contextlib.suppress(errors.Error):
            await self.message.in_progress()

    async def drop(self) -> None:
        """Acknowledge it: it never comes again."""
        with contextlib.suppress(errors.Error):
            await self.message.ack()

    async def give_back(self, *, delay_s: float = 0.0) -> None:
        """Let it come again to whoever asks then."""
        with contextlib.suppress(errors.Error):
            await self.message.nak(delay_s)


@dataclass(slots=True)
class _Pull:
    """A request for tickets that stands at the server: for how many still, until when, and when it was last heard of."""

    number: int
    asked: int = 0
    until: float = 0.0
    heard_at: float = 0.0


@dataclass(slots=True, eq=False)
class _Taker:
    lanes: frozenset[Lane]
    room: int
    drawn: list[Drawn] = field(default_factory=list[Drawn])
    news: asyncio.Event = field(default_factory=asyncio.Event)


class TicketQueue:
    """A work queue of tickets. At most one request a lane stands at the server, and a ticket that nobody waits for goes back at once."""

    def __init__(self, options: NatsOptions, clock: Clock) -> None:
        self._options = options
        self._clock = clock
        self._client = Client()
        self._numbers = count(1)
        self._pulls: dict[Lane, _Pull] = {}
        self._takers: list[_Taker] = []
        self._inbox = ""

    @classmethod
    async def open(cls, options: NatsOptions, clock: Clock) -> "TicketQueue":
        """Connect, and make the stream if there is none.

        Raises:
            ConfigError: no server answers, it has no JetStream, or the stream cannot be as the options say.
        """
        queue = cls(options, clock)
        queue._client = await connect(options, on_reconnect=queue._forget_pulls)
        try:
            await queue._make_stream()
            queue._inbox = queue._client.new_inbox()
            await subscribe(queue._client, f"{queue._inbox}.*", queue._arrived)
        except (errors.Error, TimeoutError) as error:
            await queue._client.close()
            raise ConfigError(
                f"the NATS server cannot keep the stream {options.name!r}: {error}",
                hint="start it with JetStream (`nats-server -js`), with as many servers as the stream has replicas",
            ) from error
        return queue

    async def put(self, ticket: Ticket) -> bool:
        """Queue the ticket, and say whether the server has it. It is sent again under the same id where no answer comes."""
        identity = f"{self._inbox}.{next(self._numbers)}"
        for _ in range(2):
            if not self._client.is_connected:
                return False
            with contextlib.suppress(errors.Error, TimeoutError):
                return await self._publish(ticket, identity)
        return False

    async def seen(self) -> list[Lane]:
        """Return the lanes that hold tickets; none where the server does not say."""
        with contextlib.suppress(errors.Error, TimeoutError):
            info = await JetStreamManager(self._client).stream_info(self._options.name, subjects_filter=f"{self._options.name}.run.>")
            found = (Lane.parse(subject) for subject in info.state.subjects or ())
            return [lane for lane in found if lane is not None]
        return []

    async def draw(self, lanes: Sequence[Lane], limit: int, *, ack_wait_s: float, wait_s: float) -> list[Drawn]:
        """Return up to `limit` tickets of these lanes, waiting for the first; a cancelled call holds none.

        A ticket that is neither kept nor dropped for `ack_wait_s` comes again, to this process or another.
        """
        taker = _Taker(frozenset(lanes), limit)
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._wait(taker, lanes, ack_wait_s)
        except asyncio.CancelledError:
            for drawn in taker.drawn:
                await drawn.give_back()
            raise
        return taker.drawn

    @property
    def is_up(self) -> bool:
        return self._client.is_connected

    async def close(self) -> None:
        """Send what is to be sent, and disconnect; what still arrives goes back."""
        try:
            await self._client.drain()
        except (errors.Error, OSError):
            await disconnect(self._client)

    async def _publish(self, ticket: Ticket, identity: str) -> bool:
        subject = f"{self._options.name}.run.{Lane.of(ticket).words}"
        stream = JetStreamContext(self._client, timeout=OFFER_S)
        try:
            await stream.publish(subject, dump(ticket), headers={"Nats-Msg-Id": identity})
        except NoStreamResponseError:
            await self._make_stream()
            await stream.publish(subject, dump(ticket), headers={"Nats-Msg-Id": identity})
        return True

    async def _make_stream(self) -> None:
        """Make the stream, or change the one there is to what the options say; a new one has no consumers yet."""
        self._pulls.clear()
        config = StreamConfig(
            name=self._options.name,
            subjects=[f"{self._options.name}.run.>"],
            retention=RetentionPolicy.WORK_QUEUE,
            storage=StorageType.FILE,
            num_replicas=self._options.replicas,
            max_age=self._options.max_age_s,
            duplicate_window=min(self._options.dedupe_s, self._options.max_age_s),
        )
        manager = JetStreamManager(self._client)
        try:
            await manager.add_stream(config)  # pyright: ignore[reportUnknownMemberType] (the library leaves a part of its signature open)
        except BadRequestError:
            await manager.update_stream(config)  # pyright: ignore[reportUnknownMemberType] (the library leaves a part of its signature open)

    async def _wait(self, taker: _Taker, lanes: Sequence[Lane], ack_wait_s: float) -> None:
        self._takers.append(taker)
        try:
            for lane in lanes if self.is_up else ():
                await self._ask(lane, max(1, taker.room // len(lanes)), ack_wait_s)
            await taker.news.wait()
        finally:
            self._takers.remove(taker)

    async def _ask(self, lane: Lane, batch: int, ack_wait_s: float) -> None:
        """Let a request for the lane's tickets stand at the server, unless one does; one that cannot be made is made the next time."""
        try:
            pull, now = self._pulls.get(lane), self._clock.monotonic()
            if pull is None or (pull.asked > 0 and now > pull.heard_at + 2 * HEARTBEAT_S):
                pull = await self._make_consumer(lane, ack_wait_s)
            if pull.asked > 0 and now < pull.until - HEARTBEAT_S:
                return
            request = json.dumps({"batch": batch, "expires": int(PULL_S * 1e9), "idle_heartbeat": int(HEARTBEAT_S * 1e9)}).encode()
            subject = f"$JS.API.CONSUMER.MSG.NEXT.{self._options.name}.{lane.name}"
            await self._client.publish(subject, request, reply=f"{self._inbox}.{pull.number}")
            pull.asked, pull.until, pull.heard_at = batch, now + PULL_S, now
        except NotFoundError:
            with contextlib.suppress(errors.Error):
                await self._make_stream()
        except errors.Error as error:
            _log.debug("no tickets of lane %s can be asked for: %s", lane.name, error)

    async def _make_consumer(self, lane: Lane, ack_wait_s: float) -> _Pull:
        config = ConsumerConfig(
            durable_name=lane.name,
            filter_subject=f"{self._options.name}.run.{lane.words}",
            ack_wait=ack_wait_s,
            max_ack_pending=-1,
            max_waiting=4096,
            inactive_threshold=IDLE_LANE_S,
        )
        manager = JetStreamManager(self._client, timeout=OFFER_S)
        await manager.add_consumer(self._options.name, config)  # pyright: ignore[reportUnknownMemberType] (the library leaves a part of its signature open)
        self._pulls[lane] = _Pull(next(self._numbers))
        return self._pulls[lane]

    async def _arrived(self, message: Msg) -> None:
        """Hand a ticket to whoever waits for one of its lane; else, give it back."""
        if message.headers is not None and "Status" in message.headers:
            self._told(message.subject.rpartition(".")[2], message.headers["Status"], message.headers.get("Description", ""))
            return
        lane, drawn = Lane.parse(message.subject), await _parsed(message)
        if lane in self._pulls:
            self._pulls[lane].asked -= 1
            self._pulls[lane].heard_at = self._clock.monotonic()
        if drawn is None:
            return
        for taker in self._takers:
            if lane in taker.lanes and len(taker.drawn) < taker.room:
                taker.drawn.append(drawn)
                taker.news.set()
                return
        await drawn.give_back()

    def _told(self, number: str, status: str, said: str) -> None:
        """Note a heartbeat, or that a request stands no more; where its consumer is gone, that is made anew."""
        for lane, pull in list(self._pulls.items()):
            if str(pull.number) == number:
                pull.heard_at = self._clock.monotonic()
                pull.asked = pull.asked if status == "100" else 0
                if status == "503" or "Deleted" in said:
                    del self._pulls[lane]

    def _forget_pulls(self) -> None:
        """Take it that nothing stands at a server one has just connected to."""
        self._pulls.clear()


async def _parsed(message: Msg) -> Drawn | None:
    try:
        return Drawn(load(Ticket, message.data), message)
    except ValidationError:
        _log.warning("dropped a ticket that this version cannot read, of subject %s", message.subject)
        with contextlib.suppress(errors.Error):
            await message.term()
        return None
