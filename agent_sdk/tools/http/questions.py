"""What is asked over HTTP and what comes back, and where a redirect leads."""

from collections.abc import Mapping
from dataclasses import field

from agent_sdk.core.frozen import frozen
from agent_sdk.tools.http.failures import UrlRefused
from agent_sdk.tools.http.urls import Url

SAFE = frozenset({"GET", "HEAD"})

_REDIRECTS = frozenset({301, 302, 303, 307, 308})


@frozen
class Question:
    """A request: its body, and all of its headers but those that belong to the connection.

    `is_at_home` until a redirect led to another origin: from then on it carries no credentials, also if it comes back.
    """

    method: str
    url: Url
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: bytes | None = None
    is_at_home: bool = True


@frozen
class Received:
    """A reply: headers by name in lower case, and the body without its compression, cut where it is larger than was allowed."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    is_cut: bool = False


def redirected(question: Question, received: Received) -> Question | None:
    """Return what a redirect says to ask next (RFC 9110, 15.4), None where the reply is none.

    Nothing is said of whether the place may be asked.

    Raises:
        UrlRefused: it leads to no URL, or would send to another origin what changes something there.
    """
    if received.status not in _REDIRECTS or "location" not in received.headers:
        return None
    url = question.url.joined(received.headers["location"])
    is_at_home = question.is_at_home and url.origin == question.url.origin
    if (received.status == 303 and question.method != "HEAD") or (received.status in {301, 302} and question.method == "POST"):
        return Question("GET", url, is_at_home=is_at_home)
    if not is_at_home and question.method not in SAFE:
        raise UrlRefused(f"it leads to another origin, where no {question.method} is sent along")
    return Question(question.method, url, question.headers, question.body, is_at_home)
