"""Exchanges in OpenAI's Chat Completions, as the vendor's reference and the documents of other servers that speak them show them."""

import gzip
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace

from pydantic import JsonValue

from agent_sdk.core.errors import AuthFailed, BadRequest, ContentRefused, ContextTooLong, Overloaded, RateLimited, ReplyInvalid, Unavailable
from agent_sdk.core.ids import StepId
from agent_sdk.core.messages import ReasoningPart, TextPart, ToolCallPart
from agent_sdk.core.model import ModelSettings
from agent_sdk.core.usage import Usage
from agent_sdk.llm import QuotaExhausted
from tests.integration.exchanges.exchange import REQUEST, Exchange, Heard, encoded, events, plain, streamed

Value = dict[str, JsonValue]
DONE = "[DONE]"
HEAD: Value = {
    "id": "chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT",
    "created": 1741569952,
    "model": "gpt-5.4-2026-03-05",
    "service_tier": "default",
}
USAGE: Value = {
    "prompt_tokens": 19,
    "completion_tokens": 10,
    "total_tokens": 29,
    "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0, "accepted_prediction_tokens": 0},
}
COUNTED = Usage(19, 10)
MODEL = "gpt-5.4-2026-03-05"
HELLO = Heard("Hello.", usage=COUNTED, model=MODEL)


def whole(message: Value, finish: str | None = "stop", usage: JsonValue = USAGE, **more: JsonValue) -> Value:
    choice: Value = {"index": 0, "message": {"role": "assistant", "refusal": None, **message}, "logprobs": None, "finish_reason": finish}
    return {**HEAD, "object": "chat.completion", "choices": [choice], "usage": usage, **more}


def said(text: str | None, **more: JsonValue) -> Value:
    return {"content": text, "annotations": [], **more}


def call(name: str, arguments: JsonValue, number: int = 0, **more: JsonValue) -> Value:
    return {"id": f"call_{number}", "type": "function", "function": {"name": name, "arguments": arguments}, **more}


def calling(*calls: Value, text: str | None = None) -> Value:
    return {"content": text, "tool_calls": list[JsonValue](calls)}


def chunk(delta: Value, finish: str | None = None, **more: JsonValue) -> Value:
    choice: Value = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    return {**HEAD, "object": "chat.completion.chunk", "choices": [choice], **more}


def counted(usage: JsonValue = USAGE) -> Value:
    return {**HEAD, "object": "chat.completion.chunk", "choices": [], "usage": usage}


def chunks(*deltas: Value, finish: str | None = "stop", usage: JsonValue = USAGE) -> bytes:
    """Return a stream of these deltas, with its end and its count."""
    first: Value = {"role": "assistant", "content": "", "refusal": None}
    return events(chunk(first), *map(chunk, deltas), chunk({}, finish), counted(usage), DONE)


def texts(text: str, name: str = "content") -> Sequence[Value]:
    return [{name: text[n : n + 4]} for n in range(0, len(text), 4)]


def begin(index: int | None, name: str, arguments: str = "") -> Value:
    number: Value = {} if index is None else {"index": index}
    return {"tool_calls": [{**number, **call(name, arguments, index or 0)}]}


def more(index: int, arguments: str) -> Value:
    return {"tool_calls": [{"index": index, "function": {"arguments": arguments}}]}


def first(tool: str, args: dict[str, JsonValue], number: int = 1) -> ToolCallPart:
    return ToolCallPart(StepId(f"t1.{number}"), tool, args)


CITATION: JsonValue = {
    "type": "url_citation",
    "url_citation": {"start_index": 0, "end_index": 4, "url": "https://example.org", "title": "E"},
}
SAFE: Value = {"hate": {"filtered": False, "severity": "safe"}, "jailbreak": {"detected": False, "filtered": False}}
PROMPT_FILTER: JsonValue = [{"prompt_index": 0, "content_filter_results": SAFE}]


def by_the_vendor() -> Iterator[Exchange]:
    """Yield what OpenAI's own reference shows."""
    yield plain("text", whole(said("Hello.")), headers={"x-request-id": "req_1"})
    yield streamed("text, streamed", chunks(*texts("Hello.")), headers={"x-request-id": "req_1"})
    yield plain("unicode", whole(said("Grüße aus 東京 🧀\n\n\ttab and \u2028 line")))
    yield streamed("unicode, streamed", chunks(*texts("Grüße aus 東京 🧀\n\n\ttab and \u2028 line")))
    yield streamed("what looks like events", chunks(*texts("data: [DONE]\n\nevent: error\n\n")))
    yield plain("no content", whole(said(None)), parts=())
    yield streamed("no content, streamed", chunks(), parts=())
    yield plain("citations", whole(said("Cats are nice.", annotations=[CITATION])), parts=(TextPart("Cats are nice."),))
    yield streamed("citations, streamed", chunks(*texts("Cats are nice."), {"annotations": [CITATION]}))
    yield plain("sound beside the text", whole(said("Hi.", audio={"id": "a", "data": "UklG", "expires_at": 7, "transcript": "Hi."})))
    yield plain("logprobs", whole(said("Hi."), logprobs={"content": [{"token": "Hi", "logprob": -0.1, "bytes": None, "top_logprobs": []}]}))
    yield plain("fields that nobody knows", whole(said("Hi.", aura={"hue": 7}), karma=[1, None]))
    yield plain("a refusal", whole({"content": None, "refusal": "I will not."}), parts=(TextPart("I will not."),))
    yield streamed("a refusal, streamed", chunks(*texts("I will not.", "refusal")))
    yield plain("a call", whole(calling(call("search", '{"q":"cats"}')), "tool_calls"), parts=(first("search", {"q": "cats"}),))
    pieces = (begin(0, "search"), more(0, '{"q":'), more(0, '"käse 🧀"}'))
    yield streamed("a call, streamed", chunks(*pieces, finish="tool_calls"), parts=(first("search", {"q": "käse 🧀"}),))
    parallel = calling(*(call(f"tool_{n}", json.dumps({"n": n}), n) for n in range(8)), text="Let me see.")
    yield plain(
        "parallel calls",
        whole(parallel, "tool_calls"),
        parts=(TextPart("Let me see."), *(first(f"tool_{n}", {"n": n}, n + 1) for n in range(8))),
    )
    mixed = (begin(0, "a"), begin(1, "b"), more(1, '{"n"'), more(0, '{"n":'), more(1, ":2}"), more(0, "1}"))
    yield streamed(
        "arguments that come interleaved", chunks(*mixed, finish="tool_calls"), parts=(first("a", {"n": 1}), first("b", {"n": 2}, 2))
    )
    twice = calling(call("a", '{"n":1}'), call("a", '{"n":2}'))
    yield plain("two calls with one id", whole(twice, "tool_calls"), parts=(first("a", {"n": 1}), first("a", {"n": 2}, 2)))
    yield plain("arguments that are no JSON", whole(calling(call("a", '{"half": ')), "tool_calls"))
    yield plain("arguments that are no object", whole(calling(call("a", "[1]"), call("b", '"x"', 1)), "tool_calls"))
    yield plain("empty arguments", whole(calling(call("a", "")), "tool_calls"))
    megabyte = json.dumps({"text": "x" * 1_000_000})
    yield plain("arguments of a megabyte", whole(calling(call("write", megabyte)), "tool_calls"))
    halves = (begin(0, "write"), more(0, megabyte[:500_000]), more(0, megabyte[500_000:]))
    yield streamed("arguments of a megabyte, streamed", chunks(*halves, finish="tool_calls"))
    yield plain("cut off by its length", whole(said("cut o"), "length"))
    yield streamed("cut off by its length, streamed", chunks(*texts("cut o"), finish="length"))
    yield plain("cut off by the content filter", whole(said("The way"), "content_filter"))
    yield streamed("cut off by the content filter, streamed", chunks(*texts("The way"), finish="content_filter"))
    yield plain("stopped for no known reason", whole(said("Hm."), "boredom"))
    details: Value = {
        "prompt_tokens_details": {"cached_tokens": 1920, "cache_write_tokens": 64},
        "completion_tokens_details": {"reasoning_tokens": 90},
    }
    full: Value = {"prompt_tokens": 2048, "completion_tokens": 100, "total_tokens": 2148, **details}
    yield plain("cached input and thoughts that count", whole(said("Hi."), usage=full))
    yield streamed("cached input and thoughts that count, streamed", chunks(*texts("Hi."), usage=full))


def by_other_servers() -> Iterator[Exchange]:
    """Yield what Azure, vLLM, Ollama, llama.cpp, Groq, OpenRouter, DeepSeek, Mistral and Gemini's door for OpenAI's protocol send."""
    filtered = whole(said("Hello."), prompt_filter_results=PROMPT_FILTER)
    yield plain("Azure's filter results", filtered)
    asked: Value = {**HEAD, "model": "", "object": "", "id": "", "created": 0, "choices": [], "prompt_filter_results": PROMPT_FILTER}
    late: Value = {"index": 0, "finish_reason": None, "content_filter_offsets": {"check_offset": 1}, "content_filter_results": SAFE}
    passed: Value = {**HEAD, "object": "", "choices": [late]}
    yield streamed(
        "Azure's filter results, streamed",
        events(asked, chunk({"role": "assistant", "content": "Hello."}), passed, chunk({}, "stop"), counted(), DONE),
        heard=HELLO,
        differs="the SDK hands on a choice without a delta as it is, and each reader of its objects fails on that",
    )
    thought = (ReasoningPart("Hm, hm."), TextPart("Hello."))
    for name in ("reasoning_content", "reasoning"):
        yield plain(f"thoughts as {name}", whole(said("Hello.", **{name: "Hm, hm."})), parts=thought)
        yield streamed(f"thoughts as {name}, streamed", chunks(*texts("Hm, hm.", name), *texts("Hello.")), parts=thought)
    routed = said("Hello.", reasoning="Hm, hm.", reasoning_details=[{"type": "reasoning.text", "text": "Hm, hm.", "signature": "sig"}])
    yield plain("OpenRouter's thoughts in detail", whole(routed, native_finish_reason="STOP", provider="Anthropic"), parts=thought)
    comment = b": OPENROUTER PROCESSING\n\n"
    yield streamed("OpenRouter's comments", comment * 3 + chunks(*texts("Hello.")).replace(b"\n\n", b"\n\n" + comment))
    yield Exchange("DeepSeek's blank lines before a reply", b"\n" * 9 + encoded(whole(said("Hello."))))
    hits: Value = {**USAGE, "prompt_cache_hit_tokens": 3, "prompt_cache_miss_tokens": 16}
    yield plain("DeepSeek's usage", whole(said("Hello."), usage=hits))
    yield plain("DeepSeek out of resources", whole(said("Hel"), "insufficient_system_resource"))
    yield plain("Ollama stops at a call", whole(calling(call("search", '{"q":1}')), "stop"), differs=STOPPED, heard=CALLED)
    same = chunks(begin(0, "a", '{"n":1}'), {"tool_calls": [{"index": 0, **call("b", '{"n":2}', 1)}]})
    two = replace(CALLED, calls=[("a", '{"n": 1}'), ("b", '{"n": 2}')])
    yield streamed("Ollama numbers every call 0", same, differs="the SDK takes a second id for more of the first call", heard=two)
    unnumbered = chunks(begin(None, "a", '{"n":1}'), {"tool_calls": [call("b", '{"n":2}', 1)]}, finish="tool_calls")
    yield streamed("Gemini numbers no call", unnumbered, differs="the SDK has no index to put them together by", heard=two)
    objects = whole(calling(call("search", {"q": 1})), "tool_calls")
    yield plain("arguments that are an object", objects, differs="the SDK hands on what is no text, and says that it is", heard=CALLED)
    timings: Value = {"timings": {"prompt_n": 1, "predicted_ms": 35.3}, "__verbose": {"content": "Hello."}}
    yield plain("llama.cpp's timings", {**whole(said("Hello.")), **timings})
    yield streamed(
        "vLLM counts with every chunk",
        events(chunk({"content": "Hello."}, usage={**USAGE, "completion_tokens": 1}), chunk({}, "stop"), counted(), DONE),
    )
    yield plain(
        "vLLM's own fields", whole(said("Hello.", function_call=None, tool_calls=[]), prompt_logprobs=None, kv_transfer_params=None)
    )
    grouped: Value = {"x_groq": {"id": "req_01jbd6g2qdfw2adyrt2az8hz4w"}, "usage_breakdown": None, "queue_time": 0.03}
    yield plain("Groq's own fields", {**whole(said("Hello.")), **grouped})
    parts: JsonValue = [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}, {"type": "text", "text": "Hello."}]
    yield plain(
        "Mistral's content in parts", whole({"content": parts}), differs="the SDK hands on the list, and says that it is text", heard=HELLO
    )
    yield plain(
        "two answers, the second first", second_first(), differs="the SDK's list is as it came, and ours is the answer 0", heard=HELLO
    )
    old: Value = {"content": None, "function_call": {"name": "a", "arguments": "{}"}}
    ended = replace(HELLO, text="")
    yield plain("a call of the age before tools", whole(old, "function_call"), differs="we offer no functions, and take none", heard=ended)


STOPPED = "a call is a call, whatever the server says of why it stopped"
CALLED = Heard("", [("search", '{"q": 1}')], COUNTED, "tool_calls", MODEL)


def second_first() -> Value:
    body = whole(said("Hello."))
    choices = body["choices"]
    assert isinstance(choices, list)
    other: Value = {"index": 1, "message": {"role": "assistant", "content": "Other."}, "finish_reason": "length"}
    return {**body, "choices": [other, *choices]}


def own_reading() -> Iterator[Exchange]:
    """Yield what the SDK takes as it comes, and we do not."""
    none = "the SDK hands on whatever stands there as usage, and our counts are never below 0"
    heard = replace(HELLO, usage=Usage())
    yield plain("no usage", whole(said("Hello."), usage=None))
    yield streamed("no usage, streamed", events(chunk({"content": "Hello."}), chunk({}, "stop"), DONE))
    yield plain("usage of zeros", whole(said("Hello."), usage={"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}))
    yield plain("usage below zero", whole(said("Hello."), usage={"prompt_tokens": -1, "completion_tokens": -7}), heard=heard, differs=none)
    yield plain("usage in words", whole(said("Hello."), usage={"prompt_tokens": "7", "completion_tokens": None}), heard=heard, differs=none)
    yield plain("usage that is no object", whole(said("Hello."), usage="much"), heard=heard, differs=none)
    huge = replace(HELLO, usage=Usage(10**9, 1))
    yield plain(
        "usage beyond all bounds", whole(said("Hello."), usage={"prompt_tokens": 10**30, "completion_tokens": 1}), heard=huge, differs=none
    )
    halves = b'{"choices":[{"index":0,"message":{"role":"assistant","content":"a\\ud83d b"},"finish_reason":"stop"}],"model":"m"}'
    yield Exchange(
        "half a character", halves, heard=Heard("a\ufffd b", model="m"), differs="the SDK hands on half a character, which no file can keep"
    )
    bare = "our output comes back as its schema says; the SDK leaves the object around it"
    array = replace(REQUEST, output_schema={"type": "array", "items": {"type": "integer"}})
    listed = replace(HELLO, text="[1, 2]")
    yield plain("an output that is no object", whole(said('{"value":[1,2]}')), request=array, heard=listed, differs=bare)
    by_tool = replace(array, settings=ModelSettings(output_mode="tool"))
    given = chunks(begin(0, "give_the_answer"), more(0, '{"value":'), more(0, "[1,2]}"), finish="tool_calls")
    yield streamed("an output given to a tool", given, request=by_tool, heard=listed, differs=bare)
    stream = chunks(*texts("Hello."))
    yield streamed("lines that end in CRLF", stream.replace(b"\n", b"\r\n"))
    yield streamed("comments", b": hello\n" + stream.replace(b"\n\n", b"\n\n: still here\n\n"))
    yield streamed("other fields", stream.replace(b"data:", b"event: chunk\nid: 7\nretry: 9\naura: blue\ndata:"))
    yield streamed("compressed", gzip.compress(stream, mtime=0), headers={"Content-Encoding": "gzip"})
    yield plain(
        "a whole reply in place of a stream", whole(said("Hello.")), is_stream=True, heard=HELLO, differs="the SDK reads no events in it"
    )
    yield streamed("no end mark", stream[: stream.index(b"data: [DONE]")])


def error(message: str, kind: str | None = "invalid_request_error", code: JsonValue = None, **more: JsonValue) -> Value:
    return {"error": {"message": message, "type": kind, "param": None, "code": code, **more}}


THEIRS = {
    400: "BadRequestError",
    401: "AuthenticationError",
    403: "PermissionDeniedError",
    404: "NotFoundError",
    409: "ConflictError",
    422: "UnprocessableEntityError",
    429: "RateLimitError",
}


def refusals() -> Iterator[Exchange]:
    """Yield errors of every status, in the words of several servers, asked for whole and as a stream."""
    inner: Value = {"code": "ResponsibleAIPolicyViolation", "content_filter_result": SAFE}
    too_long = "This model's maximum context length is 4096 tokens. However, your request has 5000 input tokens."
    rows: tuple[tuple[str, int, JsonValue, type], ...] = (
        ("a bad value", 400, error("Invalid value."), BadRequest),
        ("too long a context", 400, error("Too long.", code="context_length_exceeded"), ContextTooLong),
        ("vLLM's too long a context", 400, {"object": "error", "message": too_long, "type": "BadRequestError"}, ContextTooLong),
        ("llama.cpp's too long a context", 400, error("the request exceeds it", "exceed_context_size_error", 400), ContextTooLong),
        ("Azure's filtered prompt", 400, error("The response was filtered", None, "content_filter", innererror=inner), ContentRefused),
        ("Groq's failed call", 400, error("Failed to call a function.", code="tool_use_failed", failed_generation="<f"), BadRequest),
        ("a wrong key", 401, error("Incorrect API key provided.", code="invalid_api_key"), AuthFailed),
        ("DeepSeek without money", 402, error("Insufficient Balance", "unknown_error"), QuotaExhausted),
        ("a forbidden model", 403, error("No access."), AuthFailed),
        ("an unknown model", 404, error("The model 'm' does not exist", code="model_not_found"), BadRequest),
        ("Ollama's unknown model", 404, error('model "m" not found, try pulling it first', "api_error"), BadRequest),
        ("too slow a request", 408, error("Timeout."), Unavailable),
        ("a conflict", 409, error("Locked."), Unavailable),
        ("too large a body", 413, error("Too large."), ContextTooLong),
        ("an odd request", 422, {"detail": [{"loc": ["body"], "msg": "field required"}]}, BadRequest),
        ("too many requests", 429, error("Rate limit reached", "requests", "rate_limit_exceeded"), RateLimited),
        ("no money left", 429, error("You exceeded your quota", "insufficient_quota", "insufficient_quota"), QuotaExhausted),
        ("Groq without capacity", 498, error("Capacity exceeded"), Overloaded),
        ("a failure inside", 500, error("The server had an error", "server_error"), Unavailable),
        ("OpenRouter's provider failed", 502, error("Provider returned error", code=502), Unavailable),
        ("llama.cpp loads its model", 503, error("Loading model", "unavailable_error", 503), Overloaded),
        ("a timeout of a proxy", 504, "upstream timed out", Unavailable),
    )
    for name, status, body, kind in rows:
        theirs = THEIRS.get(status, "APIStatusError" if status < 500 else "InternalServerError")
        for is_stream in (False, True):
            yield plain(f"{name}{', streamed' * is_stream}", body, status=status, error=kind, their_error=theirs, is_stream=is_stream)
    page = b"<html><head><title>502 Bad Gateway</title></head></html>"
    yield Exchange("a page of a proxy", page, Unavailable, "InternalServerError", 502, "text/html")
    yield Exchange("a page in place of a reply", page, ReplyInvalid, content_type="text/html", differs="the SDK returns the page's text")
    yield Exchange(
        "a redirect",
        b"",
        BadRequest,
        status=307,
        headers={"Location": "http://127.0.0.1:1/"},
        differs="the SDK follows it, and fails there",
    )
    yield Exchange("a teapot", b"I am a teapot", ReplyInvalid, "JSONDecodeError")
    yield Exchange("half a reply", encoded(whole(said("Hello.")))[:-90], ReplyInvalid, "JSONDecodeError")
    yield plain("no choices", {**HEAD, "choices": []}, error=ReplyInvalid, differs="the SDK checks nothing")
    yield plain("an error in place of a reply", error("busy", code=429), error=RateLimited, differs="the SDK checks nothing")
    failed: Value = {
        "index": 0,
        "message": {"role": "assistant", "content": "Hel"},
        "finish_reason": "error",
        "error": {"code": 502, "message": "died"},
    }
    yield plain("OpenRouter's error in a choice", {**HEAD, "choices": [failed]}, error=Unavailable, differs="the SDK hands on the choice")


def broken_streams() -> Iterator[Exchange]:
    """Yield streams that say an error, or nothing that could be a reply."""
    begun = events(chunk({"role": "assistant", "content": "Hel"}))
    rows: tuple[tuple[str, Value, type], ...] = (
        ("a failure in mid-stream", error("The server had an error", "server_error"), Unavailable),
        ("overloaded in mid-stream", error("Overloaded", "overloaded_error"), Overloaded),
        ("limited in mid-stream", error("Slow down", code="rate_limit_exceeded"), RateLimited),
        (
            "OpenRouter's failure in mid-stream",
            {**chunk({"content": ""}, "error"), **error("Provider disconnected", None, 502)},
            Unavailable,
        ),
        ("vLLM's failure in mid-stream", error("Internal", "InternalServerError", 500), Unavailable),
    )
    for name, said_so, kind in rows:
        yield streamed(name, begun + events(said_so), error=kind, their_error="APIError")
    quiet = "the SDK ends quietly, with what came"
    yield streamed("no events", b"", error=Unavailable, differs=quiet)
    yield streamed("nothing but the end", events(DONE), error=ReplyInvalid, differs=quiet)
    yield streamed("no end", begun, error=Unavailable, differs=quiet)
    yield streamed("half an event", begun + b'data: {"choices": [{"delta"', error=Unavailable, differs=quiet)
    yield streamed("an event that is no JSON", begun + b"data: {half\n\n", error=ReplyInvalid, their_error="JSONDecodeError")
    yield streamed("a wrong value", begun + events(chunk({"content": 5})), error=ReplyInvalid, differs="the SDK checks nothing")
    yield streamed("a call without a name", begun + events(chunk(more(0, "{}"))), error=ReplyInvalid, differs="the SDK checks nothing")


EXCHANGES = (*by_the_vendor(), *by_other_servers(), *own_reading(), *refusals(), *broken_streams())
