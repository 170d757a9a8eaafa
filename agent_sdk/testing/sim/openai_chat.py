"""OpenAI's Chat Completions on the simulated server: the shapes of `chat_protocol`, with what the simulated model says in them."""

from pydantic import JsonValue

from agent_sdk.core.frozen import frozen
from agent_sdk.core.model import Stop
from agent_sdk.core.usage import Usage
from agent_sdk.testing.chat_protocol import (
    ChatMessage,
    ChatReply,
    ChatRequest,
    ForcedFunction,
    RawReply,
    parse_request,
    write_events,
    write_whole,
)
from agent_sdk.testing.sim.asked import Dialect, SimRequest, SimTool, Spoken, Wanted
from agent_sdk.testing.sim.faults import Fault
from agent_sdk.testing.sim.openai_errors import SERVER_ERROR, key_refusal, refuse
from agent_sdk.testing.sim.sim import Verdict
from agent_sdk.testing.sim.tokens import json_tokens
from agent_sdk.testing.sim.wire import HttpAsked, WireEvent, body_json, data_event, to_wire

_FINISH: dict[Stop, str] = {"end": "stop", "tool_calls": "tool_calls", "length": "length", "refused": "stop", "other": "sim_unknown"}


@frozen
class OpenAIChatSpeaker:
    """The server's side of `POST /v1/chat/completions`."""

    dialect: Dialect = "openai_chat"

    def refusal(self, asked: HttpAsked, api_key: str | None) -> RawReply | None:
        return key_refusal(asked, api_key)

    def parse(self, asked: HttpAsked) -> SimRequest:
        request = parse_request(asked.body)
        messages = [_spoken(message) for message in request.messages if message.role not in {"system", "developer"}]
        offered = sum(json_tokens(tool.model_dump(mode="json")) for tool in request.tools or ())
        if request.output_schema is not None:
            offered += json_tokens(dict(request.output_schema))
        return SimRequest(self.dialect, request.model, request.instructions, messages, _wanted(request), offered, body_json(asked.body))

    def whole(self, verdict: Verdict) -> bytes:
        request = ChatRequest.model_validate(verdict.request.body)
        return _same_ids(verdict, write_whole(_reply(verdict), request, verdict.number))

    def events(self, verdict: Verdict) -> list[WireEvent]:
        request = ChatRequest.model_validate(verdict.request.body)
        written = [_same_ids(verdict, data) for data in write_events(_reply(verdict), request, verdict.number)]
        tells = request.stream_options is not None and request.stream_options.include_usage
        reported = verdict.reported if tells else None
        last = len(written) - (2 if reported is not None else 1)
        return [WireEvent(data, reported if n >= last else None, 0 < n < last - 1) for n, data in enumerate(written)]

    def counted(self, tokens: int) -> bytes | None:
        return None

    def error(self, fault: Fault, request: SimRequest) -> RawReply:
        return refuse(fault, request)

    def bad_request(self, message: str, param: str | None, code: str | None = None) -> RawReply:
        body: JsonValue = {"error": {"message": message, "type": "invalid_request_error", "param": param, "code": code}}
        return RawReply(to_wire(body), 400)

    def error_event(self) -> bytes:
        return data_event({"error": SERVER_ERROR})


def _spoken(message: ChatMessage) -> Spoken:
    calls = [f"{call.function.name} {call.function.arguments}" for call in message.tool_calls or ()]
    files = [part.model_dump_json() for part in message.content or () if not isinstance(part, str) and part.type != "text"]
    role = "system" if message.role == "developer" else message.role
    text = "\n".join(filter(None, [message.reasoning_content, message.text, *files, *calls]))
    return Spoken(role, text, len(calls), (message.text,) if role == "tool" else ())


def _wanted(request: ChatRequest) -> Wanted:
    forced = request.tool_choice.function.name if isinstance(request.tool_choice, ForcedFunction) else None
    return Wanted(
        tuple(SimTool(tool.function.name, tool.function.parameters) for tool in request.tools or ()),
        request.tool_choice if isinstance(request.tool_choice, str) else "auto",
        forced,
        request.parallel_tool_calls is not False,
        request.output_schema,
        request.max_completion_tokens or request.max_tokens,
        request.stream,
    )


def _reply(verdict: Verdict) -> ChatReply:
    reply, usage = verdict.reply, verdict.reported
    is_refused = reply.stop == "refused"
    return ChatReply(
        None if is_refused or (reply.calls and not reply.text) else reply.text,
        reply.calls,
        reply.reasoning or None,
        reply.text if is_refused else None,
        _FINISH[reply.stopped],
        None if usage is None else _usage(usage),
        has_usage=usage is not None,
    )


def _usage(usage: Usage) -> dict[str, JsonValue]:
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning_tokens,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _same_ids(verdict: Verdict, data: bytes) -> bytes:
    """Give every call the id of the first, where that is what goes wrong."""
    if verdict.kind != "duplicate_call_ids":
        return data
    for n in range(1, len(verdict.reply.calls)):
        data = data.replace(b'"call_%dx%d"' % (verdict.number, n), b'"call_%dx0"' % verdict.number)
    return data
