"""One exchange with a vendor's server, as the corpora list them: the answer byte for byte, and what our adapter and the SDK make of it."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TypeVar

from pydantic import JsonValue

from agent_sdk.core.errors import ModelError
from agent_sdk.core.ids import StepId
from agent_sdk.core.messages import Conversation, Part, user_message
from agent_sdk.core.model import ModelReply, ModelRequest, ReplyDone
from agent_sdk.core.ports import Model
from agent_sdk.core.usage import Usage
from agent_sdk.llm.sse import EventBytes
from agent_sdk.llm.transport import Assembly

T = TypeVar("T")
REQUEST = ModelRequest(StepId("t1"), "m", Conversation([user_message("Hi")]), "Be brief.")
EVENT_STREAM = "text/event-stream"


@dataclass(slots=True)
class Heard:
    """What a reply says, in neither's words: arguments are canonical JSON, or the text itself where they are none."""

    text: str = ""
    calls: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    usage: Usage = field(default_factory=Usage)
    stop: str = "end"
    model: str = ""


@dataclass(frozen=True, slots=True)
class Exchange:
    """A server's answer and how it is read.

    Where `error` is None both must hear the same reply. Else it is our error's class, and `their_error` the name of the SDK's. `differs`
    says why the SDK gives up or hears otherwise; what we hear is then held against `heard`. `parts`, where given, are those of our message.
    A question whose answer `is_stream` asks for one, whatever then comes.
    """

    name: str
    body: bytes
    error: type[ModelError] | None = None
    their_error: str = ""
    status: int = 200
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    request: ModelRequest = REQUEST
    differs: str | None = None
    heard: Heard | None = None
    parts: tuple[Part, ...] | None = None
    is_stream: bool = False

    def __str__(self) -> str:
        return self.name


def plain(name: str, body: JsonValue, **more: object) -> Exchange:
    """Return an exchange whose answer is one JSON document."""
    return Exchange(name, encoded(body), **more)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  (the fields of Exchange)


def streamed(name: str, body: bytes, **more: object) -> Exchange:
    """Return an exchange whose answer is a stream of events."""
    return Exchange(name, body, content_type=EVENT_STREAM, is_stream=True, **more)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  (the same)


def events(*values: JsonValue, is_named: bool = False) -> bytes:
    """Return server-sent events of these data; text stands as it is, and `is_named` names each event by its `type`."""
    return b"".join(_event(value, is_named=is_named) for value in values)


def _event(value: JsonValue, *, is_named: bool) -> bytes:
    if isinstance(value, str):
        return f"data: {value}\n\n".encode()
    name = f"event: {value['type']}\n".encode() if is_named and isinstance(value, dict) else b""
    return name + b"data: " + encoded(value) + b"\n\n"


def encoded(value: JsonValue) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def canonical(arguments: str) -> str:
    """Return arguments as both sides can be compared by them."""
    try:
        return json.dumps(json.loads(arguments), ensure_ascii=False, sort_keys=True)
    except ValueError:
        return arguments


def heard_by_us(reply: ModelReply) -> Heard:
    calls = [(call.tool, canonical(call.raw or "" if call.args is None else json.dumps(call.args))) for call in reply.message.tool_calls]
    return Heard(reply.message.text, calls, reply.usage, reply.stop, reply.model)


async def ask(model: Model, exchange: Exchange) -> ModelReply:
    """Put the exchange's question to one of our adapters, in the way that it is answered."""
    if not exchange.is_stream:
        return await model.complete(exchange.request)
    deltas = [delta async for delta in model.stream(exchange.request)]
    assert isinstance(deltas[-1], ReplyDone)
    return deltas[-1].reply


def read_in_pieces(assembly: Assembly, stream: bytes, cuts: Iterable[int]) -> ModelReply | type[ModelError]:
    """Return what the stream says when it arrives cut at these places: the reply, or the class of the error."""
    incoming = EventBytes()
    borders = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    try:
        for start, end in pairwise(borders):
            for event in incoming.feed(stream[start:end]):
                if not assembly.is_done:
                    assembly.add(event)
        return assembly.reply()
    except ModelError as error:
        return type(error)


@asynccontextmanager
async def serving(exchange: Exchange) -> AsyncGenerator[str]:
    """Answer every request on a loopback port with the exchange's bytes; yield `http://host:port`."""
    async with serving_by(lambda _path, _body: exchange) as url:
        yield url


@asynccontextmanager
async def serving_by(choose: Callable[[str, bytes], Exchange]) -> AsyncGenerator[str]:
    """Answer each request with the exchange that is chosen by its path and body."""
    writers: list[asyncio.StreamWriter] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.decode("latin-1").split("\r\n")
                named = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
                body = await reader.readexactly(int(named.get("content-length", "0")))
                writer.write(_response(choose(lines[0].split(" ")[1], body)))
        except (ConnectionError, asyncio.IncompleteReadError):
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        for writer in writers:
            writer.transport.abort()
        await asyncio.sleep(0)


def _response(exchange: Exchange) -> bytes:
    headers = {"Content-Type": exchange.content_type, "Content-Length": str(len(exchange.body)), **exchange.headers}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {exchange.status} X\r\n{lines}\r\n".encode() + exchange.body


def judge(exchange: Exchange, ours: ModelReply | Exception, theirs: Heard | Exception) -> None:
    """Hold what our adapter made of an exchange against what the vendor's SDK did, or against what the exchange says where that differs."""
    if exchange.error is not None:
        assert type(ours) is exchange.error, ours
        assert type(theirs).__name__ == exchange.their_error or (exchange.differs and not exchange.their_error), theirs
        return
    assert isinstance(ours, ModelReply), ours
    assert heard_by_us(ours) == (theirs if exchange.differs is None else exchange.heard)
    assert exchange.parts is None or ours.message.parts == exchange.parts


async def outcome(asking: Coroutine[object, object, T]) -> T | Exception:
    """Return what comes of it, be it an error."""
    try:
        return await asking
    except Exception as error:  # noqa: BLE001 - the oracle's errors are compared by name, whatever they are
        return error
