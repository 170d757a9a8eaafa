"""What Anthropic says instead of a reply, written after the vendor's public documentation of errors."""

from pydantic import JsonValue

from agent_sdk.core.errors import (
    AuthFailed,
    BadRequest,
    ContentRefused,
    ContextTooLong,
    ModelError,
    Overloaded,
    RateLimited,
    ReplyInvalid,
    Unavailable,
)
from agent_sdk.llm.vendor_errors import QuotaExhausted
from tests.integration.exchanges.exchange import Exchange, encoded

HTML = b"<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"


def refusal(status: int, kind: str, said: str, error: type[ModelError], theirs: str, **headers: str) -> Exchange:
    """Return an error as the vendor's documentation shows it."""
    body: JsonValue = {"type": "error", "error": {"type": kind, "message": said}, "request_id": "req_011CSHoEeqs5C35K2UUqR7Fy"}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Exchange(f"{status} {kind}: {said[:24]}", encoded(body), error, theirs, status, headers={"request-id": "req_011", **named})


def coded(status: int, kind: str, code: str, error: type[ModelError], theirs: str) -> Exchange:
    """Return an error that names its cause."""
    body: JsonValue = {"type": "error", "error": {"type": kind, "message": "no", "details": {"error_code": code}}}
    return Exchange(f"{status} {kind}: {code}", encoded(body), error, theirs, status)


ERRORS: list[Exchange] = [
    refusal(400, "invalid_request_error", "max_tokens: Field required", BadRequest, "BadRequestError"),
    refusal(400, "invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum", ContextTooLong, "BadRequestError"),
    refusal(
        400,
        "invalid_request_error",
        "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000, decrease input length",
        ContextTooLong,
        "BadRequestError",
    ),
    refusal(400, "invalid_request_error", "Your credit balance is too low to access the Anthropic API.", QuotaExhausted, "BadRequestError"),
    refusal(400, "invalid_request_error", "Output blocked by content filtering policy", ContentRefused, "BadRequestError"),
    refusal(400, "invalid_request_error", "temperature: this parameter is not supported", BadRequest, "BadRequestError"),
    refusal(401, "authentication_error", "invalid x-api-key", AuthFailed, "AuthenticationError"),
    refusal(402, "billing_error", "payment required", QuotaExhausted, "PaymentRequiredError"),
    refusal(403, "permission_error", "Your API key does not have permission", AuthFailed, "PermissionDeniedError"),
    refusal(403, "billing_error", "There is an issue with your billing", QuotaExhausted, "PermissionDeniedError"),
    refusal(404, "not_found_error", "model: claude-sonnet-4.6", BadRequest, "NotFoundError"),
    refusal(408, "timeout_error", "the body came too slowly", Unavailable, "RequestTimeoutError"),
    refusal(409, "conflict_error", "try again", Unavailable, "ConflictError"),
    refusal(413, "request_too_large", "Request exceeds the maximum size", ContextTooLong, "ContentTooLargeError"),
    refusal(422, "invalid_request_error", "odd", BadRequest, "UnprocessableEntityError"),
    refusal(429, "rate_limit_error", "Number of request tokens has exceeded", RateLimited, "RateLimitError", retry_after="7"),
    refusal(429, "rate_limit_error", "prompt is too long for your limit of tokens a minute", RateLimited, "RateLimitError"),
    refusal(500, "api_error", "Internal server error", Unavailable, "InternalServerError"),
    refusal(503, "overloaded_error", "busy", Overloaded, "ServiceUnavailableError"),
    refusal(504, "timeout_error", "Request timed out", Unavailable, "GatewayTimeoutError"),
    refusal(529, "overloaded_error", "Overloaded", Overloaded, "OverloadedError"),
    coded(400, "invalid_request_error", "enforced_spend_limit_reached", QuotaExhausted, "BadRequestError"),
    coded(400, "invalid_request_error", "tool_name_conflict", BadRequest, "BadRequestError"),
    Exchange("502 of a proxy", HTML, Unavailable, "InternalServerError", 502, "text/html"),
    Exchange("418 without words", b"", BadRequest, "APIStatusError", 418),
    Exchange(
        "302 elsewhere",
        b"",
        BadRequest,
        status=302,
        headers={"Location": "https://example.com/"},
        differs="the SDK goes there, with its key",
    ),
    Exchange("200 of a proxy", HTML, ReplyInvalid, content_type="text/html", differs="the SDK returns the page as if it were a reply"),
    Exchange("200 without JSON", b"{half", ReplyInvalid, differs="the SDK fails with a JSONDecodeError"),
    Exchange("200 of another protocol", b'{"choices": []}', ReplyInvalid, differs="the SDK returns a message without content"),
    Exchange(
        "200 with an error in it",
        encoded({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}),
        Overloaded,
        differs="the SDK returns a message without content",
    ),
]
