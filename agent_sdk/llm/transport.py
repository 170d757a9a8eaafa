"""Questions over one pooled session: how bytes travel and how long that may take. What they say is known by each vendor's protocol."""

import asyncio
from collections.abc import AsyncGenerator, Coroutine, Mapping, Sequence
from dataclasses import replace
from io import BytesIO
from typing import Protocol, cast, runtime_checkable

import aiohttp

from agent_sdk.core.errors import AgentSDKError, AuthFailed, BadRequest, ModelError, ReplyInvalid, Unavailable
from agent_sdk.core.frozen import frozen
from agent_sdk.core.model import Delta, ModelReply, ModelRequest, ReplyDone
from agent_sdk.core.usage import Usage
from agent_sdk.llm.options import HttpRequest, Sign, VendorOptions
from agent_sdk.llm.patience import Patience
from agent_sdk.llm.sse import EventBytes
from agent_sdk.llm.vendor_errors import PROXY_HINT, CertificateRefused, ErrorTable, not_the_protocol, refusal

_MAX_ERROR_BYTES = 64 * 1024
_LARGE_BYTES = 1024 * 1024
"""From here on aiohttp wants a stream, which it sends piece by piece, so that other questions go on meanwhile."""
_GRACE_S = 0.1
"""How long a server that has said all may take to end its reply, so that the connection can be used again."""


class Assembly(Protocol):
    """Puts one reply together out of its pieces; a reply that does not stream is one piece."""

    @property
    def is_done(self) -> bool:
        """Whether the stream's own end was read; what follows is of no interest."""
        ...

    @property
    def is_complete(self) -> bool:
        """Whether all has come that a reply needs, so that a stream that ends here broke nothing off."""
        ...

    def add(self, data: bytes) -> Sequence[Delta]:
        """Take the data of an event, or a whole reply, and return what is new in it.

        Raises:
            ReplyInvalid: it is not of the protocol.
            ModelError: it is an error.
        """
        ...

    def reply(self) -> ModelReply:
        """Return the whole reply.

        Raises:
            ReplyInvalid: nothing came that could be one.
        """
        ...


@runtime_checkable
class Metered(Protocol):
    """An assembly that learns before its end what the reply costs: a stream that breaks off was used all the same."""

    @property
    def used(self) -> Usage | None:
        """What is known to have been used so far, None where nothing is."""
        ...


@frozen
class Outgoing:
    """A question as the protocol writes it: a path below the vendor's address, and its body."""

    path: str
    body: bytes
    headers: Mapping[str, str] | None = None


class WireProtocol(Protocol):
    """What a vendor's bytes mean, both ways."""

    @property
    def errors(self) -> ErrorTable: ...

    def headers(self) -> Mapping[str, str]:
        """Return what every request carries beside its content type: who asks, and the protocol's version."""
        ...

    def outgoing(self, request: ModelRequest, *, is_stream: bool) -> Outgoing:
        """Return the question.

        Raises:
            BadRequest: the protocol cannot say it.
        """
        ...

    def assembly(self, request: ModelRequest, headers: Mapping[str, str]) -> Assembly:
        """Return what puts the reply together, of which the headers came."""
        ...

    def relents(self, request: ModelRequest, error: ModelError) -> bool:
        """Say whether the question can be put in another way that this refusal does not concern; from now on it is put so."""
        ...


class HttpModel:
    """A model behind one vendor's protocol, or any server that speaks it.

    Each event loop that asks has connections of its own, from its first question on, and closes them by `close`. A stream that is left
    early must be closed, as by `contextlib.aclosing`.
    """

    def __init__(self, options: VendorOptions, protocol: WireProtocol) -> None:
        self._options = options
        self._protocol = protocol
        self._place = options.place
        self._sessions: dict[asyncio.AbstractEventLoop, aiohttp.ClientSession] = {}
        self._headers: Mapping[str, str] = {}

    async def close(self) -> None:
        """Close all connections of this event loop; a later question opens new ones."""
        session = self._sessions.pop(asyncio.get_running_loop(), None)
        if session is not None:
            await session.close()

    async def complete(self, request: ModelRequest) -> ModelReply:
        body, response = await self._in_time(self._ask(request, is_stream=False))
        assembly = self._protocol.assembly(request, response.headers)
        try:
            assembly.add(body)
            return self._named(assembly.reply())
        except ModelError as error:
            _metered(error, assembly)
            raise

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Delta, None]:
        """Yield deltas as they come; no time limit runs while the caller has the floor."""
        patience = Patience(self._options.timeouts)
        assembly: Assembly | None = None
        try:
            async with asyncio.timeout_at(patience.deadline):
                response = await self._ask(request, is_stream=True)
            assembly = self._protocol.assembly(request, response.headers)
            incoming = Incoming(response, patience, self._options.max_reply_bytes)
            try:
                while not assembly.is_done and (events := await incoming.read()) is not None:
                    for event in events:
                        for delta in assembly.add(event):
                            yield delta
                if assembly.is_done:
                    await incoming.drain()
            finally:
                patience.close()
                response.release()
        except ModelError as error:
            _metered(error, assembly)
            raise
        except (aiohttp.ClientError, OSError) as error:
            if assembly is None or not assembly.is_complete:
                broken = self._broken(TimeoutError() if patience.is_over else error, patience.exceeded)
                raise _metered(broken, assembly) from _cause(error)
        else:
            if incoming.is_too_large:
                raise _metered(self._too_large(), assembly)
            if not (assembly.is_done or assembly.is_complete or incoming.is_whole):
                raise _metered(Unavailable(f"{self._place.url} ended its stream in the middle of the reply"), assembly)
        try:
            reply = self._named(assembly.reply())
        except ModelError as error:
            _metered(error, assembly)
            raise
        yield ReplyDone(reply)

    async def fetch(self, outgoing: Outgoing) -> bytes:
        """Return the whole answer to a question of another kind, such as one for a count of tokens.

        Raises:
            ModelError: there is none.
        """
        body, _ = await self._in_time(self._accepted(outgoing))
        return body

    def _named(self, reply: ModelReply) -> ModelReply:
        """Return the reply with the names that the server gave the model and the exchange, as they can be kept and shown."""
        model, request_id = self._place.clean(reply.model), reply.request_id and self._place.clean(reply.request_id)
        is_clean = model == reply.model and request_id == reply.request_id  # so that nothing is copied
        return reply if is_clean else replace(reply, model=model, request_id=request_id)

    async def _in_time(self, asking: Coroutine[object, object, aiohttp.ClientResponse]) -> tuple[bytes, aiohttp.ClientResponse]:
        total_s = self._options.timeouts.total_s
        try:
            async with asyncio.timeout(total_s):
                response = await asking
                try:
                    body = await read_body(response, self._options.max_reply_bytes)
                finally:
                    response.release()
        except (aiohttp.ClientError, OSError) as error:
            raise self._broken(error, f"gave no reply within {total_s:g} s") from _cause(error)
        if body is None:
            raise self._too_large()
        return body, response

    async def _ask(self, request: ModelRequest, *, is_stream: bool) -> aiohttp.ClientResponse:
        """Put the question, in another way where the server wants that, and return the beginning of a reply."""
        outgoing = self._protocol.outgoing(request, is_stream=is_stream)
        try:
            return await self._accepted(outgoing)
        except BadRequest as error:
            is_known = self._protocol.outgoing(request, is_stream=is_stream) != outgoing  # from a question that was asked meanwhile
            if not is_known and not self._protocol.relents(request, error):
                raise
        return await self._ask(request, is_stream=is_stream)

    async def _accepted(self, outgoing: Outgoing) -> aiohttp.ClientResponse:
        """Send the question and return the beginning of its answer; the status is 200."""
        response = await self._send(outgoing)
        if response.status == 200 and response.content_type != "text/html":
            return response
        raise await self._refused(response)

    async def _refused(self, response: aiohttp.ClientResponse) -> ModelError:
        """Return the error for what is no reply."""
        try:
            said = await read_body(response, _MAX_ERROR_BYTES) or b""
        finally:
            response.release()
        errors = self._protocol.errors
        if response.status == 200:
            return not_the_protocol("no model's reply", said, self._place, errors)
        return refusal(response.status, response.headers, said, self._place, errors)

    async def _send(self, outgoing: Outgoing) -> aiohttp.ClientResponse:
        session = self._sessions.get(asyncio.get_running_loop()) or self._open()
        headers = {**self._headers, **outgoing.headers} if outgoing.headers else self._headers
        request = HttpRequest(self._options.url(outgoing.path), headers, outgoing.body)
        if self._options.sign is not None:
            request = await self._signed(self._options.sign, request)
        data = request.body if len(request.body) < _LARGE_BYTES else BytesIO(request.body)
        try:
            return await session.post(request.url, data=data, headers=request.headers, allow_redirects=False)
        except aiohttp.ClientConnectionError:  # of which some are ValueErrors too
            raise
        except (aiohttp.NonHttpUrlClientError, ValueError) as error:
            raise self._unsigned(error) from None

    async def _signed(self, sign: Sign, request: HttpRequest) -> HttpRequest:
        try:
            signed = cast("object", await sign(request))
        except AgentSDKError:
            raise
        except Exception as error:  # noqa: BLE001  (a boundary to code that is not ours; it was handed the key, and may say it)
            raise self._unsigned(error) from None
        if not isinstance(signed, HttpRequest):
            raise self._unsigned(TypeError(f"it returned {type(signed).__name__}, and no HttpRequest"))
        return signed

    def _unsigned(self, error: Exception) -> Unavailable:
        said = self._place.clean(str(error))
        return Unavailable(
            f"the request to {self._place.url} could not be signed: {type(error).__name__}{f': {said}' if said else ''}",
            hint="look at the function that the option `sign` names",
        )

    def _open(self) -> aiohttp.ClientSession:
        self._headers = {
            "Content-Type": "application/json",
            "User-Agent": "agent-sdk",
            **self._protocol.headers(),
            **self._options.headers,
        }
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),  # how many questions are asked at once is bounded by who asks
            cookie_jar=aiohttp.DummyCookieJar(),
            proxy=self._options.proxy,
            timeout=aiohttp.ClientTimeout(connect=self._options.timeouts.connect_s),
        )
        for loop in tuple(self._sessions):
            if loop.is_closed() and (ended := self._sessions.pop(loop, None)) is not None:
                ended.detach()  # its connections ended with its loop, and nobody can close them any more
        self._sessions[asyncio.get_running_loop()] = session
        return session

    def _too_large(self) -> ReplyInvalid:
        return ReplyInvalid(f"{self._place.url} sent more than {self._options.max_reply_bytes:,} bytes")

    def _broken(self, error: Exception, too_slow: str) -> ModelError:
        place = self._place.url
        match error:
            case aiohttp.ClientConnectorCertificateError():
                return CertificateRefused(f"the certificate of {place} is not trusted: {error.certificate_error}")
            case aiohttp.ClientConnectorDNSError():
                return Unavailable(f"the host of {place} cannot be found", hint="check base_url and the network")
            case aiohttp.ConnectionTimeoutError():
                return Unavailable(f"no connection to {place} within {self._options.timeouts.connect_s:g} s")
            case aiohttp.ClientHttpProxyError(status=407):
                return AuthFailed(f"the proxy in front of {place} does not let us through (407)", hint=PROXY_HINT)
            case aiohttp.ClientProxyConnectionError() | aiohttp.ClientHttpProxyError():
                return Unavailable(f"the proxy in front of {place} cannot be used", hint="check the setting `proxy`, and that it runs")
            case aiohttp.ClientConnectorError():
                return Unavailable(f"cannot connect to {place}: {error.strerror}", hint="check base_url, and that the server runs")
            case aiohttp.ClientResponseError():
                return not_the_protocol("what is not HTTP", error.message.encode(), self._place, self._protocol.errors)
            case TimeoutError():
                return Unavailable(f"{place} {too_slow}")
            case _:
                return Unavailable(f"{place} closed the connection before the reply was complete")


class Incoming:
    """The events of a stream as they arrive; a reply that does not stream is one event."""

    def __init__(self, response: aiohttp.ClientResponse, patience: Patience, max_bytes: int) -> None:
        self._response = response
        self._content = response.content
        self._patience = patience
        self._max_bytes = max_bytes
        self._size = 0
        self._events = EventBytes()
        self.is_whole = False
        self.is_too_large = False

    async def read(self) -> list[bytes] | None:
        """Return the events that the next bytes complete, None at the end."""
        if self.is_whole:
            return None
        if self._response.content_type == "application/json":
            return await self._whole()
        data = self._content.read_nowait()
        if not data:
            self._patience.listen(self._response.close)
            data = await self._content.readany()
            self._patience.rest()
        self._size += len(data)
        self.is_too_large = self._size > self._max_bytes
        if not data or self.is_too_large:
            return None
        events = self._events.feed(data)
        if events:
            self._patience.has_begun = True
        return events

    async def drain(self) -> None:
        """Read to the end that must be near; else the connection is closed with the response."""
        try:
            async with asyncio.timeout(_GRACE_S):
                while not self._content.at_eof():
                    await self._content.readany()
        except (aiohttp.ClientError, OSError):
            self._response.close()

    async def _whole(self) -> list[bytes] | None:
        async with asyncio.timeout_at(self._patience.deadline):
            body = await read_body(self._response, self._max_bytes)
        self.is_whole, self.is_too_large = True, body is None
        return None if body is None else [body]


async def read_body(response: aiohttp.ClientResponse, max_bytes: int) -> bytes | None:
    """Return the whole body, None if it is larger than that; what is compressed counts by what it holds."""
    pieces: list[bytes] = []
    size = 0
    while piece := await response.content.readany():
        pieces.append(piece)
        if (size := size + len(piece)) > max_bytes:
            return None
    return b"".join(pieces)


def _metered(error: ModelError, assembly: object) -> ModelError:
    """Return the error with what the reply was billed for all the same."""
    if error.usage is None and isinstance(assembly, Metered):
        error.usage = assembly.used
    return error


def _cause(error: Exception) -> Exception | None:
    """Return the error as a cause to be shown; one that carries the request, and with it the key or the address's query, is not."""
    return None if isinstance(error, (aiohttp.ClientResponseError, aiohttp.ConnectionTimeoutError)) else error
