"""Streamed replies of Anthropic's Messages, written after the vendor's public documentation."""

from pydantic import JsonValue

from agent_sdk.core.errors import BadRequest, ContextTooLong, Overloaded, RateLimited, ReplyInvalid, Unavailable
from agent_sdk.core.messages import ReasoningPart, TextPart
from agent_sdk.core.usage import Usage
from tests.integration.exchanges.anthropic import CITATION, FOUND, MODEL, SIGNATURE, WITH_TOOLS
from tests.integration.exchanges.exchange import Exchange, Heard, events, streamed

PING: JsonValue = {"type": "ping"}
STOP: JsonValue = {"type": "message_stop"}
COUNTED = Usage(25, 15)


def start(usage: JsonValue = None, model: str = MODEL) -> JsonValue:
    known: JsonValue = {"input_tokens": 25, "output_tokens": 1} if usage is None else usage
    begun: JsonValue = {
        "id": "msg_1nZdL29xx5MUA1yADyHTEsnR8uuvGzszyY",
        "type": "message",
        "role": "assistant",
        "content": [],
        "model": model,
        "stop_reason": None,
        "stop_sequence": None,
        "usage": known,
    }
    return {"type": "message_start", "message": begun}


def begin(index: int, block: JsonValue) -> JsonValue:
    return {"type": "content_block_start", "index": index, "content_block": block}


def grow(index: int, kind: str, **piece: JsonValue) -> JsonValue:
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **piece}}


def end(index: int) -> JsonValue:
    return {"type": "content_block_stop", "index": index}


def finish(stop: JsonValue = "end_turn", usage: JsonValue = None, **more: JsonValue) -> JsonValue:
    known: JsonValue = {"output_tokens": 15} if usage is None else usage
    return {"type": "message_delta", "delta": {"stop_reason": stop, "stop_sequence": None, **more}, "usage": known}


def failure(kind: str, said: str) -> JsonValue:
    return {"type": "error", "error": {"type": kind, "message": said}, "request_id": "req_1"}


def say(index: int, *pieces: str) -> list[JsonValue]:
    """Return the events of a text."""
    said = [grow(index, "text_delta", text=piece) for piece in pieces]
    return [begin(index, {"type": "text", "text": ""}), *said, end(index)]


def think(index: int, *pieces: str, signature: str = SIGNATURE) -> list[JsonValue]:
    """Return the events of thoughts."""
    said = [grow(index, "thinking_delta", thinking=piece) for piece in pieces]
    sealed = grow(index, "signature_delta", signature=signature)
    return [begin(index, {"type": "thinking", "thinking": "", "signature": ""}), *said, sealed, end(index)]


def use(index: int, name: str, *pieces: str, identity: str = "toolu_01T1x1fJ34qAmk2tNTrN7Up6") -> list[JsonValue]:
    """Return the events of a call."""
    begun: JsonValue = {"type": "tool_use", "id": identity, "name": name, "input": {}}
    return [begin(index, begun), *(grow(index, "input_json_delta", partial_json=piece) for piece in pieces), end(index)]


def stream(*middle: JsonValue, usage: JsonValue = None, stop: JsonValue = "end_turn", counts: JsonValue = None) -> bytes:
    return events(start(usage), *middle, finish(stop, counts), STOP, is_named=True)


HELLO = stream(*say(0, "Hel", "lo"))
CALLS = stream(*use(0, "search", '{"q": ', '"cats"}'), *use(1, "get_weather", '{"city"', ': "東', '京"}'), stop="tool_use")
SEARCH: list[JsonValue] = [
    begin(1, {"type": "server_tool_use", "id": "srvtoolu_01A", "name": "web_search", "input": {}}),
    grow(1, "input_json_delta", partial_json=""),
    grow(1, "input_json_delta", partial_json='{"query": "weather'),
    grow(1, "input_json_delta", partial_json=' Paris"}'),
    end(1),
    begin(2, FOUND),
    end(2),
]
INTERLEAVED: list[JsonValue] = [
    begin(0, {"type": "tool_use", "id": "toolu_1", "name": "search", "input": {}}),
    begin(1, {"type": "tool_use", "id": "toolu_2", "name": "get_weather", "input": {}}),
    grow(0, "input_json_delta", partial_json='{"q":'),
    grow(1, "input_json_delta", partial_json='{"city":'),
    grow(0, "input_json_delta", partial_json="1}"),
    grow(1, "input_json_delta", partial_json="2}"),
    end(0),
    end(1),
]
CITED: list[JsonValue] = [
    begin(0, {"type": "text", "text": "", "citations": []}),
    grow(0, "text_delta", text="Grass is green"),
    grow(0, "citations_delta", citation=CITATION),
    end(0),
]

STREAMS: list[Exchange] = [
    streamed("s: a greeting", HELLO),
    streamed("s: a ping between", stream(PING, *say(0, "Hi"), PING)),
    streamed("s: words of all scripts", stream(*say(0, "Grü", "ße ", "東京", " 🧀", "\n\n\t\u2028"))),
    streamed("s: carriage returns and comments", b": hello\r\n\r\n" + HELLO.replace(b"\n", b"\r\n")),
    streamed("s: ids and retries", b"id: 7\nretry: 100\n" + HELLO),
    streamed(
        "s: a text that begins at once", stream(begin(0, {"type": "text", "text": "Now"}), grow(0, "text_delta", text=" then"), end(0))
    ),
    streamed("s: several texts", stream(*say(0, "One. "), *say(1, "Two."))),
    streamed("s: no content", stream()),
    streamed("s: an empty text", stream(*say(0))),
    streamed("s: calls", CALLS, request=WITH_TOOLS),
    streamed("s: a call without arguments", stream(*use(0, "search"), stop="tool_use"), request=WITH_TOOLS),
    streamed("s: a call with an empty piece", stream(*use(0, "search", ""), stop="tool_use"), request=WITH_TOOLS),
    streamed("s: words before a call", stream(*say(0, "Okay"), *use(1, "search", '{"q"', ":1}"), stop="tool_use"), request=WITH_TOOLS),
    streamed("s: interleaved calls", stream(*INTERLEAVED, stop="tool_use"), request=WITH_TOOLS),
    streamed(
        "s: two calls of one id",
        stream(*use(0, "search", "{}", identity="toolu_1"), *use(1, "search", "{}", identity="toolu_1"), stop="tool_use"),
        request=WITH_TOOLS,
    ),
    streamed("s: arguments of a megabyte", stream(*use(0, "search", '{"q":"', "x" * 1_000_000, '"}'), stop="tool_use"), request=WITH_TOOLS),
    streamed(
        "s: arguments cut at the limit",
        stream(*use(0, "search", '{"q": "ca'), stop="max_tokens"),
        request=WITH_TOOLS,
        differs="the SDK guesses what half an object means",
        heard=Heard("", [("search", '{"q": "ca')], COUNTED, "length", MODEL),
    ),
    streamed(
        "s: arguments that are no JSON",
        stream(*use(0, "search", "prose"), stop="tool_use"),
        request=WITH_TOOLS,
        differs="the SDK gives up on the whole reply; ours tells the model what is wrong with the call",
        heard=Heard("", [("search", "prose")], COUNTED, "tool_calls", MODEL),
    ),
    streamed(
        "s: arguments that are a list",
        stream(*use(0, "search", "[1]"), stop="tool_use"),
        request=WITH_TOOLS,
    ),
    streamed(
        "s: thoughts",
        stream(*think(0, "27 is ", "3 cubed"), *say(1, "Yes.")),
        parts=(ReasoningPart("27 is 3 cubed", SIGNATURE), TextPart("Yes.")),
    ),
    streamed("s: thoughts that are not shown", stream(*think(0), *say(1, "Yes.")), parts=(ReasoningPart("", SIGNATURE), TextPart("Yes."))),
    streamed(
        "s: thoughts that were sealed",
        stream(begin(0, {"type": "redacted_thinking", "data": "Emw"}), end(0), *say(1, "Yes.")),
        parts=(ReasoningPart("", "redacted:Emw"), TextPart("Yes.")),
    ),
    streamed(
        "s: thoughts and calls", stream(*think(0, "hm"), *use(1, "search", "{}"), *think(2, "so"), stop="tool_use"), request=WITH_TOOLS
    ),
    streamed("s: citations", stream(*CITED, *say(1, "."))),
    streamed("s: a search of the vendor's own", stream(*say(0, "I'll look. "), *SEARCH, *say(3, "It rains."))),
    streamed(
        "s: an unknown block and an unknown piece",
        stream(begin(0, {"type": "hologram"}), grow(0, "beam_delta", beam=1), end(0), *say(1, "Look!")),
    ),
    streamed("s: an unknown event", stream({"type": "weather", "sky": "grey"}, *say(0, "Hi"))),
    streamed(
        "s: unknown fields", stream(begin(0, {"type": "text", "text": "", "tone": 1}), grow(0, "text_delta", text="Hi", pitch=2), end(0))
    ),
    streamed("s: cut at the limit", stream(*say(0, "Once"), stop="max_tokens")),
    streamed("s: a stop sequence", stream(*say(0, "one"), stop="stop_sequence")),
    streamed("s: the end of the context", stream(*say(0, "one"), stop="model_context_window_exceeded")),
    streamed("s: a pause", stream(*say(0, "one"), stop="pause_turn")),
    streamed("s: an unknown stop", stream(*say(0, "one"), stop="sunset")),
    streamed("s: a refusal on the way", stream(*say(0, "Well"), stop="refusal")),
    streamed(
        "s: a refusal that explains itself",
        events(start(), finish("refusal", stop_details={"type": "refusal", "category": "bio", "explanation": "No."}), STOP, is_named=True),
        differs="the SDK leaves the explanation in stop_details; ours is what the model is taken to have said",
        heard=Heard("No.", [], COUNTED, "refused", MODEL),
    ),
    streamed(
        "s: what was cached",
        stream(
            *say(0, "Hi"),
            usage={"input_tokens": 4, "cache_creation_input_tokens": 10, "cache_read_input_tokens": 100, "output_tokens": 1},
            counts={"output_tokens": 9, "output_tokens_details": {"thinking_tokens": 3}},
        ),
    ),
    streamed(
        "s: counts that grow",
        stream(*say(0, "Hi"), counts={"input_tokens": 10_682, "cache_read_input_tokens": 0, "output_tokens": 510}),
    ),
    streamed(
        "s: no counts at the start",
        events(
            {"type": "message_start", "message": {"id": "msg_1", "role": "assistant", "model": MODEL, "content": []}},
            *say(0, "Hi"),
            finish(),
            STOP,
            is_named=True,
        ),
        differs="the SDK fails where usage is missing at the start",
        heard=Heard("Hi", [], Usage(0, 15), "end", MODEL),
    ),
    streamed(
        "s: no names of events",
        events(start(), *say(0, "Hi"), finish(), STOP),
        differs="the SDK passes over events without a name",
        heard=Heard("Hi", [], COUNTED, "end", MODEL),
    ),
    streamed(
        "s: an end without its marker",
        events(start(), *say(0, "Hi"), finish(), is_named=True),
    ),
    streamed(
        "s: a text whose beginning was lost",
        stream(grow(0, "text_delta", text="Hi"), end(0)),
        differs="the SDK fails with an IndexError",
        heard=Heard("Hi", [], COUNTED, "end", MODEL),
    ),
    streamed(
        "s: a whole reply instead",
        events({"type": "message", "model": MODEL, "content": [{"type": "text", "text": "Hi"}], "stop_reason": "end_turn"}, is_named=True),
        differs="the SDK wants a message_start",
        heard=Heard("Hi", [], Usage(), "end", MODEL),
    ),
]

BROKEN_STREAMS: list[Exchange] = [
    streamed(
        "s: overloaded on the way",
        events(start(), *say(0, "Hi")[:2], failure("overloaded_error", "Overloaded"), is_named=True),
        error=Overloaded,
        their_error="APIStatusError",
    ),
    streamed(
        "s: a failure inside",
        events(start(), failure("api_error", "Internal server error"), is_named=True),
        error=Unavailable,
        their_error="APIStatusError",
    ),
    streamed(
        "s: too many requests inside",
        events(failure("rate_limit_error", "slow down"), is_named=True),
        error=RateLimited,
        their_error="APIStatusError",
    ),
    streamed(
        "s: too slow inside",
        events(start(), failure("timeout_error", "timed out"), is_named=True),
        error=Unavailable,
        their_error="APIStatusError",
    ),
    streamed(
        "s: a bad request inside",
        events(start(), failure("invalid_request_error", "odd"), is_named=True),
        error=BadRequest,
        their_error="APIStatusError",
    ),
    streamed(
        "s: a context that is too long inside",
        events(start(), failure("invalid_request_error", "prompt is too long: 250000 tokens > 200000 maximum"), is_named=True),
        error=ContextTooLong,
        their_error="APIStatusError",
    ),
    streamed(
        "s: an unknown failure inside",
        events(start(), failure("gremlins", "oops"), is_named=True),
        error=Unavailable,
        their_error="APIStatusError",
    ),
    streamed(
        "s: broken off",
        events(start(), *say(0, "Hi")[:2], is_named=True),
        error=Unavailable,
        differs="the SDK takes what came for the whole reply, without a stop_reason",
    ),
    streamed("s: nothing at all", b"", error=Unavailable, differs="the SDK fails with an AssertionError"),
    streamed(
        "s: arguments of no call",
        stream(grow(0, "input_json_delta", partial_json="{}")),
        error=ReplyInvalid,
        differs="the SDK fails with an IndexError",
    ),
    streamed(
        "s: a call without a name",
        stream(begin(0, {"type": "tool_use", "id": "toolu_1", "input": {}}), end(0)),
        error=ReplyInvalid,
        differs="the SDK passes on a call without a name",
    ),
    streamed("s: no JSON", b"event: message_start\ndata: {half\n\n", error=ReplyInvalid, differs="the SDK fails with a JSONDecodeError"),
]
