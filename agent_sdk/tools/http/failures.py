"""How a request over HTTP fails where there is no reply to show. A `NotDone` says that nothing was sent."""

from typing import ClassVar

from agent_sdk.core.errors import NotDone, ToolError


class UrlRefused(NotDone):
    """The URL, or an address that its host has, is not one that these tools may ask; nothing was sent."""

    code = "http_refused"


class HttpUnreachable(NotDone):
    """The host has no address now, or none of them takes a connection; nothing was sent."""

    code = "http_unreachable"
    retryable = True


class CertificateRefused(NotDone):
    """The server's certificate does not vouch for its name, so nothing was sent."""

    code = "http_certificate_refused"
    default_hint: ClassVar[str | None] = "check the name, this machine's clock and its certificate authorities"


class HttpFailed(ToolError):
    """The exchange broke off, took too long, or what came back is no HTTP; what was sent may have been done."""

    code = "http_failed"
    retryable = True


class HttpBusy(ToolError):
    """The server asks to come again soon (HTTP 429, 503)."""

    code = "http_busy"
    retryable = True


class HttpTooLarge(ToolError):
    """The reply is larger than the tool may read."""

    code = "http_too_large"
