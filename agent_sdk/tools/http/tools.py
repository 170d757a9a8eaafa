"""`Http`: tools for the methods of HTTP, each of them within an allow list that no URL, redirect or name leads out of."""

import asyncio
import json
import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Literal, TypedDict, get_args

from pydantic import Field, JsonValue

from agent_sdk.core.errors import ConfigError, NotDone
from agent_sdk.core.labels import Label
from agent_sdk.core.ports import Tool
from agent_sdk.core.tools import Effect, ToolContext
from agent_sdk.tools.approval import Approval
from agent_sdk.tools.decorator import tool
from agent_sdk.tools.http.failures import HttpBusy, HttpFailed, HttpTooLarge, UrlRefused
from agent_sdk.tools.http.network import Network, checked_addresses
from agent_sdk.tools.http.questions import SAFE, Question, Received, redirected
from agent_sdk.tools.http.replies import HttpReply, retry_after_s, shown_body, shown_headers
from agent_sdk.tools.http.secrets import Header, Secrets, checked_header
from agent_sdk.tools.http.urls import MAX_URL_CHARS, AllowList, Place, Url, parse_url

Method = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]

MAX_REDIRECTS = 5
MAX_WAIT_S = 60.0
"""Where a server says to come again later than this, the model reads so, and nobody waits."""
MAX_CONNECT_S = 10.0
RETRIES = 2

_SAID_BY_US = {"User-Agent": "agent-sdk", "Accept": "*/*", "Accept-Encoding": "gzip"}
_MEDIA_TYPE = re.compile(r"[\w!#$&^.+-]+/[\w!#$&^.+-]+(?:[ \t]*;[ \t]*[\w!#$&^.+-]+=[\w!#$&^.+-]+)*", re.ASCII)
_JSON = re.compile(r"application/(?:[\w.-]+\+)?json(?:[ \t]*;.*)?")


class _Named(TypedDict):
    """What all the tools say of themselves."""

    name: str
    description: str
    output_label: Label
    timeout_s: float


Address = Annotated[str, Field(min_length=1, max_length=MAX_URL_CHARS)]


class Http:
    """Tools over HTTP that ask the places of `allow` and nobody else; one for each of `methods`.

    A place is `https://api.example.com/v1/` (this scheme, host and port, and paths that begin so), `api.example.com` or
    `*.example.org` (all hosts below that one). Every redirect is held against the list anew. Addresses that are not of the public
    internet are refused, but for the hosts named in `private`. Environment, proxies and cookies play no part.

    `headers` holds, by place, what is sent to it, such as credentials; they go along with no redirect to another origin, and are cut
    out of what comes back. A reply of more than `max_bytes` is an error to a reader, or cut where it `truncates`; `timeout_s` is for all
    redirects together. POST, PUT, PATCH and DELETE are `once` effects; `idempotency_header` names the header by which the servers
    tell repeated calls, as in "Idempotency-Key", and makes them `idempotent`. They ask for `approval` as other tools do.
    `name` begins the tools' names: `http_get`.
    """

    def __init__(  # noqa: PLR0913  (each is a keyword that users write)
        self,
        allow: Collection[str],
        *,
        methods: Iterable[Method] = ("GET",),
        headers: Mapping[str, Mapping[str, Header]] | None = None,
        private: Collection[str] = (),
        max_bytes: int = 1024 * 1024,
        timeout_s: float = 30.0,
        truncates: bool = False,
        idempotency_header: str | None = None,
        approval: Approval = False,
        name: str = "http",
        network: Network | None = None,
    ) -> None:
        self._allowed = AllowList.parse(allow, private)
        self._methods = _checked_methods(methods)
        self._headers = _read_headers(headers or {}, self._allowed)
        self._secrets = Secrets.of_headers([item for given in (headers or {}).values() for item in given.items()])
        if max_bytes < 1 or not (timeout_s > 0 and math.isfinite(timeout_s)):
            raise ConfigError(f"max_bytes is {max_bytes}, and timeout_s {timeout_s}", hint="give bytes and seconds above 0")
        if idempotency_header is not None:
            checked_header(idempotency_header, "key")
        self._max_bytes = max_bytes
        self._timeout_s = timeout_s
        self._connect_s = min(MAX_CONNECT_S, timeout_s / 2)  # sooner than all is over: what was never sent then counts as not done
        self._truncates = truncates
        self._idempotency_header = idempotency_header
        self._approval = approval
        self._name = name
        self._network = network or Network()
        self._tools = {method: self._made(method) for method in self._methods}

    @property
    def tools(self) -> tuple[Tool, ...]:
        """Return all."""
        return tuple(self._tools.values())

    @property
    def readers(self) -> tuple[Tool, ...]:
        """Return those that change nothing."""
        return tuple(made for method, made in self._tools.items() if method in SAFE)

    def _made(self, method: Method) -> Tool:
        return self._reader(method) if method in SAFE else self._writer(method)

    def _reader(self, method: Method) -> Tool:
        what = "Fetch a page or data" if method == "GET" else "Look whether a page or data are there, without fetching them,"

        @tool(effect="read", retries=RETRIES, **self._options(method, what))
        async def read(url: Address) -> HttpReply:
            """Read.

            Args:
                url: An absolute URL.
            """
            return await self._ask(Question(method, parse_url(url)))

        return read

    def _writer(self, method: Method) -> Tool:
        key_header = self._idempotency_header
        effect: Effect = "once" if key_header is None else "idempotent"
        retries = 0 if key_header is None else RETRIES

        @tool(effect=effect, retries=retries, approval=self._approval, **self._options(method, f"Send a {method} request"))
        async def change(
            url: Address, context: ToolContext[object], body: JsonValue = None, content_type: str = "application/json"
        ) -> HttpReply:
            """Change.

            Args:
                url: An absolute URL.
                context: Of the run.
                body: JSON data; for a content_type other than JSON, a text.
                content_type: What the body is.
            """
            content = _content(body, content_type, self._max_bytes)
            headers = {} if content is None else {"Content-Type": content_type}
            if key_header is not None:
                headers[key_header.title()] = context.idempotency_key
            return await self._ask(Question(method, parse_url(url), headers, content))

        return change

    def _options(self, method: Method, what: str) -> _Named:
        return {
            "name": f"{self._name}_{method.lower()}",
            "description": f"{what} over HTTP. Allowed are: {self._allowed.shown()}. What comes back was written by others.",
            "output_label": Label(untrusted=tuple(sorted({f"http:{place.host}" for place in self._allowed.places}))),
            "timeout_s": self._timeout_s + 1.0,  # ours comes first, and says more
        }

    async def _ask(self, question: Question) -> HttpReply:
        """Send the first question and follow where redirects lead, within the list and the time."""
        self._allowed.check(question.url)
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._followed(question)
        except TimeoutError:
            raise HttpFailed(f"{question.url.host} gave no whole reply within {self._timeout_s:g} s") from None

    async def _followed(self, question: Question) -> HttpReply:
        addresses = await self._addresses(question)
        hops = 0
        while True:
            received = await self._exchanged(question, addresses, is_first=hops == 0)
            try:
                onward = redirected(question, received)
                if onward is None:
                    return self._reply(question, received)
                if hops == MAX_REDIRECTS:
                    raise UrlRefused(f"more than {MAX_REDIRECTS} one after another are not followed")
                self._check_onward(onward)
                addresses = await self._addresses(onward)
            except NotDone as refused:  # of the redirect: what was asked before it was done
                return self._reply(question, received, f"the redirect was not followed: {refused.message}")
            question = onward
            hops += 1

    async def _addresses(self, question: Question) -> Sequence[str]:
        return await checked_addresses(question.url, self._allowed, self._network.resolve, self._connect_s)

    async def _exchanged(self, question: Question, addresses: Sequence[str], *, is_first: bool) -> Received:
        from agent_sdk.tools.http.transport import exchange  # noqa: PLC0415  (aiohttp is loaded only where something is asked)

        known = self._headers_for(question.url) if question.is_at_home else {}
        whole = replace(question, headers=_SAID_BY_US | known | dict(question.headers))
        try:
            return await exchange(whole, addresses, self._max_bytes, self._connect_s, self._network.tls)
        except NotDone as error:
            if is_first:
                raise
            raise HttpFailed(f"a redirect could not be followed: {error.message}", hint=error.hint) from None

    def _check_onward(self, question: Question) -> None:
        self._allowed.check(question.url)
        if question.method not in self._methods:
            raise UrlRefused(f"it asks for {question.method}, which is not allowed")

    def _headers_for(self, url: Url) -> dict[str, str]:
        return {name: value for place, given in self._headers if place.holds(url) for name, value in given.items()}

    def _reply(self, question: Question, received: Received, note: str | None = None) -> HttpReply:
        """Return the reply as the model reads it.

        Raises:
            HttpBusy: it may be had soon, and to ask again does no harm.
            HttpTooLarge: it is too large for a reader, and was not to be cut.
        """
        clean, is_reader = self._secrets.clean, question.method in SAFE
        shown = shown_body(received.body, received.headers.get("content-type", ""), self._secrets, is_cut=received.is_cut)
        if received.status in {429, 503} and (is_reader or self._idempotency_header is not None):
            wait_s = retry_after_s(received.headers)
            if wait_s is None or wait_s <= MAX_WAIT_S:
                said = shown.body if isinstance(shown.body, str) else json.dumps(shown.body)
                raise HttpBusy(f"{question.url.host} answered {received.status}: {said[:500]}", retry_after_s=wait_s)
        if received.is_cut and is_reader and received.status < 400 and not self._truncates:
            raise HttpTooLarge(
                f"the reply of {question.url.host} has more than {self._max_bytes:,} bytes", hint="ask for less, as by page or by range"
            )
        notes = [shown.note, f"it was cut behind {self._max_bytes:,} bytes" if received.is_cut else None, note and clean(note)]
        return HttpReply(
            clean(str(question.url)),
            received.status,
            shown_headers(received.headers, self._secrets),
            shown.body,
            not received.is_cut,
            "; ".join(filter(None, notes)) or None,
        )


def _checked_methods(methods: Iterable[Method]) -> tuple[Method, ...]:
    given = set(methods)
    known: tuple[Method, ...] = get_args(Method)
    if unknown := given - set(known):
        raise ConfigError(f"there is no tool for the method {min(unknown)!r}", hint=f"give a list of {', '.join(known)}")
    if not given:
        raise ConfigError("the HTTP tools have no method", hint='give one, as in methods=["GET"]')
    return tuple(method for method in known if method in given)


def _read_headers(headers: Mapping[str, Mapping[str, Header]], allowed: AllowList) -> tuple[tuple[Place, dict[str, str]], ...]:
    if any(isinstance(given, str) for given in headers.values()):
        raise ConfigError("headers are given by place", hint='write headers={"https://api.example.com/": {"Authorization": "Bearer ..."}}')
    read = tuple((Place.parse(place), dict(checked_header(*item) for item in given.items())) for place, given in headers.items())
    for place, _ in read:
        if not any(place.meets(each) for each in allowed.places):
            raise ConfigError(f"headers for {place} would never be sent", hint=f"name a place of the allow list: {allowed.shown()}")
    return read


def _content(body: JsonValue, content_type: str, max_bytes: int) -> bytes | None:
    """Return the body as it is sent.

    Raises:
        NotDone: it is none of this type, or too large, so nothing was sent.
    """
    if not _MEDIA_TYPE.fullmatch(content_type):
        raise NotDone(f"{content_type[:100]!a} is no content type", hint="give one such as application/json")
    if body is None:
        return None
    is_json = _JSON.fullmatch(content_type) is not None
    if not is_json and not isinstance(body, str):
        raise NotDone(f"a body of the type {content_type} is a text", hint="give a text, or JSON data as application/json")
    content = (json.dumps(body, ensure_ascii=False) if is_json else str(body)).encode()
    if len(content) > max_bytes:
        raise NotDone(f"the body has {len(content):,} bytes; at most {max_bytes:,} are allowed")
    return content
