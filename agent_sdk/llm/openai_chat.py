"""OpenAI's Chat Completions over one pooled session: how bytes travel and how long that may take; what they say is known elsewhere."""

import asyncio
import re
from collections.abc import AsyncGenerator, Callable
from io import BytesIO

import aiohttp

from agent_sdk.core.errors import BadRequest, ModelError, ReplyInvalid, Unavailable
from agent_sdk.core.model import Delta, ModelReply, ModelRequest, ReplyDone
from agent_sdk.llm.openai_reply import ReplyAssembly
from agent_sdk.llm.openai_request import RequestWriter
from agent_sdk.llm.options import OpenAIOptions, Timeouts
from agent_sdk.llm.sse import EventBytes
from agent_sdk.llm.vendor_errors import CertificateRefused, Place, not_the_protocol, refusal

_DONE = b"[DONE]"
_MAX_ERROR_BYTES = 64 * 1024
_LARGE_BYTES = 1024 * 1024
"""From here on aiohttp wants a stream, which it sends piece by piece, so that other questions go on meanwhile."""
_GRACE_S = 0.1
"""How long a server that has said all may take to end its reply, so that the connection can be used again."""
_ABOUT_SCHEMA = re.compile(r"response_format|schema|structured output", re.IGNORECASE)


class OpenAIChat:
    """A model behind OpenAI's Chat Completions, or any server that speaks them.

    The session opens with the first question, belongs to the event loop that asked it, and is closed by `close`. A stream that is left
    early must be closed, as by `contextlib.aclosing`. A server that refuses JSON schemas gets them in the instructions from then on.
    """

    def __init__(self, options: OpenAIOptions) -> None:
        self._options = options
        self._url = options.base_url.rstrip("/") + "/chat/completions"
        self._place = Place(options.place, options.api_key)
        self._writer = RequestWriter("max_completion_tokens" if options.is_openai else "max_tokens")
        self._without_schema: set[str] = set()
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close all connections; a later question opens new ones."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def complete(self, request: ModelRequest) -> ModelReply:
        total_s = self._options.timeouts.total_s
        try:
            async with asyncio.timeout(total_s):
                response = await self._ask(request, is_stream=False)
                try:
                    body = await read_body(response, self._options.max_reply_bytes)
                finally:
                    response.release()
        except (aiohttp.ClientError, OSError) as error:
            raise self._broken(error, f"gave no reply within {total_s:g} s") from _cause(error)
        if body is None:
            raise self._too_large()
        assembly = self._assembly(request, response)
        assembly.add(body)
        return assembly.reply()

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Delta, None]:
        """Yield deltas as they come; no time limit runs while the caller has the floor."""
        patience = Patience(self._options.timeouts)
        assembly: ReplyAssembly | None = None
        try:
            async with asyncio.timeout_at(patience.deadline):
                response = await self._ask(request, is_stream=True)
            assembly = self._assembly(request, response)
            incoming = Incoming(response, patience, self._options.max_reply_bytes)
            try:
                while (events := await incoming.read()) is not None:
                    for event in events:
                        for delta in assembly.add(event):
                            yield delta
            finally:
                patience.close()
                response.release()
        except (aiohttp.ClientError, OSError) as error:
            if assembly is None or assembly.finish_reason is None:
                raise self._broken(TimeoutError() if patience.is_over else error, patience.exceeded) from _cause(error)
        else:
            if incoming.is_too_large:
                raise self._too_large()
            if not incoming.is_done and assembly.finish_reason is None:
                raise Unavailable(f"{self._place.url} ended its stream in the middle of the reply")
        yield ReplyDone(assembly.reply())

    async def _ask(self, request: ModelRequest, *, is_stream: bool) -> aiohttp.ClientResponse:
        """Send the question and return the beginning of a reply; its status is 200."""
        has_schema = request.model not in self._without_schema
        body = self._writer.body(request, is_stream=is_stream, has_schema=has_schema)
        session = self._session or self._open()
        data = body if len(body) < _LARGE_BYTES else BytesIO(body)
        response = await session.post(self._url, data=data, allow_redirects=False)
        if response.status == 200 and response.content_type != "text/html":
            return response
        try:
            said = await read_body(response, _MAX_ERROR_BYTES) or b""
        finally:
            response.release()
        if response.status == 200:
            raise not_the_protocol("no model's reply", said, self._place)
        error = refusal(response.status, response.headers, said, self._place)
        if request.output_schema is None or not has_schema or not (isinstance(error, BadRequest) and _ABOUT_SCHEMA.search(error.message)):
            raise error
        self._without_schema.add(request.model)
        return await self._ask(request, is_stream=is_stream)

    def _open(self) -> aiohttp.ClientSession:
        headers = {"Content-Type": "application/json", "User-Agent": "agent-sdk"}
        if self._options.api_key is not None:
            headers["Authorization"] = f"Bearer {self._options.api_key}"
        if self._options.organization is not None:
            headers["OpenAI-Organization"] = self._options.organization
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),  # how many questions are asked at once is bounded by who asks
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=headers,
            timeout=aiohttp.ClientTimeout(connect=self._options.timeouts.connect_s),
        )
        return self._session

    def _assembly(self, request: ModelRequest, response: aiohttp.ClientResponse) -> ReplyAssembly:
        names = self._writer.toolbox(request).names
        output = self._writer.format(request)
        return ReplyAssembly(request.id, self._place, names, output is not None and output.is_wrapped, response.headers.get("x-request-id"))

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
            case aiohttp.ClientConnectorError():
                return Unavailable(f"cannot connect to {place}: {error.strerror}", hint="check base_url, and that the server runs")
            case aiohttp.ClientResponseError():
                return not_the_protocol("what is not HTTP", error.message.encode(), self._place)
            case TimeoutError():
                return Unavailable(f"{place} {too_slow}")
            case _:
                return Unavailable(f"{place} closed the connection before the reply was complete")


class Patience:
    """The time limits of one stream, which run only while it is listened to.

    One timer serves all reads: a read moves the deadline, and the timer looks, when it fires, whether that has come.
    """

    def __init__(self, timeouts: Timeouts) -> None:
        self._timeouts = timeouts
        self._loop = asyncio.get_running_loop()
        now = self._loop.time()
        self._end = now + timeouts.total_s
        self._timer: asyncio.TimerHandle | None = None
        self._is_listening = False
        self._give_up: Callable[[], None] | None = None
        self.has_begun = False
        self.is_over = False
        self.deadline = min(now + timeouts.first_token_s, self._end)

    def listen(self, give_up: Callable[[], None]) -> None:
        """Begin to wait for bytes; `give_up` is called when that takes too long. Until the first event, comments buy no time."""
        self._is_listening, self._give_up = True, give_up
        if self.has_begun:
            self.deadline = min(self._loop.time() + self._timeouts.idle_s, self._end)
        if self._timer is None or self._timer.when() > self.deadline:
            self._arm()

    def rest(self) -> None:
        self._is_listening = False

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    @property
    def exceeded(self) -> str:
        """What took too long, in words."""
        if self.deadline >= self._end:
            return f"did not finish its reply within {self._timeouts.total_s:g} s"
        if self.has_begun:
            return f"fell silent for {self._timeouts.idle_s:g} s in the middle of its reply"
        return f"did not begin its reply within {self._timeouts.first_token_s:g} s"

    def _arm(self) -> None:
        self.close()
        self._timer = self._loop.call_at(self.deadline, self._look)

    def _look(self) -> None:
        self._timer = None
        if not self._is_listening or self._give_up is None:
            return
        if self._loop.time() < self.deadline:
            self._arm()
        else:
            self.is_over = True
            self._give_up()


class Incoming:
    """The events of a stream as they arrive; a reply that does not stream is one event."""

    def __init__(self, response: aiohttp.ClientResponse, patience: Patience, max_bytes: int) -> None:
        self._response = response
        self._content = response.content
        self._patience = patience
        self._max_bytes = max_bytes
        self._size = 0
        self._events = EventBytes()
        self.is_done = False
        self.is_too_large = False

    async def read(self) -> list[bytes] | None:
        """Return the events that the next bytes complete, None at the end."""
        if self.is_done:
            await self._drain()
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
        if _DONE in events:
            self.is_done = True
            del events[events.index(_DONE) :]
        return events

    async def _whole(self) -> list[bytes] | None:
        async with asyncio.timeout_at(self._patience.deadline):
            body = await read_body(self._response, self._max_bytes)
        self.is_done, self.is_too_large = True, body is None
        return None if body is None else [body]

    async def _drain(self) -> None:
        """Read to the end that must be near; else the connection is closed with the response."""
        try:
            async with asyncio.timeout(_GRACE_S):
                while not self._content.at_eof():
                    await self._content.readany()
        except (aiohttp.ClientError, OSError):
            self._response.close()


async def read_body(response: aiohttp.ClientResponse, max_bytes: int) -> bytes | None:
    """Return the whole body, None if it is larger than that; what is compressed counts by what it holds."""
    pieces: list[bytes] = []
    size = 0
    while piece := await response.content.readany():
        pieces.append(piece)
        if (size := size + len(piece)) > max_bytes:
            return None
    return b"".join(pieces)


def _cause(error: Exception) -> Exception | None:
    """Return the error as a cause to be shown; one that carries the request, and with it the key, is not."""
    return None if isinstance(error, aiohttp.ClientResponseError) else error
