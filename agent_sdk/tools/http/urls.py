"""URLs in one form alone, and the allow list that they are held against: what could be read in two ways is refused."""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import replace
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Self
from urllib.parse import quote, unquote, urljoin

from agent_sdk.core.errors import ConfigError
from agent_sdk.core.frozen import frozen
from agent_sdk.tools.http.addresses import reach_of
from agent_sdk.tools.http.failures import UrlRefused

MAX_URL_CHARS = 8000
"""What servers commonly take in a request line."""

_MAX_ENCODINGS = 6
"""How often a path is decoded, to see what it may be taken for; one that was encoded more often is nobody's honest path."""
_PORTS = {"http": 80, "https": 443}
_REFUSED = re.compile(r'[\x00-\x20\x7f\\"<>^`{|}\s]|[\ud800-\udfff]|%(?![0-9A-Fa-f]{2})')
_URL = re.compile(r"(https?)://([^/?#]*)(/[^?#]*)?(?:\?([^#]*))?(?:#.*)?", re.IGNORECASE)
_AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:@\[\]%]+)(?::([0-9]{1,5}))?")
_HOST = re.compile(r"(?=.{1,253}\Z)[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)*")
_NUMERIC = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)")
_ENCODED = re.compile(r"%[0-9A-Fa-f]{2}")
_HINT = "give an absolute URL such as https://example.org/path?query=value, percent-encoded and without user name"


@frozen
class Url:
    """A URL in its one form: host in lower case ASCII, an IPv6 address without brackets; path and query percent-encoded."""

    scheme: str
    host: str
    port: int
    path: str
    query: str | None = None

    @property
    def origin(self) -> tuple[str, str, int]:
        return self.scheme, self.host, self.port

    @property
    def is_address(self) -> bool:
        """Whether the host is an address, and no name."""
        return ":" in self.host or _NUMERIC.fullmatch(self.host) is not None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == _PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{host}{port}{self.path}" + ("" if self.query is None else f"?{self.query}")

    def joined(self, reference: str) -> "Url":
        """Return what a reference that was found here leads to (RFC 3986, 5.2).

        Raises:
            UrlRefused: it is no reference, or leads to no URL that is read in one way alone.
        """
        _check_characters(reference)
        try:
            return parse_url(urljoin(str(self), reference))
        except ValueError:
            raise UrlRefused(f"{_shown(reference)} is no URL", hint=_HINT) from None


def parse_url(text: str) -> Url:
    """Read an absolute http or https URL.

    Raises:
        UrlRefused: it is none, or one that readers disagree about.
    """
    _check_characters(text)
    found = _URL.fullmatch(text)
    if found is None:
        raise UrlRefused(f"{_shown(text)} is no http or https URL", hint=_HINT)
    scheme, authority, path, query = found.groups()
    host, port = _authority(authority, text)
    scheme = scheme.lower()
    return Url(scheme, host, port or _PORTS[scheme], _encoded(path or "/"), None if query is None else _encoded(query))


@frozen
class Place:
    """One line of an allow list: a scheme, a host or `*.` and what all hosts below it end with, a port, and what paths begin with."""

    scheme: str
    host: str
    port: int
    path: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `https://api.example.com:8443/v1/`, `api.example.com` or `*.example.org`: https where no scheme is given.

        Raises:
            ConfigError: it is no such place, or one in which no URL lies.
        """
        if not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance]  (authors write lists that nobody type-checks)
            raise ConfigError(f"{text!r} is no place that can be allowed", hint="write it as a text such as https://api.example.com/v1/")
        hint = "write it as https://api.example.com/v1/ or, for all hosts below one, *.example.org"
        whole = text if "://" in text else f"https://{text}"
        is_below = "://*." in whole
        try:
            url = parse_url(whole.replace("://*.", "://", 1))
        except UrlRefused as error:
            raise ConfigError(f"{text!r} is no place that can be allowed: {error.message}", hint=hint) from None
        if "?" in text or "#" in text or (is_below and url.is_address):
            raise ConfigError(f"{text!r} is no place that can be allowed", hint=hint)
        if is_dangerous(url.path):
            raise ConfigError(f"the path of {text!r} can be read in two ways", hint="write it without encoded characters and dots")
        place = cls(url.scheme, f"*.{url.host}" if is_below else url.host, url.port, url.path)
        place._check_sense(text)
        return place

    def _check_sense(self, text: str) -> None:
        """Refuse what can be read, and is not what was meant."""
        if "*" in self.path:
            hint = f"all below a path is allowed: {replace(self, path=self.path.partition('*')[0])}"
            raise ConfigError(f"the path of {text!r} holds a *, which stands for nothing there", hint=hint)
        other = "http" if self.scheme == "https" else "https"
        if self.port == _PORTS[other]:
            hint = f"write {replace(self, scheme=other)}"
            raise ConfigError(f"{text!r} names {self.scheme} and the port of {other}", hint=hint)

    def __str__(self) -> str:
        return str(Url(self.scheme, self.host, self.port, self.path))

    def holds(self, url: Url) -> bool:
        """Say whether the URL lies in this place, however a server may read its path."""
        is_host = url.host.endswith(self.host[1:]) and not url.is_address if self.host.startswith("*.") else url.host == self.host
        if not is_host or (url.scheme, url.port) != (self.scheme, self.port):
            return False
        if self.path == "/":
            return True
        below = self.path if self.path.endswith("/") else self.path + "/"
        return (url.path == self.path or url.path.startswith(below)) and not is_dangerous(url.path)

    def meets(self, other: "Place") -> bool:
        """Say whether some URL lies in both places."""
        if (self.scheme, self.port) != (other.scheme, other.port):
            return False
        hosts, paths = (self.host, other.host), (self.path.rstrip("/") + "/", other.path.rstrip("/") + "/")
        is_host = hosts[0] == hosts[1] or any(one.startswith("*.") and host.endswith(one[1:]) for one, host in (hosts, hosts[::-1]))
        return is_host and (paths[0].startswith(paths[1]) or paths[1].startswith(paths[0]))


@frozen
class AllowList:
    """The places that may be asked. `private` names the hosts whose addresses may be of this machine and its networks."""

    places: tuple[Place, ...]
    private: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, places: Iterable[str], private: Iterable[str] = ()) -> Self:
        """Read both lists.

        Raises:
            ConfigError: there is no place, or one cannot be read or reached; or a private host is not a whole host of the list.
        """
        if isinstance(places, str) or isinstance(private, str):
            raise ConfigError("allow and private are lists of places", hint='write allow=["https://api.example.com/v1/"]')
        parsed = tuple(Place.parse(place) for place in places)
        if not parsed:
            raise ConfigError("the HTTP tools may ask nobody", hint='name a place: allow=["https://api.example.com/v1/"]')
        hosts = frozenset(Place.parse(f"[{host}]" if _is_ipv6(host) else host).host for host in private)
        if unknown := hosts - {place.host for place in parsed} or {host for host in hosts if host.startswith("*.")}:
            raise ConfigError(
                f"{min(unknown)!r} may be private, and is no single host of the allow list", hint="name hosts as they stand in allow="
            )
        for place in parsed:
            _check_reach(place, hosts)
        return cls(parsed, hosts)

    def check(self, url: Url) -> None:
        """Let a URL pass that lies in one of the places.

        Raises:
            UrlRefused: it lies in none.
        """
        if not any(place.holds(url) for place in self.places):
            raise UrlRefused(f"{_shown(str(url))} is not on the allow list", hint=f"allowed are: {self.shown()}")

    def shown(self, limit: int = 20) -> str:
        """Return the list in a line."""
        more = f" and {len(self.places) - limit} more" if len(self.places) > limit else ""
        return ", ".join(map(str, self.places[:limit])) + more


def is_dangerous(path: str) -> bool:
    """Say whether some server could read a path as one that leads upwards.

    It may decode twice, take a backslash for a slash, cut off what follows a semicolon, or fold wide characters into plain ones.
    """
    seen, before = path, ""
    for _ in range(_MAX_ENCODINGS):
        if seen == before:
            break
        try:
            seen, before = unicodedata.normalize("NFKC", unquote(seen, errors="strict")), seen
        except UnicodeDecodeError:
            return True
    if seen != before or seen.count("/") != path.count("/") or "\\" in seen or not seen.isprintable():
        return True
    return any(segment.partition(";")[0].strip() in {".", ".."} for segment in seen.split("/"))


def _check_reach(place: Place, private: frozenset[str]) -> None:
    """Refuse an address that no question would be let through to."""
    reach = reach_of(place.host) if _is_ipv4(place.host) or _is_ipv6(place.host) else "public"
    if reach == "never":
        raise ConfigError(f"{place} names an address at which no host answers", hint="take it off the allow list")
    if reach != "public" and place.host not in private:
        hint = f"allow that by private=[{place.host!r}], or take it off the allow list"
        raise ConfigError(f"{place} names an address that is not of the public internet", hint=hint)


def _check_characters(text: str) -> None:
    if len(text) > MAX_URL_CHARS:
        raise UrlRefused(f"the URL has {len(text):,} characters; at most {MAX_URL_CHARS:,} are allowed")
    if (found := _REFUSED.search(text)) is not None:
        raise UrlRefused(f"{_shown(text)} holds {found[0]!a} at character {found.start()}, which no URL may hold", hint=_HINT)


def _authority(authority: str, text: str) -> tuple[str, int | None]:
    found = _AUTHORITY.fullmatch(authority)
    host = None if found is None else _host(found[1])
    port = int(found[2]) if found is not None and found[2] else None
    if host is None or port == 0 or (port or 0) > 65535:
        raise UrlRefused(f"{_shown(text)} names no host and port in the one form that is read here", hint=_HINT)
    return host, port


def _host(text: str) -> str | None:
    """Return the host as it is asked for from the name servers; None where it is none."""
    if text.startswith("["):
        return IPv6Address(text[1:-1]).compressed if _is_ipv6(text[1:-1]) else None
    host = _ascii(text.removesuffix("."))
    if host is None or not _HOST.fullmatch(host):
        return None
    return host if not _NUMERIC.fullmatch(host) or _is_ipv4(host) else None


def _ascii(host: str) -> str | None:
    """Return a name in lower case ASCII, by the rules that browsers follow (UTS 46) where it has other letters."""
    if host.isascii():
        return host.lower()
    if len(host) > 253 or not host.isprintable():
        return None  # idna would take its time, or pass over what nobody sees
    import idna  # noqa: PLC0415  (its tables are large, and few names need them)

    try:
        return idna.encode(host, uts46=True).decode().lower()
    except idna.IDNAError:
        return None


def _is_ipv4(host: str) -> bool:
    try:
        return str(IPv4Address(host)) == host
    except AddressValueError:
        return False


def _is_ipv6(host: str) -> bool:
    try:
        IPv6Address(host)
    except AddressValueError:
        return False
    return "%" not in host


def _encoded(text: str) -> str:
    """Return the text with other letters percent-encoded, and the encoding itself in capitals."""
    return _ENCODED.sub(lambda found: found[0].upper(), text if text.isascii() else quote(text, safe="%/:?#[]@!$&'()*+,;=~-._"))


def _shown(text: str) -> str:
    return ascii(text if len(text) <= 200 else text[:200] + "...")
