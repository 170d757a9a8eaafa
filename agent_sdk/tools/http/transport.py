"""One exchange over HTTP with one of the addresses that were checked: nothing is followed, nothing kept, and all is bounded."""

import socket
import ssl
import zlib
from collections.abc import AsyncIterator, Sequence

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from agent_sdk.tools.http.failures import CertificateRefused, HttpFailed, HttpUnreachable, UrlRefused
from agent_sdk.tools.http.questions import Question, Received
from agent_sdk.tools.http.urls import Url


async def exchange(question: Question, addresses: Sequence[str], max_bytes: int, connect_s: float, tls: ssl.SSLContext | None) -> Received:
    """Send the question to one of the addresses, in the name of its host, and read the reply.

    A connection of its own serves it: none is kept, so nothing is sent twice, and each question's addresses are its own.

    Raises:
        HttpUnreachable: no address takes the connection.
        CertificateRefused: the server cannot prove its name.
        HttpFailed: it broke off.
    """
    url, host = _target(question.url), question.url.host
    connector = aiohttp.TCPConnector(resolver=_Known(host, addresses), use_dns_cache=False, force_close=True)
    try:
        async with (
            aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=connect_s),
            ) as session,
            session.request(
                question.method,
                url,
                headers=question.headers,
                data=question.body,
                allow_redirects=False,
                ssl=tls if tls is not None else True,
            ) as response,
        ):
            headers = {name.lower(): ", ".join(response.headers.getall(name)) for name in response.headers}
            body, is_cut = await _read(response.content.iter_any(), headers.get("content-encoding", ""), max_bytes)
            return Received(response.status, headers, body, is_cut)
    except (aiohttp.ClientConnectorCertificateError, ssl.SSLCertVerificationError):
        raise CertificateRefused(f"the certificate of {host} is not trusted here") from None
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
        raise HttpUnreachable(f"{host} takes no connection on port {question.url.port}") from None
    except (aiohttp.ClientError, OSError, ValueError, zlib.error) as error:
        raise HttpFailed(f"the exchange with {host} failed: {_reason(error)}") from None  # the error's own words may hold our headers


class _Known(AbstractResolver):
    """Knows the addresses of one host, and asks nobody."""

    def __init__(self, host: str, addresses: Sequence[str]) -> None:
        self._host = host
        self._addresses = addresses

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET) -> list[ResolveResult]:
        if host != self._host:
            raise OSError(f"{host} was not checked")
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in self._addresses
        ]

    async def close(self) -> None:
        pass


def _target(url: Url) -> URL:
    """Return the URL as aiohttp takes it, if it reads it as we did.

    Raises:
        UrlRefused: it does not.
    """
    read = URL(str(url), encoded=True)
    if (read.scheme, read.raw_host, read.port, read.raw_path, read.raw_query_string) != (
        url.scheme,
        url.host,
        url.port,
        url.path,
        url.query or "",
    ):
        raise UrlRefused("the URL can be read in two ways", hint="write it in its plain form")
    return read


class _Gunzip:
    """Takes one gzip member apart, never making more of it than there is room for."""

    def __init__(self) -> None:
        self._unpacker = zlib.decompressobj(wbits=31)
        self._has_begun = False

    def __call__(self, data: bytes, room: int) -> bytes:
        self._has_begun = True
        plain = self._unpacker.decompress(data, room)
        if self._unpacker.unused_data:
            raise ValueError("something follows the compressed data")
        return plain

    def finish(self) -> None:
        if self._has_begun and not self._unpacker.eof:
            raise ValueError("the compressed data break off")


async def _read(pieces: AsyncIterator[bytes], encoding: str, max_bytes: int) -> tuple[bytes, bool]:
    """Return what the body holds, and whether that is not all; what is compressed counts both ways."""
    unpack = _unpacker(encoding)
    held = bytearray()
    taken = 0
    async for piece in pieces:
        taken += len(piece)
        held += unpack(piece, max_bytes + 1 - len(held)) if unpack is not None else piece
        if len(held) > max_bytes or taken > max_bytes:
            return bytes(held[:max_bytes]), True
    if isinstance(unpack, _Gunzip):
        unpack.finish()
    return bytes(held), False


def _unpacker(encoding: str) -> _Gunzip | None:
    match encoding.strip().lower():
        case "" | "identity":
            return None
        case "gzip" | "x-gzip":
            return _Gunzip()
        case _:
            raise ValueError("the reply is compressed in a way that was not asked for")


def _reason(error: Exception) -> str:
    match error:
        case aiohttp.ServerDisconnectedError() | aiohttp.ClientPayloadError() | ConnectionError():
            return "the connection broke off"
        case aiohttp.ClientResponseError():
            return "what came is no HTTP, or has too large headers"
        case zlib.error():
            return "the compressed data are broken"
        case aiohttp.ClientError() | OSError():
            return type(error).__name__
        case _:
            return str(error)
