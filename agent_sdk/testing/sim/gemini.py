"""Google's Gemini on the simulated server: what the simulated model says, as candidates, whole or part by part."""

from collections.abc import Iterator

from pydantic import JsonValue

from agent_sdk.core.frozen import frozen
from agent_sdk.core.model import Stop, ToolChoice
from agent_sdk.core.usage import Usage
from agent_sdk.testing.chat_protocol import Malformed, RawReply
from agent_sdk.testing.sim.asked import Dialect, SimRequest, SimTool, Spoken, Wanted
from agent_sdk.testing.sim.faults import Fault
from agent_sdk.testing.sim.gemini_asked import CountRequest, Declaration, GeminiContent, GeminiRequest, plain_schema
from agent_sdk.testing.sim.sim import Verdict
from agent_sdk.testing.sim.tokens import count_tokens, json_tokens, split_tokens
from agent_sdk.testing.sim.wire import HttpAsked, WireEvent, body_json, call_ids, data_event, parsed, seal, to_wire

Part = dict[str, JsonValue]

_FINISH: dict[Stop, str] = {"end": "STOP", "tool_calls": "STOP", "length": "MAX_TOKENS", "refused": "SAFETY", "other": "SIM_UNKNOWN"}
_CHOICES: dict[str, ToolChoice] = {"AUTO": "auto", "VALIDATED": "auto", "ANY": "required", "NONE": "none"}
_STATUS = {
    400: "INVALID_ARGUMENT",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
}
_BUSY = "The model is overloaded. Please try again later."
_PER_CALL = 8


@frozen
class GeminiSpeaker:
    """The server's side of `generateContent`, `streamGenerateContent?alt=sse` and `countTokens`."""

    dialect: Dialect = "gemini"

    def refusal(self, asked: HttpAsked, api_key: str | None) -> RawReply | None:
        key = asked.headers.get("x-goog-api-key") or asked.query.get("key")
        if asked.action == "streamGenerateContent" and asked.query.get("alt") != "sse":
            return _error(400, "this simulated server streams as server-sent events alone: ask with alt=sse")
        if api_key is None or key == api_key:
            return None
        if key is None:
            return _error(403, "Method doesn't allow unregistered callers (callers without established identity).")
        return _bad_key()

    def parse(self, asked: HttpAsked) -> SimRequest:
        request = parsed(CountRequest, asked.body).request if asked.action == "countTokens" else parsed(GeminiRequest, asked.body)
        if asked.action != "countTokens" and request.model is not None:
            raise Malformed('Invalid JSON payload received. Unknown name "model": Cannot find field.', "model")
        if asked.model.startswith("gemini-3") and (name := request.unsigned_call()) is not None:
            raise Malformed(f"Function call `{name}` is missing a thought_signature in functionCall parts.", "contents")
        messages = [each for content in request.contents for each in _spoken(content)]
        offered = sum(json_tokens(each.model_dump(mode="json", exclude_none=True)) for each in request.declarations)
        schema = request.generation_config.output_schema
        offered += json_tokens(dict(schema)) if schema is not None else 0
        wanted = _wanted(request, is_stream=asked.action == "streamGenerateContent")
        return SimRequest(self.dialect, asked.model, request.instructions, messages, wanted, offered, body_json(asked.body))

    def whole(self, verdict: Verdict) -> bytes:
        return to_wire(_chunk(verdict, _parts(verdict), verdict.reported, is_last=True))

    def events(self, verdict: Verdict) -> list[WireEvent]:
        pieces = list(_pieces(verdict))
        written: list[WireEvent] = []
        usage = verdict.reported
        for thoughts, tokens, piece in pieces:
            if usage is not None and verdict.kind != "usage_zero" and usage.input_tokens >= 0:
                usage = Usage(usage.input_tokens, thoughts + tokens, usage.cached_tokens, thoughts)
            written.append(WireEvent(data_event(_chunk(verdict, [piece], usage, is_last=False)), usage, is_token=True))
        end = _chunk(verdict, [] if pieces else _parts(verdict), verdict.reported, is_last=True)
        return [*written, WireEvent(data_event(end), verdict.reported)]

    def counted(self, tokens: int) -> bytes | None:
        return to_wire({"totalTokens": tokens, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": tokens}]})

    def error(self, fault: Fault, request: SimRequest) -> RawReply:
        match fault.kind:
            case "rate_limited":
                delay: JsonValue = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{fault.retry_after_s:g}s"}
                return _error(429, "You exceeded your current quota, please check your plan and billing details.", [delay])
            case "overloaded":
                return _error(503, _BUSY)
            case "context_too_long":
                tokens = request.input_tokens
                return _error(400, f"The input token count ({tokens}) exceeds the maximum number of tokens allowed ({tokens - 1}).")
            case "auth_failed":
                return _bad_key()
            case "unknown_model":
                return _error(404, f"models/{request.model} is not found for API version v1beta, or is not supported for generateContent.")
            case "filtered":
                return _blocked(request)
            case _:
                return _error(500, "An internal error has occurred. Please retry or report in https://developers.generativeai.google")

    def bad_request(self, message: str, param: str | None, code: str | None = None) -> RawReply:
        return _error(400, message)

    def error_event(self) -> bytes:
        return data_event({"error": {"code": 503, "message": _BUSY, "status": "UNAVAILABLE"}})


def _spoken(content: GeminiContent) -> Iterator[Spoken]:
    if responses := content.responses:
        results = tuple(response.model_dump_json(include={"response", "parts"}, exclude_none=True) for response in responses)
        yield Spoken("tool", "\n".join(results), 0, results)
    rest = [part.said for part in content.parts if part.function_response is None]
    if rest:
        yield Spoken("assistant" if content.role == "model" else "user", "\n".join(rest), len(content.calls))


def _wanted(request: GeminiRequest, *, is_stream: bool) -> Wanted:
    calling = request.tool_config.function_calling_config if request.tool_config is not None else None
    allowed = calling.allowed_function_names if calling is not None else None
    config = request.generation_config
    schema = plain_schema(config.response_schema) if config.response_schema is not None else config.response_json_schema
    tools = tuple(SimTool(each.name, _parameters(each)) for each in request.declarations if not allowed or each.name in allowed)
    choice = _CHOICES[calling.mode] if calling is not None else "auto"
    is_quiet = config.thinking_config is None or config.thinking_config.include_thoughts is not True
    most = config.max_output_tokens
    return Wanted(tools, choice, output_schema=schema, max_output_tokens=most, is_stream=is_stream, is_quiet=is_quiet)


def _parameters(declaration: Declaration) -> dict[str, JsonValue]:
    if declaration.parameters is not None:
        return plain_schema(declaration.parameters)
    return declaration.parameters_json_schema or {}


def _chunk(verdict: Verdict, parts: list[Part], usage: Usage | None, *, is_last: bool) -> Part:
    content: Part = {"role": "model", **({"parts": list[JsonValue](parts)} if parts else {})}
    candidate: Part = {"content": content, "index": 0}
    if is_last:
        candidate["finishReason"] = _FINISH[verdict.reply.stopped]
        if verdict.kind == "invalid_arguments":
            candidate |= {"finishReason": "MALFORMED_FUNCTION_CALL", "finishMessage": "Malformed function call: print(default_api."}
    counted: Part = {} if usage is None else {"usageMetadata": _usage(usage)}
    model = verdict.request.model
    return {"candidates": [candidate], **counted, "modelVersion": model, "responseId": f"resp_{verdict.number}"}


def _usage(usage: Usage) -> JsonValue:
    counts: dict[str, JsonValue] = {
        "promptTokenCount": usage.input_tokens,
        "candidatesTokenCount": usage.output_tokens - usage.reasoning_tokens,
        "totalTokenCount": usage.input_tokens + usage.output_tokens,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": usage.input_tokens}],
    }
    if usage.reasoning_tokens:
        counts["thoughtsTokenCount"] = usage.reasoning_tokens
    if usage.cached_tokens:
        counts["cachedContentTokenCount"] = usage.cached_tokens
    return counts


def _parts(verdict: Verdict) -> list[Part]:
    """Return the reply's parts; thoughts are shown where that was asked for, and calls of a model that thinks are signed."""
    reply = verdict.reply
    parts: list[Part] = []
    if reply.reasoning and not verdict.request.wanted.is_quiet:
        parts.append({"text": reply.reasoning, "thought": True})
    if reply.text:
        parts.append({"text": reply.text})
    if verdict.kind == "invalid_arguments":
        return parts
    is_signed = bool(reply.reasoning) or verdict.request.model.startswith("gemini-3")
    for n, (identity, call) in enumerate(zip(call_ids(verdict, "call_"), reply.calls, strict=True)):
        args: JsonValue = call.args if isinstance(call.args, str) else dict(call.args)
        signature: Part = {"thoughtSignature": seal(call.tool)} if is_signed and n == 0 else {}
        parts.append({"functionCall": {"id": identity, "name": call.tool, "args": args}, **signature})
    return parts


def _pieces(verdict: Verdict) -> Iterator[tuple[int, int, Part]]:
    """Yield the parts as they come, each with how many tokens were thought and said by then."""
    thoughts = tokens = 0
    for part in _parts(verdict):
        match part:
            case {"text": str(text)}:
                for token in split_tokens(text):
                    thoughts, tokens = (thoughts + 1, tokens) if "thought" in part else (thoughts, tokens + 1)
                    yield thoughts, tokens, {**part, "text": token}
            case {"functionCall": dict(call)}:
                args = call["args"]
                tokens += _PER_CALL + (count_tokens(args) if isinstance(args, str) else json_tokens(args))
                yield thoughts, tokens, part
            case _:
                pass


def _blocked(request: SimRequest) -> RawReply:
    body: Part = {"promptFeedback": {"blockReason": "SAFETY"}, "modelVersion": request.model, "responseId": "resp_blocked"}
    if request.wanted.is_stream:
        return RawReply(data_event(body), content_type="text/event-stream")
    return RawReply(to_wire(body))


def _bad_key() -> RawReply:
    info: JsonValue = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID", "domain": "googleapis.com"}
    return _error(400, "API key not valid. Please pass a valid API key.", [info])


def _error(status: int, message: str, details: list[JsonValue] | None = None) -> RawReply:
    error: Part = {"code": status, "message": message, "status": _STATUS.get(status, "INTERNAL")}
    if details:
        error["details"] = details
    return RawReply(to_wire({"error": error}), status)
