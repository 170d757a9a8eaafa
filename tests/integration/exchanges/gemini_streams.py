"""Streams of Gemini's generateContent, written after the vendor's public documentation, and broken ones."""

from pydantic import JsonValue

from agent_sdk.core.errors import AuthFailed, BadRequest, ModelError, Overloaded, RateLimited, ReplyInvalid, Unavailable
from agent_sdk.core.messages import ReasoningPart, TextPart
from agent_sdk.core.usage import Usage
from tests.integration.exchanges.exchange import Exchange, Heard, encoded, events, streamed
from tests.integration.exchanges.gemini import (
    BY_TOOL,
    COUNTED,
    EMPTY,
    LARGE,
    MODEL,
    OTHER_SIGNATURE,
    SIGNATURE,
    USAGE,
    WITH_TOOLS,
    blocked,
    call,
    candidate,
    made,
    parts,
    refused,
    said,
    text,
)


def chunk(*of: JsonValue, finish: str | None = None, usage: JsonValue = None) -> JsonValue:
    """Return a chunk with these parts; usage stands in each, counted up to there."""
    return said(*of, finish=finish, usage={"promptTokenCount": 12} if usage is None else usage)


def words(*pieces: str) -> list[JsonValue]:
    return [chunk(text(piece)) for piece in pieces]


END = chunk(text(""), finish="STOP", usage=USAGE)
GREETING = events(*words("Grüße ", "aus 東京", " 🧀"), END)
USED_UP: JsonValue = {"error": {"code": 429, "message": "Resource has been exhausted (e.g. check quota).", "status": "RESOURCE_EXHAUSTED"}}
FULL: JsonValue = {"error": {"code": 503, "message": "The model is overloaded. Please try again later.", "status": "UNAVAILABLE"}}

STREAMS = [
    streamed("streamed text", events(*words("Hello", " there", "."), END)),
    streamed("streamed text of all alphabets", GREETING),
    streamed("one chunk", events(said(text("Hello")))),
    streamed("the last words in the last chunk", events(*words("Hello"), said(text(" there.")))),
    streamed("lines that end in CR LF", GREETING.replace(b"\n", b"\r\n")),
    streamed(
        "comments, ids and event names",
        b": ping\n\nid: 1\nevent: message\nretry: 10\n" + GREETING,
        differs="the SDK takes every other line for JSON",
        heard=Heard("Grüße aus 東京 🧀", [], COUNTED, "end", MODEL),
    ),
    streamed("many small pieces", events(*words(*("word " for _ in range(200))), END)),
    streamed("an event over several lines", b'data: {"candidates": [\ndata: ' + encoded(candidate(text("Hi"))) + b"]}\n\n"),
    streamed("a usage that comes after the end", events(chunk(text("Hi"), finish="STOP"), {"usageMetadata": USAGE, "modelVersion": MODEL})),
    streamed("chunks without candidates", events({"usageMetadata": {"promptTokenCount": 12}, "modelVersion": MODEL}, *words("Hi"), END)),
    streamed("a usage in the first chunk alone", events(said(text("Hi"), finish=None), {"candidates": [candidate(text("."))]})),
    streamed(
        "streamed thoughts",
        events(
            chunk(text("Hm, ", thought=True)),
            chunk(text("so.", thought=True)),
            *words("Yes", "."),
            chunk(text("", thoughtSignature=SIGNATURE), finish="STOP"),
        ),
        parts=parts(ReasoningPart("Hm, so."), TextPart("Yes."), TextPart("", SIGNATURE)),
    ),
    streamed(
        "a signature on the last words",
        events(*words("Yes"), chunk(text(".", thoughtSignature=SIGNATURE), finish="STOP")),
        parts=parts(TextPart("Yes"), TextPart(".", SIGNATURE)),
    ),
    streamed(
        "streamed calls in one chunk",
        events(chunk(call("search", {"q": "a"}, thoughtSignature=SIGNATURE), call("get_weather", {"city": "Köln"})), END),
        request=WITH_TOOLS,
        parts=parts(made(1, "search", {"q": "a"}, SIGNATURE), made(2, "get_weather", {"city": "Köln"})),
    ),
    streamed(
        "streamed calls in chunks of their own",
        events(
            chunk(text("Well. ")),
            chunk(call("search", {"q": "a"}, thoughtSignature=SIGNATURE)),
            chunk(call("search", {"q": "b"}, thoughtSignature=OTHER_SIGNATURE)),
            END,
        ),
        request=WITH_TOOLS,
        parts=parts(TextPart("Well. "), made(1, "search", {"q": "a"}, SIGNATURE), made(2, "search", {"q": "b"}, OTHER_SIGNATURE)),
    ),
    streamed("a streamed call without arguments", events(chunk(call("search"), finish="STOP")), request=WITH_TOOLS),
    streamed("a megabyte of streamed arguments", events(chunk(call("search", LARGE), finish="STOP")), request=WITH_TOOLS),
    streamed(
        "a streamed output by tool",
        events(chunk(call("give_the_answer", {"value": [3]})), END),
        request=BY_TOOL,
        differs="the call is the answer",
        heard=Heard("[3]", [], COUNTED, "end", MODEL),
    ),
    streamed("a stream cut at the limit", events(*words("so"), chunk(text(" far"), finish="MAX_TOKENS"))),
    streamed("a stream cut for safety", events(*words("so far"), refused("SAFETY"))),
    streamed("a stream refused", events(refused("PROHIBITED_CONTENT"))),
    streamed("a stream refused in its thoughts", events(chunk(text("Hm", thought=True)), refused("SAFETY"))),
    streamed("a prompt blocked twice", events(blocked("SAFETY"), blocked("SAFETY"))),
    streamed("reasons that are none yet", events(chunk(text("Hi"), finish="FINISH_REASON_UNSPECIFIED"), END)),
    streamed("a stream of a blocked prompt", events(blocked("PROHIBITED_CONTENT"))),
    streamed("a stream that ends for a reason that nobody knows yet", events(*words("so far"), chunk(finish="TIRED"))),
    streamed("a stream of nothing", events(chunk(finish="STOP"))),
    streamed("a stream in which the vendor ran code", events(chunk({"executableCode": {"code": "1"}}), *words("One"), END)),
    streamed("streamed fields that nobody knows yet", events({**said(text("Hi")), "newField": {"a": [1]}})),
    streamed(
        "a stream with another protocol's end",
        GREETING + b"data: [DONE]\n\n",
        differs="gateways send it, and the SDK gives up",
        heard=Heard("Grüße aus 東京 🧀", [], COUNTED, "end", MODEL),
    ),
    Exchange("a whole reply where a stream was asked for", encoded(said(text("whole"))), is_stream=True),
]


def broken(name: str, *chunks: JsonValue, error: type[ModelError], their_error: str = "", differs: str | None = None) -> Exchange:
    return streamed(name, events(*chunks), error=error, their_error=their_error, differs=differs)


BROKEN_STREAMS = [
    broken("a stream without its end", *words("so", " far"), error=Unavailable, differs="the SDK takes it for whole"),
    broken(
        "a stream without its end, that gave no reason",
        chunk(text("Hi"), finish="FINISH_REASON_UNSPECIFIED"),
        error=Unavailable,
        differs="the SDK takes it for whole",
    ),
    streamed("an empty stream", b"", error=Unavailable, differs="the SDK takes it for whole"),
    streamed(
        "a stream cut inside an event",
        GREETING[:-40],
        error=Unavailable,
        their_error="UnknownApiResponseError",
        differs="we saw no end at all",
    ),
    broken("a stream over its quota", *words("so far"), USED_UP, error=RateLimited, their_error="ClientError"),
    broken("a stream that is overloaded", *words("so far"), FULL, error=Overloaded, their_error="ServerError"),
    broken(
        "a stream with an internal error",
        *words("so far"),
        {"error": {"code": 500, "message": "Internal error encountered.", "status": "INTERNAL"}},
        error=Unavailable,
        their_error="ServerError",
    ),
    broken(
        "a stream with a bad request",
        {"error": {"code": 400, "message": "Please use a valid role: user, model.", "status": "INVALID_ARGUMENT"}},
        error=BadRequest,
        their_error="ClientError",
    ),
    broken(
        "a stream with an error without a code",
        {"error": {"message": "The caller does not have permission", "status": "PERMISSION_DENIED"}},
        error=AuthFailed,
        differs="the SDK looks at codes alone",
    ),
    broken("a stream with an error in words", {"error": "oops"}, error=Unavailable, differs="the SDK looks at codes alone"),
    broken("a stream of no JSON", "{half", error=ReplyInvalid, their_error="UnknownApiResponseError"),
    broken("a stream of another shape", {"candidates": "none"}, error=ReplyInvalid, differs="the SDK takes it for an empty reply"),
    broken(
        "a streamed call that the vendor could not read",
        *words("so far"),
        refused("MALFORMED_FUNCTION_CALL"),
        error=ReplyInvalid,
        differs=EMPTY,
    ),
]
USED_BEFORE_IT_BROKE = (streamed("a quota", events(chunk(text("so far"), usage=USAGE), USED_UP)), Usage(12, 6))
