"""A server on the loopback that speaks OpenAI's Chat Completions, plain and streamed, and fails on request."""

import asyncio
import gzip
import json
from collections.abc import Callable, Iterable, Iterator, Mapping

from aiohttp import web
from pydantic import BaseModel, JsonValue

from agent_sdk.testing.chat_protocol import (
    ChatReply,
    ChatRequest,
    Delivery,
    Malformed,
    RawReply,
    error_reply,
    parse_request,
    write_events,
    write_whole,
)
from agent_sdk.testing.loopback import LoopbackServer
from agent_sdk.testing.scripted_model import Call

ServerReply = str | Call | list[Call] | Mapping[str, JsonValue] | BaseModel | ChatReply | RawReply
"""A text, calls, a structured output, a whole reply, or any HTTP response."""

ServerItem = ServerReply | Callable[[ChatRequest], ServerReply]


class FakeOpenAI(LoopbackServer):
    """Answers requests from `script`: one item each in order, or whatever a function of the request returns.

    Use it as an async context manager, or by `start_in_thread` from synchronous code. What is malformed gets the vendor's 400 and takes no
    item; with `api_key`, any other key gets its 401. `requests` and `keys` hold what was asked and with which key, `peers` the ends of the
    connections that were used; `hung_up` counts clients that left early.
    """

    def __init__(self, script: Callable[[ChatRequest], ServerReply] | Iterable[ServerItem], *, api_key: str | None = None) -> None:
        super().__init__()
        self._respond = script if callable(script) else _in_order(script)
        self._api_key = api_key
        self.requests: list[ChatRequest] = []
        self.keys: list[str | None] = []
        self.peers: set[object] = set()
        self.hung_up = 0

    @property
    def base_url(self) -> str:
        """The address as OpenAI's clients want it."""
        return f"{self.url}/v1"

    def routes(self, app: web.Application) -> None:
        app.router.add_post("/v1/chat/completions", self._chat)

    async def _chat(self, http: web.Request) -> web.StreamResponse:
        self.keys.append(http.headers.get("Authorization", "").removeprefix("Bearer ") or None)
        self.peers.add(http.get_extra_info("peername"))
        body = await http.read()
        try:
            request = parse_request(body)
        except Malformed as problem:
            return await self._send(http, error_reply(400, str(problem), code="invalid_value"))
        self.requests.append(request)
        if self._api_key is not None and self.keys[-1] != self._api_key:
            return await self._send(http, error_reply(401, f"Incorrect API key provided: {self.keys[-1]}", code="invalid_api_key"))
        match _reply(self._respond(request)):
            case RawReply() as raw:
                return await self._send(http, raw)
            case reply if request.stream:
                events = write_events(reply, request, len(self.requests))
                raw = RawReply(b"".join(events), content_type="text/event-stream", delivery=reply.delivery)
                return await self._send(http, raw, events)
            case reply:
                return await self._send(http, RawReply(write_whole(reply, request, len(self.requests)), delivery=reply.delivery))

    async def _send(self, http: web.Request, raw: RawReply, pieces: list[bytes] | None = None) -> web.StreamResponse:
        headers = {"x-request-id": f"req_{len(self.requests)}", "Content-Type": raw.content_type, **raw.headers}
        delivery = raw.delivery
        body = raw.body
        if delivery.is_gzip:
            body, pieces = gzip.compress(body), None
            headers["Content-Encoding"] = "gzip"
        if delivery == Delivery() and pieces is None:
            return web.Response(body=body, status=raw.status, headers=headers)
        response = web.StreamResponse(status=raw.status, headers=headers)
        await response.prepare(http)
        try:
            await self._deliver(http, response, pieces if pieces is not None and delivery == Delivery() else _cut(body, delivery))
        except (asyncio.CancelledError, ConnectionError):
            self.hung_up += 1
            raise
        return response

    async def _deliver(self, http: web.Request, response: web.StreamResponse, pieces: Iterable[bytes | None]) -> None:
        for piece in pieces:
            if piece is None:
                await asyncio.Event().wait()  # a stall: it ends when the client hangs up
            elif piece:
                await response.write(piece)
                await asyncio.sleep(0)
            elif http.transport is not None:
                http.transport.close()
                return
        await response.write_eof()


def _cut(body: bytes, delivery: Delivery) -> Iterator[bytes | None]:
    """Yield the body in pieces; an empty one means that the connection breaks, None that nothing more comes."""
    stop = delivery.closes_after if delivery.closes_after is not None else delivery.stalls_after
    sent = body if stop is None else body[:stop]
    size = delivery.piece_bytes or max(1, len(sent))
    yield from (sent[start : start + size] for start in range(0, len(sent), size))
    if delivery.closes_after is not None:
        yield b""
    elif delivery.stalls_after is not None:
        yield None


def _in_order(script: Iterable[ServerItem]) -> Callable[[ChatRequest], ServerReply]:
    items = iter(script)

    def respond(request: ChatRequest) -> ServerReply:
        item = next(items, None)
        if item is None:
            return error_reply(400, "the script of this simulated model has no more answers", code="script_exhausted")
        return item(request) if not isinstance(item, BaseModel) and callable(item) else item

    return respond


def _reply(item: ServerReply) -> ChatReply | RawReply:
    match item:
        case ChatReply() | RawReply():
            return item
        case str():
            return ChatReply(item)
        case Call():
            return ChatReply(calls=(item,))
        case list():
            return ChatReply(calls=tuple(item))
        case BaseModel():
            return ChatReply(item.model_dump_json())
        case _:
            return ChatReply(json.dumps(item, ensure_ascii=False))
