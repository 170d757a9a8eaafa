"""Whole replies of Anthropic's Messages, written after the vendor's public documentation."""

import gzip

from pydantic import JsonValue

from agent_sdk.core.ids import StepId
from agent_sdk.core.messages import Conversation, ReasoningPart, TextPart, user_message
from agent_sdk.core.model import ModelRequest
from agent_sdk.core.tools import ToolSpec
from agent_sdk.core.usage import Usage
from tests.integration.exchanges.exchange import Exchange, Heard, encoded, plain

MODEL = "claude-sonnet-5-5"
USAGE: dict[str, JsonValue] = {"input_tokens": 12, "output_tokens": 6}
COUNTED = Usage(12, 6)
TOOLS = tuple(ToolSpec(name, "", {"type": "object", "properties": {}}, {}) for name in ("search", "get_weather", "files.read"))
WITH_TOOLS = ModelRequest(StepId("t1"), "m", Conversation([user_message("Hi")]), "Be brief.", TOOLS)

SEARCHES: JsonValue = {"type": "server_tool_use", "id": "srvtoolu_01A", "name": "web_search", "input": {"query": "weather Paris"}}
FOUND: JsonValue = {
    "type": "web_search_tool_result",
    "tool_use_id": "srvtoolu_01A",
    "content": [
        {
            "type": "web_search_result",
            "title": "Paris",
            "url": "https://example.com/paris",
            "encrypted_content": "EqgfCioIARgBIiQ3YTAwMjY1Mi1mZjM5",
            "page_age": "April 30, 2026",
        }
    ],
}
CITATION: JsonValue = {
    "type": "char_location",
    "cited_text": "The grass is green.",
    "document_index": 0,
    "document_title": "Facts",
    "start_char_index": 0,
    "end_char_index": 20,
    "file_id": None,
}
SIGNATURE = "EqQBCgIYAhIM1gbcDa9GJwZA2b3hGgxBdjrkzLoky3dl1pkiMOYds0tLB9HvIWaL3b7K"


def message(*content: JsonValue, stop: JsonValue = "end_turn", usage: JsonValue = None, **more: JsonValue) -> dict[str, JsonValue]:
    """Return a reply as the vendor's documentation shows it."""
    return {
        "id": "msg_013Zva2CMHLNnXjNJJKqJ2EF",
        "type": "message",
        "role": "assistant",
        "model": MODEL,
        "content": list(content),
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": USAGE if usage is None else usage,
        **more,
    }


def text(said: str, **more: JsonValue) -> JsonValue:
    return {"type": "text", "text": said, **more}


def call(name: str, given: JsonValue, identity: str = "toolu_01D7FLrfh4GYq7yT1ULFeyMV") -> JsonValue:
    return {"type": "tool_use", "id": identity, "name": name, "input": given}


def thought(said: str, signature: str = SIGNATURE) -> JsonValue:
    return {"type": "thinking", "thinking": said, "signature": signature}


CACHED: JsonValue = {
    "input_tokens": 21,
    "cache_creation_input_tokens": 188_086,
    "cache_read_input_tokens": 1_000,
    "cache_creation": {"ephemeral_5m_input_tokens": 188_086, "ephemeral_1h_input_tokens": 0},
    "output_tokens": 393,
    "service_tier": "standard",
    "inference_geo": "global",
}
THINKING: JsonValue = {"input_tokens": 50, "output_tokens": 900, "output_tokens_details": {"thinking_tokens": 700}}
SERVED: JsonValue = {"input_tokens": 105, "output_tokens": 60, "server_tool_use": {"web_search_requests": 1, "web_fetch_requests": 0}}

PLAIN: list[Exchange] = [
    plain("a greeting", message(text("Hi! My name is Claude."))),
    plain("words of all scripts", message(text("Grüße aus 東京 🧀\n\n\ttab \\ \" 'quotes' \u2028 end"))),
    plain("words that look like events", message(text("event: message_stop\ndata: {}\n\n"))),
    plain("several texts", message(text("One. "), text("Two. "), text("Three."))),
    plain("no content at all", message()),
    plain("an empty text", message(text(""))),
    plain("a long text", message(text("word " * 5_000))),
    plain("one call", message(call("search", {"q": "cats"}), stop="tool_use"), request=WITH_TOOLS),
    plain("a call without arguments", message(call("search", {}), stop="tool_use"), request=WITH_TOOLS),
    plain("words before a call", message(text("Let me look."), call("search", {"q": "käse 🧀"}), stop="tool_use"), request=WITH_TOOLS),
    plain(
        "parallel calls",
        message(*(call("get_weather", {"city": city}, f"toolu_{n}") for n, city in enumerate(["Paris", "Oslo", "東京"])), stop="tool_use"),
        request=WITH_TOOLS,
    ),
    plain(
        "two calls of one id",
        message(call("search", {"q": 1}, "toolu_1"), call("search", {"q": 2}, "toolu_1"), stop="tool_use"),
        request=WITH_TOOLS,
    ),
    plain(
        "deep arguments",
        message(call("search", {"deep": {"list": [1, 2.5, None, True, {"x": []}]}, "empty": ""}), stop="tool_use"),
        request=WITH_TOOLS,
    ),
    plain("arguments of a megabyte", message(call("search", {"q": "x" * 1_000_000}), stop="tool_use"), request=WITH_TOOLS),
    plain(
        "a tool whose name had to change",
        message(call("files_read_601e4eb6", {}), stop="tool_use"),
        request=WITH_TOOLS,
        differs="the SDK knows nothing of our names",
        heard=Heard("", [("files.read", "{}")], COUNTED, "tool_calls", MODEL),
    ),
    plain(
        "a call with fields of later versions",
        message({"type": "tool_use", "id": "toolu_1", "name": "search", "input": {"q": 1}, "caller": {"type": "direct"}}, stop="tool_use"),
        request=WITH_TOOLS,
    ),
    plain("cut at the limit", message(text("Once upon a"), stop="max_tokens")),
    plain("cut at the limit in a call", message(call("search", {}), stop="max_tokens"), request=WITH_TOOLS),
    plain("a stop sequence", message(text("one, two"), stop="stop_sequence", stop_sequence=", three")),
    plain("the end of the context", message(text("as far as it goes"), stop="model_context_window_exceeded")),
    plain("a pause of the vendor's own tools", message(text("I am looking."), SEARCHES, stop="pause_turn")),
    plain("an unknown stop", message(text("hm"), stop="sunset")),
    plain("no stop", message(text("hm"), stop=None)),
    plain(
        "a refusal with words",
        message(text("I can't help"), stop="refusal", stop_details={"type": "refusal", "category": "bio", "explanation": "No."}),
    ),
    plain("a refusal without words", message(stop="refusal", stop_details={"type": "refusal", "category": None, "explanation": None})),
    plain(
        "a refusal that explains itself",
        message(stop="refusal", stop_details={"type": "refusal", "category": "cyber", "explanation": "This could harm."}),
        differs="the SDK leaves the explanation in stop_details; ours is what the model is taken to have said",
        heard=Heard("This could harm.", [], COUNTED, "refused", MODEL),
    ),
    plain(
        "thoughts",
        message(thought("27 is 3 cubed"), text("Yes."), usage=THINKING),
        parts=(ReasoningPart("27 is 3 cubed", SIGNATURE), TextPart("Yes.")),
    ),
    plain("thoughts that are not shown", message(thought(""), text("Yes.")), parts=(ReasoningPart("", SIGNATURE), TextPart("Yes."))),
    plain("thoughts without a signature", message(thought("hm", ""), text("Yes.")), parts=(ReasoningPart("hm"), TextPart("Yes."))),
    plain(
        "thoughts that were sealed",
        message({"type": "redacted_thinking", "data": "EmwKAhgBEgy3va3pzix/LafPsn4a"}, text("Yes.")),
        parts=(ReasoningPart("", "redacted:EmwKAhgBEgy3va3pzix/LafPsn4a"), TextPart("Yes.")),
    ),
    plain(
        "thoughts between calls",
        message(thought("a"), call("search", {}), thought("b"), call("search", {}), stop="tool_use"),
        request=WITH_TOOLS,
    ),
    plain("a text with citations", message(text("Grass is "), text("green", citations=[CITATION]), text("."))),
    plain("a text with no citations", message(text("Hi", citations=None))),
    plain("a search of the vendor's own", message(text("I'll look. "), SEARCHES, FOUND, text("It rains."), usage=SERVED)),
    plain("an unknown block", message({"type": "hologram", "beams": [1, {"x": None}]}, text("Look!"))),
    plain("unknown fields", message(text("Hi", tone="warm"), container=None, mood={"x": 1})),
    plain("what was read from the cache and written to it", message(text("Hi"), usage=CACHED)),
    plain(
        "a cache that was not used",
        message(
            text("Hi"), usage={"input_tokens": 3, "cache_creation_input_tokens": None, "cache_read_input_tokens": 0, "output_tokens": 1}
        ),
    ),
    plain("usage of zero", message(text("Hi"), usage={"input_tokens": 0, "output_tokens": 0})),
    plain(
        "usage below zero",
        message(text("Hi"), usage={"input_tokens": -3, "output_tokens": -1}),
        differs="the SDK passes on what cannot be",
        heard=Heard("Hi", [], Usage(), "end", MODEL),
    ),
    plain(
        "no usage",
        {name: value for name, value in message(text("Hi")).items() if name != "usage"},
        differs="the SDK has no usage object then",
        heard=Heard("Hi", [], Usage(), "end", MODEL),
    ),
    plain(
        "absurd usage",
        message(text("Hi"), usage={"input_tokens": "many", "output_tokens": 10**30}),
        differs="the SDK passes on what is no number",
        heard=Heard("Hi", [], Usage(0, 10**9), "end", MODEL),
    ),
    plain("no name of the model", message(text("Hi"), model="")),
    Exchange("a compressed reply", gzip.compress(encoded(message(text("x" * 100)))), headers={"Content-Encoding": "gzip"}),
    Exchange(
        "half a character",
        encoded(message(text("a HALF b"))).replace(b"HALF", b"\\ud83d"),
        differs="the SDK passes on half a character, which no journal can keep",
        heard=Heard("a \ufffd b", [], COUNTED, "end", MODEL),
    ),
]
