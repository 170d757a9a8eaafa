"""OpenAI's Responses on the simulated server: what the simulated model says, as items and as typed events."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from pydantic import JsonValue

from agent_sdk.core.frozen import frozen
from agent_sdk.core.usage import Usage
from agent_sdk.testing.chat_protocol import RawReply
from agent_sdk.testing.sim.asked import Dialect, SimRequest, SimTool, Spoken, Wanted
from agent_sdk.testing.sim.faults import Fault
from agent_sdk.testing.sim.openai_errors import key_refusal, refuse
from agent_sdk.testing.sim.responses_asked import AskedCall, CallOutput, Forced, ResponsesCount, ResponsesRequest, SaidMessage, Thought
from agent_sdk.testing.sim.said import arguments_text
from agent_sdk.testing.sim.sim import Verdict
from agent_sdk.testing.sim.tokens import json_tokens, split_tokens
from agent_sdk.testing.sim.wire import HttpAsked, WireEvent, body_json, call_ids, named_event, parsed, seal, to_wire

Item = dict[str, JsonValue]


@frozen
class ResponsesSpeaker:
    """The server's side of `POST /v1/responses` and `/v1/responses/input_tokens`."""

    dialect: Dialect = "openai_responses"

    def refusal(self, asked: HttpAsked, api_key: str | None) -> RawReply | None:
        return key_refusal(asked, api_key)

    def parse(self, asked: HttpAsked) -> SimRequest:
        request = parsed(ResponsesCount if asked.action == "count" else ResponsesRequest, asked.body)
        said = [*_spoken(request)]
        instructions = "\n".join(filter(None, [request.instructions, *(each.text for each in said if each.role == "system")]))
        messages = [each for each in said if each.role != "system"]
        offered = sum(json_tokens(tool.model_dump(mode="json")) for tool in request.tools or ())
        offered += json_tokens(dict(request.output_schema)) if request.output_schema is not None else 0
        return SimRequest(self.dialect, request.model, instructions, messages, _wanted(request), offered, body_json(asked.body))

    def whole(self, verdict: Verdict) -> bytes:
        return to_wire(_response(verdict, _status(verdict), _items(verdict), verdict.reported))

    def events(self, verdict: Verdict) -> list[WireEvent]:
        writer = _EventWriter()
        opening = _response(verdict, "in_progress", [], None)
        written = [writer.event("response.created", response=opening), writer.event("response.in_progress", response=opening)]
        items = _items(verdict)
        for index, item in enumerate(items):
            written += writer.item(index, item)
        status = _status(verdict)
        kind = "response.completed" if status == "completed" else "response.incomplete"
        end = writer.event(kind, response=_response(verdict, status, items, verdict.reported))
        return [*written, WireEvent(end.data, verdict.reported)]

    def counted(self, tokens: int) -> bytes | None:
        return to_wire({"object": "response.input_tokens", "input_tokens": tokens})

    def error(self, fault: Fault, request: SimRequest) -> RawReply:
        return refuse(fault, request)

    def bad_request(self, message: str, param: str | None, code: str | None = None) -> RawReply:
        body: JsonValue = {"error": {"message": message, "type": "invalid_request_error", "param": param, "code": code}}
        return RawReply(to_wire(body), 400)

    def error_event(self) -> bytes:
        message = "The server had an error while processing your request. Sorry about that!"
        return named_event({"type": "error", "code": "server_error", "message": message, "param": None, "sequence_number": 99})


def _spoken(request: ResponsesCount) -> Iterator[Spoken]:
    """Yield the items as messages; calls that were asked for together count as one turn."""
    in_turn = False
    for item in request.items:
        match item:
            case SaidMessage():
                yield Spoken("system" if item.role == "developer" else item.role, item.text)
            case Thought():
                yield Spoken("assistant", item.text)
            case AskedCall():
                yield Spoken("assistant", f"{item.name} {item.arguments}", 0 if in_turn else 1)
            case CallOutput():
                yield Spoken("tool", item.text, 0, (item.text,))
        in_turn = isinstance(item, AskedCall)


def _wanted(request: ResponsesCount) -> Wanted:
    asked = request if isinstance(request, ResponsesRequest) else None
    return Wanted(
        tuple(SimTool(tool.name, tool.parameters or {}) for tool in request.tools or ()),
        request.tool_choice if isinstance(request.tool_choice, str) else "auto",
        request.tool_choice.name if isinstance(request.tool_choice, Forced) else None,
        request.parallel_tool_calls is not False,
        request.output_schema,
        asked.max_output_tokens if asked is not None else None,
        asked.stream if asked is not None else False,
    )


def _status(verdict: Verdict) -> str:
    return "incomplete" if verdict.reply.stopped in {"length", "other"} else "completed"


def _response(verdict: Verdict, status: str, items: list[Item], usage: Usage | None) -> Item:
    reply = verdict.reply
    asked = verdict.request.body if isinstance(verdict.request.body, dict) else {}
    reason = {"length": "max_output_tokens", "other": "sim_unknown"}.get(reply.stopped)
    return {
        "id": f"resp_{verdict.number}",
        "object": "response",
        "created_at": 1_700_000_000,
        "status": status,
        "background": False,
        "error": None,
        "incomplete_details": {"reason": reason} if status == "incomplete" else None,
        "instructions": asked.get("instructions"),
        "max_output_tokens": asked.get("max_output_tokens"),
        "model": verdict.request.model,
        "output": list[JsonValue](items),
        "parallel_tool_calls": asked.get("parallel_tool_calls", True),
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "service_tier": "default",
        "store": asked.get("store", True),
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": asked.get("tool_choice", "auto"),
        "tools": asked.get("tools", []),
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": None if usage is None else _usage(usage),
        "user": None,
        "metadata": {},
    }


def _usage(usage: Usage) -> JsonValue:
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_tokens, "cache_write_tokens": 0},
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }


def _items(verdict: Verdict) -> list[Item]:
    reply, number = verdict.reply, verdict.number
    items: list[Item] = []
    if reply.reasoning:
        asked = verdict.request.body if isinstance(verdict.request.body, dict) else {}
        sealed: Item = {"encrypted_content": seal(reply.reasoning)} if asked.get("include") else {}
        items.append({"type": "reasoning", "id": f"rs_{number}", "summary": [{"type": "summary_text", "text": reply.reasoning}], **sealed})
    if reply.text:
        part: Item = {"type": "output_text", "text": reply.text, "annotations": [], "logprobs": []}
        if reply.stop == "refused":
            part = {"type": "refusal", "refusal": reply.text}
        status = "incomplete" if reply.stop == "length" and not reply.calls else "completed"
        items.append({"type": "message", "id": f"msg_{number}", "status": status, "role": "assistant", "content": [part]})
    for n, (identity, call) in enumerate(zip(call_ids(verdict, "call_"), reply.calls, strict=True)):
        text = arguments_text(call)
        items.append(
            {
                "type": "function_call",
                "id": f"fc_{number}x{n}",
                "call_id": identity,
                "name": call.tool,
                "arguments": text,
                "status": "completed",
            }
        )
    return items


@dataclass(slots=True)
class _EventWriter:
    """Numbers the events of one stream."""

    _next: int = field(default=0)

    def event(self, kind: str, **fields: JsonValue) -> WireEvent:
        self._next += 1
        return WireEvent(named_event({"type": kind, "sequence_number": self._next - 1, **fields}), is_token=kind.endswith(".delta"))

    def item(self, index: int, item: Item) -> Iterator[WireEvent]:
        """Yield an item as it grows: announced empty, piece by piece, and whole."""
        empty: Mapping[str, Item] = {"message": {"content": []}, "function_call": {"arguments": ""}, "reasoning": {"summary": []}}
        started = {key: value for key, value in item.items() if key != "encrypted_content"} | empty[str(item["type"])]
        if "status" in item:
            started["status"] = "in_progress"
        yield self.event("response.output_item.added", output_index=index, item=started)
        place: Item = {"item_id": item["id"], "output_index": index}
        match item:
            case {"type": "reasoning", "summary": [{"text": str(text)}]}:
                yield from self._reasoning(text, {**place, "summary_index": 0})
            case {"type": "message", "content": [dict(part)]}:
                yield from self._part(part, {**place, "content_index": 0})
            case {"arguments": str(text)}:
                for token in split_tokens(text):
                    yield self.event("response.function_call_arguments.delta", **place, delta=token)
                yield self.event("response.function_call_arguments.done", **place, name=item["name"], arguments=text)
            case _:
                pass
        yield self.event("response.output_item.done", output_index=index, item=item)

    def _part(self, part: Item, place: Item) -> Iterator[WireEvent]:
        is_refusal = part["type"] == "refusal"
        key, kind = ("refusal", "refusal") if is_refusal else ("text", "output_text")
        text = str(part[key])
        extra: Item = {} if is_refusal else {"logprobs": []}
        yield self.event("response.content_part.added", **place, part={**part, key: ""})
        for token in split_tokens(text):
            yield self.event(f"response.{kind}.delta", **place, delta=token, **extra)
        yield self.event(f"response.{kind}.done", **place, **{key: text}, **extra)
        yield self.event("response.content_part.done", **place, part=part)

    def _reasoning(self, text: str, place: Item) -> Iterator[WireEvent]:
        yield self.event("response.reasoning_summary_part.added", **place, part={"type": "summary_text", "text": ""})
        for token in split_tokens(text):
            yield self.event("response.reasoning_summary_text.delta", **place, delta=token)
        yield self.event("response.reasoning_summary_text.done", **place, text=text)
        yield self.event("response.reasoning_summary_part.done", **place, part={"type": "summary_text", "text": text})
