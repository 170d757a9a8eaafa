"""From a host's name to the addresses that may be connected to, and to no others."""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence

from agent_sdk.core.frozen import frozen
from agent_sdk.tools.http.addresses import reach_of
from agent_sdk.tools.http.failures import HttpUnreachable, UrlRefused
from agent_sdk.tools.http.urls import AllowList, Url

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]


async def system_addresses(host: str, port: int) -> Sequence[str]:
    """Return the addresses that this machine knows of a name.

    Raises:
        OSError: it knows none.
    """
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


@frozen
class Network:
    """How names become addresses, and whose certificates are trusted: this machine's own way, unless others are given."""

    resolve: Resolve = system_addresses
    tls: ssl.SSLContext | None = None


async def checked_addresses(url: Url, allowed: AllowList, resolve: Resolve, timeout_s: float) -> Sequence[str]:
    """Return the addresses of the URL's host, asked for once, each of them one that may be connected to.

    Raises:
        UrlRefused: one of them may not: mixed addresses are how a name is bound anew behind a check.
        HttpUnreachable: there is none.
    """
    addresses = [url.host] if url.is_address else await _resolved(url, resolve, timeout_s)
    for address in addresses:
        reach = reach_of(address)
        is_named = url.host in allowed.private and (reach == "private" or (reach == "local" and url.is_address))
        if reach != "public" and not is_named:
            hint = "the tools' author can allow it by name, as in Http(private=[...])" if reach == "private" else None
            raise UrlRefused(f"{url.host} has an address that is not of the public internet", hint=hint)
    return addresses


async def _resolved(url: Url, resolve: Resolve, timeout_s: float) -> Sequence[str]:
    try:
        async with asyncio.timeout(timeout_s):
            addresses = await resolve(url.host, url.port)
    except (OSError, UnicodeError):  # a time limit too is an OSError
        addresses = ()
    if not addresses:
        raise HttpUnreachable(f"the name {url.host} has no address now", hint="check the name")
    return addresses
