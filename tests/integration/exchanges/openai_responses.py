"""Exchanges in OpenAI's Responses, after the vendor's reference: each well-formed reply whole and as the events it is streamed in."""

import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import count

from pydantic import JsonValue

from agent_sdk.core.errors import AuthFailed, BadRequest, ContentRefused, ContextTooLong, Overloaded, RateLimited, ReplyInvalid, Unavailable
from agent_sdk.core.ids import StepId
from agent_sdk.core.messages import Part, ReasoningPart, TextPart, ToolCallPart
from agent_sdk.core.model import ModelSettings
from agent_sdk.core.usage import Usage
from agent_sdk.llm import QuotaExhausted
from tests.integration.exchanges.exchange import REQUEST, Exchange, Heard, encoded, events, plain, streamed

Value = dict[str, JsonValue]
ARRAY: Value = {"type": "array", "items": {"type": "integer"}}


def message(text: str, phase: str | None = None, *annotations: JsonValue) -> Value:
    content: Value = {"type": "output_text", "annotations": list(annotations), "logprobs": [], "text": text}
    item: Value = {"id": "msg_1", "type": "message", "status": "completed", "role": "assistant", "content": [content]}
    return item if phase is None else {**item, "phase": phase}


def refusal(text: str) -> Value:
    content: Value = {"type": "refusal", "refusal": text}
    return {"id": "msg_1", "type": "message", "status": "completed", "role": "assistant", "content": [content]}


def reasoning(*summary: str, sealed: str | None = None, identity: str = "rs_1") -> Value:
    pieces: list[JsonValue] = [{"type": "summary_text", "text": text} for text in summary]
    return {"id": identity, "type": "reasoning", "summary": pieces, "encrypted_content": sealed}


def call(name: str, arguments: str, number: int = 1) -> Value:
    item: Value = {"id": f"fc_{number}", "type": "function_call", "status": "completed", "call_id": f"call_{number}"}
    return {**item, "name": name, "arguments": arguments}


USAGE: Value = {
    "input_tokens": 36,
    "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
    "output_tokens": 87,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 123,
}


def usage(asked: JsonValue, said: JsonValue, cached: JsonValue = 0, thought: JsonValue = 0, written: JsonValue = 0) -> Value:
    return {
        "input_tokens": asked,
        "input_tokens_details": {"cached_tokens": cached, "cache_write_tokens": written},
        "output_tokens": said,
        "output_tokens_details": {"reasoning_tokens": thought},
    }


def response(*output: Value, status: str = "completed", **more: JsonValue) -> Value:
    """Return a whole reply with what the vendor echoes of the request."""
    whole: Value = {
        "id": "resp_67ccd2bed1ec8190b14f964abc0542670bb6a6b452d3795b",
        "object": "response",
        "created_at": 1741476542,
        "status": status,
        "error": None,
        "incomplete_details": None,
        "instructions": "Be brief.",
        "max_output_tokens": None,
        "model": "gpt-5.4-2026-03-05",
        "output": list[JsonValue](output),
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "store": False,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": USAGE,
        "user": None,
        "metadata": {},
    }
    return {**whole, **more}


def stream_of(whole: Value, end: str = "response.completed") -> bytes:
    """Return the events by which the vendor streams a reply, their deltas a few characters each."""
    begun: Value = {**whole, "status": "in_progress", "output": [], "usage": None}
    items = whole["output"]
    assert isinstance(items, list)
    said: list[Value] = [{"type": "response.created", "response": begun}, {"type": "response.in_progress", "response": begun}]
    for index, item in enumerate(items):
        assert isinstance(item, dict)
        said += _item_events(item, {"output_index": index, "item_id": item.get("id")})
    return numbered(*said, {"type": end, "response": whole})


def numbered(*values: Value) -> bytes:
    numbers = count()
    return events(*({**value, "sequence_number": next(numbers)} for value in values), is_named=True)


def _item_events(item: Value, at: Value) -> Iterator[Value]:
    index: Value = {"output_index": at["output_index"]}
    empty: Value = {"content": []} if item["type"] == "message" else {"arguments": ""} if item["type"] == "function_call" else {}
    yield {"type": "response.output_item.added", **index, "item": {**item, "status": "in_progress", **empty}}
    match item:
        case {"type": "message", "content": [*contents]}:
            for n, content in enumerate(contents):
                yield from _content_events(content, {**at, "content_index": n})
        case {"type": "reasoning", "summary": [*pieces]}:
            for n, piece in enumerate(pieces):
                yield from _summary_events(piece, {**at, "summary_index": n})
        case {"type": "function_call", "arguments": str(arguments)}:
            for delta in cut(arguments):
                yield {"type": "response.function_call_arguments.delta", **at, "delta": delta, "obfuscation": "x7f"}
            yield {"type": "response.function_call_arguments.done", **at, "arguments": arguments, "name": item["name"]}
        case _:
            yield {"type": f"response.{item['type']}.in_progress", **at}
    yield {"type": "response.output_item.done", **index, "item": item}


def _content_events(content: JsonValue, at: Value) -> Iterator[Value]:
    assert isinstance(content, dict)
    is_refusal = content["type"] == "refusal"
    name, kind = ("refusal", "response.refusal") if is_refusal else ("text", "response.output_text")
    text = str(content[name])
    yield {"type": "response.content_part.added", **at, "part": {**content, name: ""}}
    for delta in cut(text):
        yield {"type": f"{kind}.delta", **at, "delta": delta, "logprobs": []}
    annotations = content.get("annotations", [])
    for n, annotation in enumerate(annotations if isinstance(annotations, list) else ()):
        yield {"type": "response.output_text.annotation.added", **at, "annotation_index": n, "annotation": annotation}
    yield {"type": f"{kind}.done", **at, name: text}
    yield {"type": "response.content_part.done", **at, "part": content}


def _summary_events(piece: JsonValue, at: Value) -> Iterator[Value]:
    assert isinstance(piece, dict)
    yield {"type": "response.reasoning_summary_part.added", **at, "part": {"type": "summary_text", "text": ""}}
    for delta in cut(str(piece["text"])):
        yield {"type": "response.reasoning_summary_text.delta", **at, "delta": delta}
    yield {"type": "response.reasoning_summary_text.done", **at, "text": piece["text"]}
    yield {"type": "response.reasoning_summary_part.done", **at, "part": piece}


def cut(text: str) -> Sequence[str]:
    return [text[n : n + 5] for n in range(0, len(text), 5)] if len(text) < 5_000 else [text[: len(text) // 2], text[len(text) // 2 :]]


def sealed(item: Value) -> str:
    """Return a thought as we keep it."""
    return encoded({name: value for name, value in item.items() if value is not None}).decode()


THOUGHT = reasoning("**Looking**\n\nThe user greets.", "So do I.", sealed="gAAAAABpF-q9==")
THOUGHT_PART = ReasoningPart("**Looking**\n\nThe user greets.\n\nSo do I.", sealed(THOUGHT))
CITATION: JsonValue = {"type": "url_citation", "start_index": 0, "end_index": 5, "url": "https://example.org", "title": "Example"}
FILE_CITATION: JsonValue = {"type": "file_citation", "file_id": "file-1", "filename": "a.pdf", "index": 3}
SEARCHED: Value = {"id": "ws_1", "type": "web_search_call", "status": "completed", "action": {"type": "search", "query": "cats"}}
UNKNOWN: Value = {"id": "tc_1", "type": "telepathy_call", "status": "completed", "content": "odd", "name": 7}


def first(tool: str, args: dict[str, JsonValue], number: int = 1) -> ToolCallPart:
    return ToolCallPart(StepId(f"t1.{number}"), tool, args)


REPLIES: Mapping[str, tuple[Value, tuple[Part, ...] | None]] = {
    "text": (response(message("Hello there.")), (TextPart("Hello there."),)),
    "unicode": (response(message("Grüße aus 東京 🧀\n\n\ttab and \u2028 line")), None),
    "what looks like events": (response(message('data: [DONE]\n\nevent: error\ndata: {"error": {}}')), None),
    "a long text": (response(message("word " * 400)), None),
    "an empty text": (response(message("")), ()),
    "no output at all": (response(), ()),
    "an answer in its phase": (response(message("Done.", "final_answer")), (TextPart("Done.", "final_answer"),)),
    "a remark, then a call": (
        response(message("Let me look.", "commentary"), call("search", '{"q":"cats"}')),
        (TextPart("Let me look.", "commentary"), first("search", {"q": "cats"})),
    ),
    "a remark, then the answer": (response(message("Let me see. ", "commentary"), message("Yes.", "final_answer")), None),
    "two contents in one message": (
        response({**message("One "), "content": [{"type": "output_text", "text": text, "annotations": []} for text in ("One ", "two.")]}),
        (TextPart("One two."),),
    ),
    "citations": (response(message("Cats are nice.", None, CITATION, FILE_CITATION)), (TextPart("Cats are nice."),)),
    "a call": (response(call("search", '{"q":"cats"}')), (first("search", {"q": "cats"}),)),
    "a call without arguments": (response(call("now", "{}")), None),
    "a call in a name of ours": (response(call("files_read", '{"path":"käse 🧀","deep":{"list":[1,2.5,null,true]}}')), None),
    "parallel calls": (
        response(*(call(f"tool_{n}", json.dumps({"n": n, "text": "word " * n}), n) for n in range(1, 6))),
        tuple(first(f"tool_{n}", {"n": n, "text": "word " * n}, n) for n in range(1, 6)),
    ),
    "two calls with one id": (response(call("a", '{"n":1}'), call("a", '{"n":2}')), (first("a", {"n": 1}), first("a", {"n": 2}, 2))),
    "arguments that are no JSON": (response(call("search", '{"half": ')), None),
    "arguments that are no object": (response(call("search", "[1]"), call("search", '"text"', 2)), None),
    "empty arguments": (response(call("search", "")), None),
    "arguments of a megabyte": (response(call("write", json.dumps({"text": "x" * 1_000_000}))), None),
    "sealed thoughts, then an answer": (response(THOUGHT, message("Hi.")), (THOUGHT_PART, TextPart("Hi."))),
    "sealed thoughts without a summary, then calls": (
        response(reasoning(sealed="gAAAA1"), call("a", '{"n":1}'), reasoning(sealed="gAAAA2", identity="rs_2"), call("b", '{"n":2}', 2)),
        (
            ReasoningPart("", sealed(reasoning(sealed="gAAAA1"))),
            first("a", {"n": 1}),
            ReasoningPart("", sealed(reasoning(sealed="gAAAA2", identity="rs_2"))),
            first("b", {"n": 2}, 2),
        ),
    ),
    "thoughts that are not sealed": (response(reasoning("Hm."), message("Hi.")), (ReasoningPart("Hm."), TextPart("Hi."))),
    "thoughts of which nothing is said": (response(reasoning(), message("Hi.")), (TextPart("Hi."),)),
    "a refusal": (response(refusal("I will not.")), (TextPart("I will not."),)),
    "a web search that we do not model": (response(SEARCHED, message("Found.", None, CITATION)), (TextPart("Found."),)),
    "an item that nobody knows": (response(UNKNOWN, message("Hi.")), (TextPart("Hi."),)),
    "fields that nobody knows": (response({**message("Hi."), "aura": {"hue": 7}}, karma=[1, {"a": None}]), (TextPart("Hi."),)),
    "cached input": (response(message("Hi."), usage=usage(2_048, 9, cached=1_920, written=64)), None),
    "thoughts that count": (response(THOUGHT, message("Hi."), usage=usage(11, 1_200, thought=1_100)), None),
}
INCOMPLETE: Mapping[str, tuple[Value, Heard | None]] = {
    "cut off by its length": (response(message("cut o"), status="incomplete", incomplete_details={"reason": "max_output_tokens"}), None),
    "a call cut off": (response(call("a", '{"text": "ha'), status="incomplete", incomplete_details={"reason": "max_output_tokens"}), None),
    "cut off by the content filter": (
        response(message("The way to"), status="incomplete", incomplete_details={"reason": "content_filter"}),
        None,
    ),
    "cut off, nobody knows why": (response(message("Hm"), status="incomplete", incomplete_details={"reason": "boredom"}), None),
    "cut off without a word": (response(message("Hm"), status="incomplete"), None),
}


def well_formed() -> Iterator[Exchange]:
    for name, (whole, parts) in REPLIES.items():
        yield plain(name, whole, parts=parts, headers={"x-request-id": "req_1"})
        yield streamed(f"{name}, streamed", stream_of(whole), parts=parts, headers={"x-request-id": "req_1"})
    for name, (whole, _) in INCOMPLETE.items():
        yield plain(name, whole)
        yield streamed(f"{name}, streamed", stream_of(whole, "response.incomplete"))


PLAIN_HEARD = Heard("Hello.", usage=Usage(36, 87), model="gpt-5.4-2026-03-05")
HELLO = response(message("Hello."))
STREAM = stream_of(HELLO)
OUTPUT = replace(REQUEST, output_schema=ARRAY)
OUTPUT_TOOL = replace(REQUEST, output_schema=ARRAY, settings=ModelSettings(output_mode="tool"))


def own_reading() -> Iterator[Exchange]:
    """Yield what the SDK takes as it comes, and we do not."""
    none = "the SDK hands on whatever stands there as usage, and our counts are never below 0"
    heard = replace(PLAIN_HEARD, usage=Usage())
    yield plain("no usage", response(message("Hello."), usage=None), heard=heard, differs="the SDK has no counts, ours are 0")
    yield plain("usage of zeros", response(message("Hello."), usage=usage(0, 0)))
    yield plain("usage below zero", response(message("Hello."), usage=usage(-5, -1, -2, -3)), heard=heard, differs=none)
    yield plain("usage in words", response(message("Hello."), usage=usage("7", [1], None, {})), heard=heard, differs=none)
    yield plain("usage that is no object", response(message("Hello."), usage="much"), heard=heard, differs=none)
    huge = replace(PLAIN_HEARD, usage=Usage(10**9, 1))
    yield plain("usage beyond all bounds", response(message("Hello."), usage=usage(10**30, 1)), heard=huge, differs=none)
    unwrapped = replace(PLAIN_HEARD, text="[1, 2]")
    bare = "our output comes back as its schema says; the SDK leaves the object around it"
    yield plain("an output that is no object", response(message('{"value":[1,2]}')), request=OUTPUT, heard=unwrapped, differs=bare)
    remarked = response(message("Counting.", "commentary"), message('{"value":[1,2]}', "final_answer"))
    yield streamed("an output with a remark", stream_of(remarked), request=OUTPUT, heard=unwrapped, differs=bare)
    given = response(call("give_the_answer", '{"value":[1,2]}'))
    yield plain("an output given to a tool", given, request=OUTPUT_TOOL, heard=unwrapped, differs=bare)
    unfinished = replace(PLAIN_HEARD, text="", stop="other", usage=Usage())
    queued = response(status="queued", usage=None)
    yield plain("a reply that is still to come", queued, heard=unfinished, differs="the SDK has no counts, ours are 0")
    halves = (
        b'{"object":"response","status":"completed","output":[{"type":"message","content":[{"type":"output_text","text":"a\\ud83d b"}]}]}'
    )
    yield Exchange(
        "half a character", halves, heard=Heard("a\ufffd b"), differs="the SDK hands on half a character, which no file can keep"
    )
    lean = events({"type": "response.completed", "response": {"status": "completed", "output": [], "model": "gpt-5.4-2026-03-05"}})
    done: Value = {"type": "response.output_item.done", "output_index": 0, "item": message("Hello.")}
    streamed_lean = replace(PLAIN_HEARD, usage=Usage())
    why = "the SDK's last event is empty, and we go by the items that came before"
    yield streamed("items in their own events alone", events(done) + lean, heard=streamed_lean, differs=why)
    calls: Value = {"type": "response.output_item.done", "output_index": 1, "item": call("a", '{"n":1}')}
    heard_call = replace(streamed_lean, calls=[("a", '{"n": 1}')], stop="tool_calls")
    yield streamed("a call in its own event alone", events(done, calls) + lean, heard=heard_call, differs=why)


def odd_streams() -> Iterator[Exchange]:
    """Yield streams that are right, and unlike what servers usually send."""
    yield streamed("lines that end in CRLF", STREAM.replace(b"\n", b"\r\n"))
    yield streamed("comments between events", b": hello\n\n" + STREAM.replace(b"\n\n", b"\n\n: still here\n\n"))
    yield streamed("an end mark after the end", STREAM + b"data: [DONE]\n\n")
    yield streamed("events without names", b"".join(line + b"\n\n" for line in STREAM.split(b"\n") if line.startswith(b"data:")))
    yield streamed("fields of events that nobody knows", b"id: 7\nretry: 1000\n" + STREAM)
    unknown = numbered({"type": "response.keepalive"}, {"type": "response.aura.delta", "delta": {"hue": 7}}, {"type": "x", "delta": "y"})
    yield streamed("events that nobody knows", unknown + STREAM)
    two = response(call("a", '{"text":"one and"}'), call("b", '{"text":"two"}', 2))
    yield streamed("arguments that come interleaved", interleaved(two))
    yield plain("a whole reply in place of a stream", HELLO, is_stream=True, differs=GIVES_UP, heard=PLAIN_HEARD)
    yield streamed("compressed", gzip.compress(STREAM, mtime=0), headers={"Content-Encoding": "gzip"})


GIVES_UP = "the SDK reads no events in it"


def interleaved(whole: Value) -> bytes:
    lines = [event + b"\n\n" for event in stream_of(whole).split(b"\n\n") if event]
    head, tail = lines[:2], lines[-1:]
    one = [line for line in lines[2:-1] if b'"output_index":0' in line]
    two = [line for line in lines[2:-1] if b'"output_index":1' in line]
    mixed = [line for pair in zip(one, two, strict=False) for line in pair]
    return b"".join([*head, *mixed, *one[len(two) :], *two[len(one) :], *tail])


def error(message: str, kind: str = "invalid_request_error", code: str | None = None, param: str | None = None) -> Value:
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def refusals() -> Iterator[Exchange]:
    """Yield every status that the vendor documents, asked for whole and as a stream."""
    rows = (
        ("a bad value", 400, error("Invalid value: 'x'.", param="input"), BadRequest, "BadRequestError"),
        ("too long a context", 400, error("Too long.", code="context_length_exceeded"), ContextTooLong, "BadRequestError"),
        ("a prompt against the rules", 400, error("Your prompt was flagged.", code="invalid_prompt"), ContentRefused, "BadRequestError"),
        ("an image that is none", 400, error("No image.", code="invalid_image_format"), BadRequest, "BadRequestError"),
        ("a wrong key", 401, error("Incorrect API key provided.", code="invalid_api_key"), AuthFailed, "AuthenticationError"),
        ("a forbidden country", 403, error("Country not supported", "request_forbidden"), AuthFailed, "PermissionDeniedError"),
        ("an unknown model", 404, error("The model 'm' does not exist", code="model_not_found"), BadRequest, "NotFoundError"),
        ("thoughts that are gone", 404, error("Item with id 'rs_1' not found.", param="input"), BadRequest, "NotFoundError"),
        ("a conflict", 409, error("Locked."), Unavailable, "ConflictError"),
        ("too large a body", 413, error("Too large."), ContextTooLong, "APIStatusError"),
        ("an odd request", 422, error("Unprocessable."), BadRequest, "UnprocessableEntityError"),
        ("too many requests", 429, error("Rate limit reached", "requests", "rate_limit_exceeded"), RateLimited, "RateLimitError"),
        (
            "no money left",
            429,
            error("You exceeded your quota", "insufficient_quota", "insufficient_quota"),
            QuotaExhausted,
            "RateLimitError",
        ),
        ("a failure inside", 500, error("The server had an error", "server_error"), Unavailable, "InternalServerError"),
        ("overloaded", 503, error("The engine is overloaded", "server_error"), Overloaded, "InternalServerError"),
    )
    for name, status, body, kind, theirs in rows:
        for is_stream in (False, True):
            yield plain(f"{name}{', streamed' * is_stream}", body, status=status, error=kind, their_error=theirs, is_stream=is_stream)
    page = b"<html><head><title>502 Bad Gateway</title></head></html>"
    yield Exchange("a page of a proxy", page, Unavailable, "InternalServerError", 502, "text/html")
    moved = {"Location": "http://127.0.0.1:1/elsewhere"}
    yield Exchange(
        "a redirect", b"", BadRequest, status=307, headers=moved, differs="the SDK follows it, and cannot connect there", is_stream=True
    )
    yield Exchange("a page in place of a reply", page, ReplyInvalid, content_type="text/html", differs="the SDK returns the page's text")
    yield Exchange("a teapot", b"I am a teapot", ReplyInvalid, "JSONDecodeError")
    yield Exchange("half a reply", encoded(HELLO)[:-200], ReplyInvalid, "JSONDecodeError")
    yield plain("JSON of another kind", {"choices": []}, error=ReplyInvalid, differs="the SDK checks nothing")
    yield plain(
        "an error in place of a reply", error("busy", code="rate_limit_exceeded"), error=RateLimited, differs="the SDK checks nothing"
    )
    failed = response(status="failed", error={"code": "server_error", "message": "The model failed."})
    yield plain("a reply that failed", failed, error=Unavailable, their_error="Failed")


def broken_streams() -> Iterator[Exchange]:
    """Yield streams that say an error, or nothing that could be a reply."""
    begun = numbered({"type": "response.created", "response": response(status="in_progress", usage=None)})
    for code, kind in (
        ("server_error", Unavailable),
        ("rate_limit_exceeded", RateLimited),
        ("context_length_exceeded", ContextTooLong),
        ("invalid_prompt", ContentRefused),
        ("bio_policy", ContentRefused),
        ("image_parse_error", BadRequest),
        ("data_residency_mismatch", BadRequest),
        ("vector_store_timeout", Unavailable),
    ):
        failed: Value = response(status="failed", error={"code": code, "message": "It failed."}, usage=usage(7, 3))
        yield streamed(
            f"failed with {code}", begun + numbered({"type": "response.failed", "response": failed}), error=kind, their_error="Failed"
        )
    flat: Value = {"type": "error", "code": "rate_limit_exceeded", "message": "Slow down.", "param": None}
    nested: Value = {"type": "error", "error": {"type": "server_error", "code": "overloaded", "message": "Overloaded."}}
    yield streamed("an error event", begun + numbered(flat), error=RateLimited, their_error="Failed")
    yield streamed("an error event of the older shape", begun + numbered(nested), error=Overloaded, their_error="APIError")
    why = "the SDK ends quietly, without a response"
    yield streamed("no events", b"", error=Unavailable, differs=why)
    yield streamed("no last event", STREAM[: STREAM.rindex(b"event: ")], error=Unavailable, differs=why)
    yield streamed("half a last event", STREAM[:-300], error=Unavailable, differs=why)
    yield streamed("an event that is no JSON", begun + b"data: {half\n\n", error=ReplyInvalid, their_error="JSONDecodeError")
    wrong: Value = {"type": "response.output_item.done", "output_index": 0, "item": {"type": "message", "content": 5}}
    yield streamed(
        "a wrong value",
        numbered(wrong) + STREAM.replace(b'"output":[{', b'"output":[5,{'),
        error=ReplyInvalid,
        differs="the SDK checks nothing",
    )
    nameless: Value = {"type": "response.output_item.added", "output_index": 0, "item": {"type": "function_call", "arguments": ""}}
    yield streamed("a call without a name", numbered(nameless), error=ReplyInvalid, differs=why)


EXCHANGES = (*well_formed(), *own_reading(), *odd_streams(), *refusals(), *broken_streams())
