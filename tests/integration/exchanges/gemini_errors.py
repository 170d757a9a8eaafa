"""Errors of Gemini's generateContent, of every status and kind, written after the vendor's public documentation."""

from pydantic import JsonValue

from agent_sdk.core.errors import (
    AuthFailed,
    BadRequest,
    ContextTooLong,
    ModelError,
    Overloaded,
    RateLimited,
    ReplyInvalid,
    Unavailable,
)
from agent_sdk.llm import QuotaExhausted
from tests.integration.exchanges.exchange import Exchange, encoded

KEY_INVALID: JsonValue = {
    "@type": "type.googleapis.com/google.rpc.ErrorInfo",
    "reason": "API_KEY_INVALID",
    "domain": "googleapis.com",
    "metadata": {"service": "generativelanguage.googleapis.com"},
}


def quota(*ids: str) -> JsonValue:
    metric = "generativelanguage.googleapis.com/generate_content_free_tier_requests"
    violations: list[JsonValue] = [{"quotaMetric": metric, "quotaId": each, "quotaValue": "10"} for each in ids]
    return {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": violations}


def retry(delay: str) -> JsonValue:
    return {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}


def problem(status: int, code: str, message: str, *details: JsonValue) -> JsonValue:
    return {"error": {"code": status, "message": message, "status": code, "details": list(details)}}


def failing(name: str, status: int, error: type[ModelError], body: JsonValue, *, is_stream: bool = False) -> Exchange:
    theirs = "ClientError" if status < 500 else "ServerError"
    return Exchange(name, encoded(body), error, theirs, status, is_stream=is_stream)


OVER = "You exceeded your current quota, please check your plan and billing details."
MINUTE = problem(429, "RESOURCE_EXHAUSTED", OVER, quota("GenerateRequestsPerMinutePerProjectPerModel-FreeTier"), retry("33.5s"))
DAY = problem(429, "RESOURCE_EXHAUSTED", OVER, quota("GenerateRequestsPerDayPerProjectPerModel-FreeTier"), retry("20s"))
TOO_LONG = "The input token count (1200293) exceeds the maximum number of tokens allowed (1048576)."
NO_MODEL = "models/gemini-0 is not found for API version v1beta, or is not supported for generateContent."
PAGE = b"<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"

ERRORS = [
    failing("a bad request", 400, BadRequest, problem(400, "INVALID_ARGUMENT", "Invalid JSON payload received. Unknown name")),
    failing("a bad key", 400, AuthFailed, problem(400, "INVALID_ARGUMENT", "API key not valid.", KEY_INVALID)),
    failing("a question that is too long", 400, ContextTooLong, problem(400, "INVALID_ARGUMENT", TOO_LONG)),
    failing("a payload that is too large", 400, ContextTooLong, problem(400, "INVALID_ARGUMENT", "Request payload size exceeds the limit")),
    failing("a place without service", 400, BadRequest, problem(400, "FAILED_PRECONDITION", "User location is not supported")),
    failing("a place without free service", 400, QuotaExhausted, problem(400, "FAILED_PRECONDITION", "Please enable billing")),
    failing("a bad token", 401, AuthFailed, problem(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.")),
    failing("a key without the right", 403, AuthFailed, problem(403, "PERMISSION_DENIED", "The caller does not have permission")),
    failing("a model that does not exist", 404, BadRequest, problem(404, "NOT_FOUND", NO_MODEL)),
    failing("a conflict", 409, Unavailable, problem(409, "ABORTED", "The operation was aborted.")),
    failing("too large for the front end", 413, ContextTooLong, {"error": {"code": 413, "message": "Payload Too Large"}}),
    failing("a quota of a minute", 429, RateLimited, MINUTE),
    failing("a quota of a day", 429, QuotaExhausted, DAY),
    failing("a quota of nothing", 429, QuotaExhausted, problem(429, "RESOURCE_EXHAUSTED", "Quota exceeded, limit: 0, model: gemini")),
    failing("a shared quota", 429, RateLimited, problem(429, "RESOURCE_EXHAUSTED", "Resource exhausted. Please try again later.")),
    failing("cancelled", 499, Unavailable, problem(499, "CANCELLED", "The operation was cancelled.")),
    failing("an internal error", 500, Unavailable, problem(500, "INTERNAL", "An internal error has occurred.")),
    failing("overloaded", 503, Overloaded, problem(503, "UNAVAILABLE", "The model is overloaded. Please try again later.")),
    failing("too slow", 504, Unavailable, problem(504, "DEADLINE_EXCEEDED", "Deadline expired before operation could complete.")),
    failing("a streamed quota of a minute", 429, RateLimited, MINUTE, is_stream=True),
    failing("a streamed quota of a day, in a list", 429, QuotaExhausted, [DAY], is_stream=True),
    failing("a streamed bad key", 400, AuthFailed, problem(400, "INVALID_ARGUMENT", "API key not valid.", KEY_INVALID), is_stream=True),
    failing("a streamed overload", 503, Overloaded, problem(503, "UNAVAILABLE", "The model is overloaded."), is_stream=True),
    Exchange("a page of a proxy", PAGE, Unavailable, "ServerError", 502, "text/html"),
    Exchange("a page in place of a reply", PAGE, ReplyInvalid, "", 200, "text/html", differs="the SDK fails at the content type"),
    Exchange("no JSON", b"{half", ReplyInvalid, "", differs="the SDK fails at the JSON"),
    Exchange("JSON of another shape", b'{"candidates": 7}', ReplyInvalid, "TypeError"),
    Exchange("a list", b"[]", ReplyInvalid, "", differs="the SDK fails at the list"),
    Exchange("nothing at all", b"", ReplyInvalid, "", differs="the SDK takes it for an empty reply"),
    Exchange("an empty object", b"{}", ReplyInvalid, "", differs="the SDK takes it for an empty reply"),
    Exchange("no candidates", encoded({"candidates": [], "usageMetadata": {}}), ReplyInvalid, "", differs="the SDK takes it for a reply"),
    Exchange(
        "an error in place of a reply",
        encoded(problem(503, "UNAVAILABLE", "The model is overloaded.")),
        Overloaded,
        "",
        differs="the SDK looks at errors in streams alone",
    ),
    Exchange(
        "a redirect",
        b"",
        BadRequest,
        "",
        302,
        headers={"Location": "http://127.0.0.1:9/elsewhere"},
        differs="the SDK follows it, and would take the key along",
    ),
]
