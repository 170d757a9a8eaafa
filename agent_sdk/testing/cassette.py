"""Real traffic, recorded once and replayed offline: a server on the loopback that stands between a model's adapter and its vendor."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Literal, Self

from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout, TCPConnector, web
from pydantic import JsonValue

from agent_sdk.core.errors import ConfigError
from agent_sdk.testing.cassette_file import Answered, Asked, CassetteMiss, Chunk, Exchange, Tape, parse_body, read_tape, write_tape
from agent_sdk.testing.cassette_secrets import Cleaner
from agent_sdk.testing.loopback import LoopbackServer

Mode = Literal["record", "replay", "auto"]

_HOP_BY_HOP = frozenset({"connection", "content-length", "host", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"})
_NOT_SENT = _HOP_BY_HOP | {"accept-encoding"}
_NOT_KEPT = _HOP_BY_HOP | {"alt-svc", "cf-ray", "content-encoding", "date", "report-to", "server", "strict-transport-security"}


class Cassette(LoopbackServer):
    """Records what goes to `upstream`, such as `https://api.openai.com`, into a file, or replays that file; an async context manager.

    Give `url`, with the path that the vendor's base address has, to what asks. Under `auto` an existing file is replayed and a missing one
    recorded; `record` refuses a file that exists, unless `overwrite`. What is replayed is found by method, path, query and body, the order
    of a body's names aside; for what was not recorded the answer is an error that names the nearest request, and `misses` holds it.

    No key, cookie or account name reaches the file, in headers, addresses or bodies, nor does any of `secrets`. The file is written when
    the block ends, whole, and not where it ends with an error. Its streams keep the borders of their chunks.

    Raises:
        ConfigError: there is no file to replay, one that would be overwritten, or nothing to record from.
    """

    def __init__(
        self, path: str | Path, *, upstream: str | None = None, mode: Mode = "auto", secrets: Iterable[str] = (), overwrite: bool = False
    ) -> None:
        super().__init__()
        self._path = Path(path)
        self._upstream = upstream.rstrip("/") if upstream is not None else None
        self._is_recording = mode == "record" or (mode == "auto" and not self._path.exists())
        self._overwrites = overwrite
        self._cleaner = self._knowing = Cleaner(frozenset(secrets))
        self._tape = Tape([])
        self._session: ClientSession | None = None
        self.misses: list[CassetteMiss] = []

    @property
    def is_recording(self) -> bool:
        return self._is_recording

    async def __aenter__(self) -> Self:
        if self._is_recording:
            self._require_free()
            connector = TCPConnector(limit=0)
            self._session = ClientSession(connector=connector, timeout=ClientTimeout(total=None), auto_decompress=True)
        else:
            self._tape = read_tape(self._path)
        return await super().__aenter__()

    def routes(self, app: web.Application) -> None:
        app.router.add_route("*", "/{path:.*}", self._record if self._is_recording else self._replay)

    async def __aexit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        await super().__aexit__(kind, *rest)
        if self._session is not None:
            await self._session.close()
        if self._is_recording and kind is None:
            self._require_free()
            _refuse_streamed(self._tape.exchanges, self._knowing, self._path)
            write_tape(self._path, self._tape.exchanges)

    def _require_free(self) -> None:
        if self._path.exists() and not self._overwrites:
            raise ConfigError(
                f"the cassette {self._path} exists and would be overwritten", hint="delete it, or open it with overwrite=True"
            )
        if self._upstream is None:
            raise ConfigError(f"there is nothing to record {self._path} from", hint="give upstream, such as https://api.openai.com")

    async def _replay(self, http: web.Request) -> web.StreamResponse:
        asked = await self._asked(http, self._cleaner)
        try:
            answered = self._tape.find(asked)
        except CassetteMiss as miss:
            self.misses.append(miss)
            return web.json_response({"error": {"message": miss.message, "type": miss.code, "code": miss.code}}, status=400)
        response = web.StreamResponse(status=answered.status, headers=answered.headers)
        await response.prepare(http)
        for chunk in answered.chunks:
            await response.write(chunk.data)
            await asyncio.sleep(0)
        if answered.is_cut and http.transport is not None:
            http.transport.close()
        else:
            await response.write_eof()
        return response

    async def _record(self, http: web.Request) -> web.StreamResponse:
        if self._session is None or self._upstream is None:
            raise ConfigError("the cassette does not record")
        cleaner = self._cleaner.knowing(http.headers, http.query_string)
        self._knowing = self._knowing.knowing(http.headers, http.query_string)
        asked = await self._asked(http, cleaner)
        headers = [(name, value) for name, value in http.headers.items() if name.lower() not in _NOT_SENT]
        address = f"{self._upstream}{http.rel_url.raw_path_qs}"
        chunks: list[bytes] = []
        try:
            async with self._session.request(
                http.method, address, headers=headers, data=await http.read(), allow_redirects=False
            ) as answer:
                kept = [(name, value) for name, value in answer.headers.items() if name.lower() not in _NOT_KEPT]
                response = web.StreamResponse(status=answer.status, headers=kept)
                await response.prepare(http)
                is_cut = await _pass_on(answer, response, chunks)
        except ClientError as error:
            return web.json_response({"error": {"message": f"{self._upstream} was not reached: {type(error).__name__}"}}, status=502)
        answered = Answered(status=answer.status, headers=cleaner.headers(kept), chunks=_cleaned(chunks, cleaner), is_cut=is_cut)
        self._tape.exchanges.append(Exchange(request=asked, response=answered))
        if is_cut and http.transport is not None:
            http.transport.close()
        return response

    async def _asked(self, http: web.Request, cleaner: Cleaner) -> Asked:
        body = parse_body(_clean(await http.read(), cleaner))
        return Asked(method=http.method, path=cleaner.text(http.path), query=cleaner.query(http.query_string), body=body)


async def _pass_on(answer: ClientResponse, response: web.StreamResponse, chunks: list[bytes]) -> bool:
    """Pass the body on as it comes, and say whether it was cut off."""
    try:
        async for chunk in answer.content.iter_any():
            chunks.append(chunk)
            with suppress(ConnectionError):  # what the client no longer wants is recorded all the same
                await response.write(chunk)
    except ClientError:
        return True
    with suppress(ConnectionError):
        await response.write_eof()
    return False


def _cleaned(chunks: list[bytes], cleaner: Cleaner) -> list[Chunk]:
    """Return the chunks without secrets; where one reaches across their borders, they are joined, for only so it is found."""
    whole = _clean(b"".join(chunks), cleaner)
    apart = [_clean(chunk, cleaner) for chunk in chunks]
    return [Chunk.of(data) for data in (apart if b"".join(apart) == whole else [whole])]


def _clean(data: bytes, cleaner: Cleaner) -> bytes:
    return cleaner.text(data.decode(errors="surrogateescape")).encode(errors="surrogateescape")


def _refuse_streamed(exchanges: Iterable[Exchange], cleaner: Cleaner, path: Path) -> None:
    """Refuse to keep a stream whose pieces, put together, spell a secret.

    Raises:
        ConfigError: there is one.
    """
    for exchange in exchanges:
        said: dict[str, list[str]] = {}
        for line in b"".join(chunk.data for chunk in exchange.response.chunks).splitlines():
            if line.startswith(b"data: {"):
                _spell(parse_body(line.removeprefix(b"data: ")), "", said)
        if any(cleaner.text("".join(pieces)) != "".join(pieces) for pieces in said.values()):
            raise ConfigError(
                f"the answer to {exchange.request.path} spells a secret piece by piece, so {path} was not written",
                hint="ask the model something that it does not answer with the secret",
            )


def _spell(value: JsonValue, place: str, said: dict[str, list[str]]) -> None:
    match value:
        case str():
            said.setdefault(place, []).append(value)
        case dict():
            for name, each in value.items():
                _spell(each, f"{place}.{name}", said)
        case list():
            for each in value:
                _spell(each, place, said)
        case _:
            pass
