"""Whole replies of Gemini's generateContent, written after the vendor's public documentation."""

import gzip

from pydantic import JsonValue

from agent_sdk.core.errors import BadRequest, ReplyInvalid
from agent_sdk.core.ids import StepId
from agent_sdk.core.messages import Conversation, FilePart, Part, ReasoningPart, TextPart, ToolCallPart, user_message
from agent_sdk.core.model import ModelRequest, ModelSettings
from agent_sdk.core.tools import ToolSpec
from agent_sdk.core.usage import Usage
from agent_sdk.llm.tool_names import wire_name
from tests.integration.exchanges.exchange import Exchange, Heard, encoded, plain

MODEL = "gemini-3.8-flash"
USAGE: dict[str, JsonValue] = {
    "promptTokenCount": 12,
    "candidatesTokenCount": 6,
    "totalTokenCount": 18,
    "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 12}],
}
COUNTED = Usage(12, 6)
TOOLS = tuple(ToolSpec(name, "", {"type": "object", "properties": {}}, {}) for name in ("search", "get_weather", "files.read"))
WITH_TOOLS = ModelRequest(StepId("t1"), "m", Conversation([user_message("Hi")]), "Be brief.", TOOLS)
SIGNATURE = "CiQBjz1rX9mC0K7pXhU2cQAyD4+vYg=="
OTHER_SIGNATURE = "EvQCCvECAdHtim9kSgkQ"
RATINGS: JsonValue = [
    {"category": "HARM_CATEGORY_HARASSMENT", "probability": "NEGLIGIBLE"},
    {"category": "HARM_CATEGORY_DANGEROUS_CONTENT", "probability": "LOW", "blocked": False},
]


def candidate(*parts: JsonValue, finish: str | None = "STOP", **more: JsonValue) -> dict[str, JsonValue]:
    """Return a candidate as the vendor's documentation shows it."""
    ended: dict[str, JsonValue] = {} if finish is None else {"finishReason": finish}
    return {"content": {"parts": list(parts), "role": "model"}, **ended, "index": 0, **more}


def said(*parts: JsonValue, finish: str | None = "STOP", usage: JsonValue = None, **more: JsonValue) -> dict[str, JsonValue]:
    """Return a reply of one candidate with these parts."""
    counted = USAGE if usage is None else usage
    return {"candidates": [candidate(*parts, finish=finish)], "usageMetadata": counted, "modelVersion": MODEL, "responseId": "r1", **more}


def text(words: str, **more: JsonValue) -> JsonValue:
    return {"text": words, **more}


def call(name: str, args: JsonValue = None, **more: JsonValue) -> JsonValue:
    """Return a call; with no arguments at all, as the vendor leaves them out where a function has none."""
    return {"functionCall": {"name": name} if args is None else {"name": name, "args": args}, **more}


def made(number: int, tool: str, args: dict[str, JsonValue], signature: str | None = None) -> ToolCallPart:
    return ToolCallPart(StepId(f"t1.{number}"), tool, args, signature=signature)


def ended(reason: str, *parts: JsonValue, **more: JsonValue) -> JsonValue:
    return {"candidates": [candidate(*parts, finish=reason, **more)], "usageMetadata": USAGE, "modelVersion": MODEL}


def refused(reason: str, message: str | None = None) -> JsonValue:
    more: dict[str, JsonValue] = {} if message is None else {"finishMessage": message}
    return {"candidates": [{"finishReason": reason, "index": 0, **more}], "usageMetadata": {"promptTokenCount": 12}, "modelVersion": MODEL}


def blocked(reason: str, **more: JsonValue) -> JsonValue:
    feedback: JsonValue = {"blockReason": reason, "safetyRatings": RATINGS, **more}
    return {"promptFeedback": feedback, "usageMetadata": {"promptTokenCount": 12, "totalTokenCount": 12}, "modelVersion": MODEL}


def counts(name: str, usage: JsonValue, counted: Usage, differs: str | None = None) -> Exchange:
    heard = Heard("counted", [], counted, "end", MODEL) if differs is not None else None
    return plain(name, said(text("counted"), usage=usage), differs=differs, heard=heard)


GROUNDED: JsonValue = {
    "webSearchQueries": ["who won"],
    "groundingChunks": [{"web": {"uri": "https://example.com/a", "title": "example.com"}}],
    "groundingSupports": [{"segment": {"startIndex": 0, "endIndex": 9, "text": "Spain won"}, "groundingChunkIndices": [0]}],
}
ANSWER_SCHEMA: dict[str, JsonValue] = {"type": "array", "items": {"type": "integer"}}
WITH_OUTPUT = ModelRequest(StepId("t1"), "m", Conversation([user_message("Hi")]), output_schema=ANSWER_SCHEMA)
BY_TOOL = ModelRequest(
    StepId("t1"), "m", Conversation([user_message("Hi")]), output_schema=ANSWER_SCHEMA, settings=ModelSettings(output_mode="tool")
)
LARGE: dict[str, JsonValue] = {"content": "0123456789abcde\n" * 65_536}
UNWRAPPED = Heard("[1, 2]", [], COUNTED, "end", MODEL)
EMPTY = "the SDK hands on a reply without content"
UNFINISHED = ("MAX_TOKENS", "OTHER", "LANGUAGE", "TOO_MANY_TOOL_CALLS")
TWIN: dict[str, JsonValue] = {"id": "same", "name": "search"}
PIXEL = "iVBORw0KGgo="


def parts(*of: Part) -> tuple[Part, ...]:
    return of


TEXTS = [
    plain("a text", said(text("Hello there."))),
    plain("text of all alphabets", said(text('Grüße aus 東京 🧀 \u2028 "quoted" \\ \t\n'))),
    plain("text that looks like an event", said(text("data: [DONE]\n\ndata: {}"))),
    plain("two parts of text", said(text("Hello "), text("there.")), parts=parts(TextPart("Hello there."))),
    plain("an empty part of text", said(text(""))),
    plain("no parts", said()),
    plain("no content", {"candidates": [{"finishReason": "STOP", "index": 0}], "usageMetadata": USAGE, "modelVersion": MODEL}),
    plain("a role and no parts", {"candidates": [{"content": {"role": "model"}, "finishReason": "STOP"}], "usageMetadata": USAGE}),
    plain(
        "of two candidates the first",
        {"candidates": [candidate(text("one")), {**candidate(text("two")), "index": 1}], "usageMetadata": USAGE, "modelVersion": MODEL},
    ),
    plain("safety ratings", {"candidates": [candidate(text("Hi"), safetyRatings=RATINGS)], "usageMetadata": USAGE, "modelVersion": MODEL}),
    plain("citations", ended("STOP", text("As they say"), citationMetadata={"citationSources": [{"startIndex": 0, "uri": "https://a.b"}]})),
    plain("grounding", ended("STOP", text("Spain won"), groundingMetadata=GROUNDED)),
    plain(
        "log probabilities",
        ended("STOP", text("Hi"), avgLogprobs=-0.1, logprobsResult={"chosenCandidates": [{"token": "Hi", "logProbability": -0.1}]}),
    ),
    plain("fields that nobody knows yet", {**said(text("Hi"), newField={"a": [1]}), "modelStatus": {"modelStage": "STABLE"}}),
    Exchange(
        "half a character",
        encoded(said(text("a?b"))).replace(b"a?b", b"a\\ud83eb"),
        differs="what is half a character to the SDK is a replacement character to us",
        heard=Heard("a\ufffdb", [], COUNTED, "end", MODEL),
    ),
    Exchange("compressed", gzip.compress(encoded(said(text("compressed")))), headers={"Content-Encoding": "gzip"}),
    plain(
        "a wrapped output",
        said(text('{"value":[1,2]}')),
        request=WITH_OUTPUT,
        differs="we unwrap",
        heard=UNWRAPPED,
    ),
    plain(
        "a wrapped output in two parts, the last one signed",
        said(text('{"value":'), text("[1,2]}", thoughtSignature=SIGNATURE)),
        request=WITH_OUTPUT,
        differs="we unwrap",
        heard=UNWRAPPED,
        parts=parts(TextPart("[1, 2]", SIGNATURE)),
    ),
    plain(
        "an output by tool",
        said(call("give_the_answer", {"value": [3]}, thoughtSignature=SIGNATURE)),
        request=BY_TOOL,
        differs="the call is the answer",
        heard=Heard("[3]", [], COUNTED, "end", MODEL),
    ),
]

CALLS = [
    plain("a call", said(call("search", {"q": "cats"})), request=WITH_TOOLS),
    plain("a call without arguments", said(call("search")), request=WITH_TOOLS),
    plain("a call with empty arguments", said(call("search", {})), request=WITH_TOOLS),
    plain("a call with an id", said({"functionCall": {"id": "fc_1", "name": "search", "args": {"q": "cats"}}}), request=WITH_TOOLS),
    plain("arguments of all kinds", said(call("search", {"q": "käse 🧀", "deep": {"list": [1, 2.5, None, True, []]}})), request=WITH_TOOLS),
    plain("text and a call", said(text("Let me see."), call("search", {"q": "cats"})), request=WITH_TOOLS),
    plain(
        "parallel calls, of which the first is signed",
        said(call("search", {"q": "a"}, thoughtSignature=SIGNATURE), call("search", {"q": "b"}), call("get_weather", {"city": "Paris"})),
        request=WITH_TOOLS,
        parts=parts(made(1, "search", {"q": "a"}, SIGNATURE), made(2, "search", {"q": "b"}), made(3, "get_weather", {"city": "Paris"})),
    ),
    plain(
        "calls with the same id",
        said({"functionCall": {**TWIN, "args": {"n": 0}}}, {"functionCall": {**TWIN, "args": {"n": 1}}}),
        request=WITH_TOOLS,
        parts=parts(made(1, "search", {"n": 0}), made(2, "search", {"n": 1})),
    ),
    plain("a megabyte of arguments", said(call("search", LARGE)), request=WITH_TOOLS),
    plain("a tool that nobody offered", said(call("delete_all", {"sure": True})), request=WITH_TOOLS),
    plain(
        "a tool with a dot in its name",
        said(call(wire_name("files.read"), {"path": "a"})),
        request=WITH_TOOLS,
        differs="the name is ours again",
        heard=Heard("", [("files.read", '{"path": "a"}')], COUNTED, "tool_calls", MODEL),
    ),
    plain(
        "arguments as text",
        said(call("search", '{"q": "cats"}')),
        request=WITH_TOOLS,
        differs="gateways send them so, and the SDK refuses that",
        heard=Heard("", [("search", '{"q": "cats"}')], COUNTED, "tool_calls", MODEL),
    ),
    plain(
        "arguments that are no JSON",
        said(call("search", '{"q": ')),
        request=WITH_TOOLS,
        differs="the model is told; the SDK gives up",
        heard=Heard("", [("search", '{"q": ')], COUNTED, "tool_calls", MODEL),
    ),
    plain(
        "arguments that are a list",
        said(call("search", [1])),
        request=WITH_TOOLS,
        differs="the model is told; the SDK gives up",
        heard=Heard("", [("search", "[1]")], COUNTED, "tool_calls", MODEL),
    ),
    plain("a call without a name", said({"functionCall": {"args": {}}}), error=ReplyInvalid, differs="the SDK hands it on"),
]
THOUGHTS = [
    plain(
        "thoughts",
        said(text("Hm, ", thought=True), text("so.", thought=True), text("Yes.", thoughtSignature=SIGNATURE)),
        parts=parts(ReasoningPart("Hm, so."), TextPart("Yes.", SIGNATURE)),
    ),
    plain(
        "signed parts side by side",
        said(text("a", thoughtSignature=SIGNATURE), text("b"), text("c", thoughtSignature=OTHER_SIGNATURE), text("d")),
        parts=parts(TextPart("a", SIGNATURE), TextPart("b"), TextPart("c", OTHER_SIGNATURE), TextPart("d")),
    ),
    plain(
        "thoughts between calls",
        said(text("a", thought=True, thoughtSignature=SIGNATURE), call("search", {}), text("b", thought=True), call("search", {"n": 1})),
        request=WITH_TOOLS,
        parts=parts(ReasoningPart("a", SIGNATURE), made(1, "search", {}), ReasoningPart("b"), made(2, "search", {"n": 1})),
    ),
    plain(
        "a signature on an empty text",
        said(text("Done."), text("", thoughtSignature=SIGNATURE)),
        parts=parts(TextPart("Done."), TextPart("", SIGNATURE)),
    ),
    plain("a signature on nothing", said(text("Done."), {"thoughtSignature": SIGNATURE}), parts=parts(TextPart("Done."))),
]
OTHER_PARTS = [
    plain(
        "code that the vendor ran",
        said(
            text("I count. "),
            {"executableCode": {"language": "PYTHON", "code": "print(1)"}},
            {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}},
            text("It is 1."),
        ),
    ),
    plain(
        "tools of the vendor's own",
        said({"toolCall": {"id": "a", "args": {"queries": ["x"]}}}, {"toolResponse": {"id": "a", "response": {"x": 1}}}, text("Found.")),
    ),
    plain(
        "a picture",
        said(text("Here: "), {"inlineData": {"mimeType": "image/png", "data": PIXEL}}),
        parts=parts(TextPart("Here: "), FilePart(f"data:image/png;base64,{PIXEL}", "image/png")),
    ),
    plain("a part that nobody knows yet", said({"hologram": {"x": 1}}, text("Hi"))),
]
STOPS = [
    *(
        plain(f"finished with {reason}", ended(reason, text("so far")))
        for reason in ("MAX_TOKENS", "OTHER", "LANGUAGE", "TOO_MANY_TOOL_CALLS")
    ),
    *(
        plain(f"cut off with {reason}", ended(reason, text("so far")))
        for reason in ("SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "MODEL_ARMOR", "ESCALATION")
    ),
    plain("refused with SAFETY", refused("SAFETY")),
    plain(
        "refused with PROHIBITED_CONTENT and a word",
        refused("PROHIBITED_CONTENT", "The response was blocked."),
        differs="the SDK drops the word",
        heard=Heard("The response was blocked.", [], Usage(12), "refused", MODEL),
    ),
    plain("refused with IMAGE_SAFETY", refused("IMAGE_SAFETY")),
    *(plain(f"a prompt blocked for {reason}", blocked(reason)) for reason in ("SAFETY", "OTHER", "PROHIBITED_CONTENT", "JAILBREAK")),
    plain("a prompt blocked with a word", blocked("MODEL_ARMOR", blockReasonMessage="Blocked by the floor settings.")),
    plain("a reason that nobody knows yet", ended("TIRED", text("so far"))),
    plain("no reason", said(text("so far"), finish=None)),
    plain("cut at the limit in its thoughts", said(finish="MAX_TOKENS", usage={"promptTokenCount": 12, "thoughtsTokenCount": 65})),
    plain(
        "a call that the vendor could not read",
        refused("MALFORMED_FUNCTION_CALL", "Malformed function call: print(default_api.search(q='cats')"),
        error=ReplyInvalid,
        differs=EMPTY,
    ),
    plain("a call of no tool", refused("UNEXPECTED_TOOL_CALL"), error=ReplyInvalid, differs=EMPTY),
    plain("a malformed reply", refused("MALFORMED_RESPONSE"), error=ReplyInvalid, differs=EMPTY),
    plain("a missing signature", refused("MISSING_THOUGHT_SIGNATURE"), error=BadRequest, differs=EMPTY),
]
USAGES = [
    counts(
        "usage of a cache",
        {"promptTokenCount": 1000, "cachedContentTokenCount": 900, "candidatesTokenCount": 6, "cacheTokensDetails": []},
        Usage(1000, 6, 900),
    ),
    counts(
        "usage of thoughts",
        {"promptTokenCount": 12, "candidatesTokenCount": 6, "thoughtsTokenCount": 40},
        Usage(12, 46, reasoning_tokens=40),
    ),
    counts(
        "usage of tools of the vendor's own",
        {"promptTokenCount": 12, "candidatesTokenCount": 6, "toolUsePromptTokenCount": 100},
        Usage(112, 6),
    ),
    counts("usage of zero", {"promptTokenCount": 0, "candidatesTokenCount": 0}, Usage()),
    counts("usage that says nothing", {"trafficType": "ON_DEMAND"}, Usage()),
    counts("negative usage", {"promptTokenCount": -3, "candidatesTokenCount": 6}, Usage(0, 6), "a negative count is none"),
    counts("usage in words", {"promptTokenCount": "many", "candidatesTokenCount": 6}, Usage(0, 6), "the SDK gives up"),
    counts("usage in halves", {"promptTokenCount": 1.5, "candidatesTokenCount": 6}, Usage(0, 6), "the SDK gives up"),
    counts("absurd usage", {"promptTokenCount": 10**30, "candidatesTokenCount": 6}, Usage(10**9, 6), "a count has a bound"),
    counts("usage that is none", "none", Usage(), "the SDK gives up"),
    plain("no usage", {"candidates": [candidate(text("uncounted"))], "modelVersion": MODEL}),
]
PLAIN = [*TEXTS, *CALLS, *THOUGHTS, *OTHER_PARTS, *STOPS, *USAGES]
