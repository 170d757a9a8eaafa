"""A server on the loopback that speaks four vendors' protocols, plain and streamed, with a simulated model behind them all."""

import asyncio
import gzip
from collections.abc import Mapping, Sequence

from aiohttp import web

from agent_sdk.core.errors import ConfigError
from agent_sdk.testing.chat_protocol import Delivery, Malformed, RawReply
from agent_sdk.testing.loopback import LoopbackServer
from agent_sdk.testing.scripted_model import ScriptExhausted
from agent_sdk.testing.sim.anthropic import AnthropicSpeaker
from agent_sdk.testing.sim.faults import INSTEAD
from agent_sdk.testing.sim.gemini import GeminiSpeaker
from agent_sdk.testing.sim.openai_chat import OpenAIChatSpeaker
from agent_sdk.testing.sim.responses import ResponsesSpeaker
from agent_sdk.testing.sim.sim import Sim, Verdict
from agent_sdk.testing.sim.wire import HttpAsked, Speaker, WireEvent

_PAGE = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
_ROUTES: tuple[tuple[str, Speaker, str], ...] = (
    ("/v1/chat/completions", OpenAIChatSpeaker(), ""),
    ("/v1/responses", ResponsesSpeaker(), ""),
    ("/v1/responses/input_tokens", ResponsesSpeaker(), "count"),
    ("/v1/messages", AnthropicSpeaker(), ""),
    ("/v1/messages/count_tokens", AnthropicSpeaker(), "count"),
    ("/{version:v1|v1beta|v1alpha}/models/{model:[^:/]+}:{action:generateContent|streamGenerateContent|countTokens}", GeminiSpeaker(), ""),
)
_COUNTS = frozenset({"count", "countTokens"})
_CUT = frozenset({"stall", "closed"})


class SimServer(LoopbackServer):
    """Answers OpenAI's Chat Completions and Responses, Anthropic's Messages and Google's Gemini as `sim` says.

    Use it as an async context manager, or by `start_in_thread` from synchronous code. `url` is what vendors' SDKs of Anthropic and Google
    want as their base, `openai_url` what OpenAI's wants. Of the time that the simulated model takes, `time_scale` is really slept. The
    delivery's `piece_bytes` cuts the bytes of streams into pieces of that size, its `is_gzip` compresses plain replies. `refused` holds
    what was wrong with malformed requests, `hung_up` counts clients that left early.
    """

    def __init__(self, sim: Sim, *, time_scale: float = 0.01, delivery: Delivery | None = None) -> None:
        super().__init__()
        self.sim = sim
        self._time_scale = time_scale
        self._delivery = delivery or Delivery()
        self.refused: list[str] = []
        self.hung_up = 0

    @property
    def openai_url(self) -> str:
        return f"{self.url}/v1"

    def routes(self, app: web.Application) -> None:
        for path, speaker, action in _ROUTES:
            app.router.add_post(path, _Endpoint(self, speaker, action).answer)

    async def pause(self, delay_s: float) -> None:
        if delay_s > 0:
            await asyncio.sleep(delay_s * self._time_scale)

    async def send(self, http: web.Request, raw: RawReply) -> web.StreamResponse:
        """Send a response in one piece; with the right length even where it is broken off."""
        headers = {**_request_ids(len(self.sim.requests)), "Content-Type": raw.content_type, **raw.headers}
        body = raw.body
        if self._delivery.is_gzip:
            body = gzip.compress(body)
            headers["Content-Encoding"] = "gzip"
        end = raw.delivery.closes_after if raw.delivery.closes_after is not None else raw.delivery.stalls_after
        if end is None:
            return web.Response(body=body, status=raw.status, headers=headers)
        response = web.StreamResponse(status=raw.status, headers=headers)
        response.content_length = len(body)
        await response.prepare(http)
        await response.write(body[:end])
        return await self._break_off(http, response, stalls=raw.delivery.closes_after is None)

    async def stream(self, http: web.Request, verdict: Verdict, events: Sequence[WireEvent]) -> web.StreamResponse:
        """Send the events, each billed for what it reports before the client can know."""
        headers = {**_request_ids(verdict.number), "Content-Type": "text/event-stream", "Cache-Control": "no-cache"}
        response = web.StreamResponse(headers=headers)
        try:
            await response.prepare(http)
            for event in events:
                self.sim.charge(verdict, event.reported, is_whole=event is events[-1])
                await self._write(response, event.data)
                if event.is_token:
                    await self.pause(self.sim.latency.per_token(verdict.chance))
            if verdict.kind in _CUT:
                return await self._break_off(http, response, stalls=verdict.kind == "stall")
            await response.write_eof()
        except (asyncio.CancelledError, ConnectionError):
            self.hung_up += 1
            raise
        return response

    async def _write(self, response: web.StreamResponse, data: bytes) -> None:
        size = self._delivery.piece_bytes or len(data)
        for start in range(0, len(data), size):
            await response.write(data[start : start + size])
            await asyncio.sleep(0)

    async def _break_off(self, http: web.Request, response: web.StreamResponse, *, stalls: bool) -> web.StreamResponse:
        if stalls:
            await silence()
        if http.transport is not None:
            http.transport.close()
        return response


async def silence() -> None:
    """Wait until the client hangs up."""
    await asyncio.Event().wait()


class _Endpoint:
    """One path: a vendor's protocol, asked for a reply or for a number of tokens."""

    def __init__(self, server: SimServer, speaker: Speaker, action: str) -> None:
        self._server = server
        self._speaker = speaker
        self._action = action

    async def answer(self, http: web.Request) -> web.StreamResponse:
        body = await http.read()
        path: Mapping[str, str] = http.match_info
        asked = HttpAsked(body, http.headers, http.query, path.get("model", ""), path.get("action", self._action))
        if (refusal := self._speaker.refusal(asked, self._server.sim.api_key)) is not None:
            return await self._refuse(http, refusal)
        try:
            request = self._speaker.parse(asked)
            if asked.action in _COUNTS:
                return await self._server.send(http, RawReply(self._speaker.counted(request.input_tokens) or b""))
            verdict = self._server.sim.decide(request)
        except Malformed as problem:
            return await self._refuse(http, self._speaker.bad_request(str(problem), problem.param, "invalid_value"))
        except (ScriptExhausted, ConfigError) as problem:
            return await self._refuse(http, self._speaker.bad_request(str(problem), None, problem.code))
        return await self._carry(http, verdict)

    async def _refuse(self, http: web.Request, refusal: RawReply) -> web.StreamResponse:
        self._server.refused.append(refusal.body.decode(errors="replace"))
        return await self._server.send(http, refusal)

    async def _carry(self, http: web.Request, verdict: Verdict) -> web.StreamResponse:
        server, sim = self._server, self._server.sim
        if verdict.raw is not None:
            return await server.send(http, verdict.raw)
        if verdict.kind == "timeout":
            await self._silence()
        await server.pause(sim.first_token_s(verdict))
        if verdict.kind == "html":
            return await server.send(http, RawReply(_PAGE, verdict.chance.choice([200, 502]), "text/html"))
        if verdict.fault is not None and verdict.kind in INSTEAD:
            return await server.send(http, self._speaker.error(verdict.fault, verdict.request))
        if verdict.request.wanted.is_stream:
            return await server.stream(http, verdict, self._broken(verdict, self._speaker.events(verdict)))
        return await self._whole(http, verdict)

    async def _whole(self, http: web.Request, verdict: Verdict) -> web.StreamResponse:
        server, body = self._server, self._speaker.whole(verdict)
        await server.pause(sum(server.sim.latency.per_token(verdict.chance) for _ in range(verdict.reply.output_tokens)))
        end = verdict.chance.randrange(1, len(body) - 1)
        match verdict.kind:
            case "closed":
                return await server.send(http, RawReply(body, delivery=Delivery(closes_after=end)))
            case "stall":
                return await server.send(http, RawReply(body, delivery=Delivery(stalls_after=end)))
            case "malformed_json":
                return await server.send(http, RawReply(body[:end]))
            case _:
                server.sim.charge(verdict, verdict.reported, is_whole=True)
                return await server.send(http, RawReply(body))

    def _broken(self, verdict: Verdict, events: list[WireEvent]) -> list[WireEvent]:
        """Return the events as far as they come, and what comes in the place of the next one."""
        if verdict.kind not in _CUT | {"malformed_json", "error_in_stream"}:
            return events
        end = verdict.chance.randrange(1, len(events)) if len(events) > 1 else 0
        sent = events[:end]
        reported = sent[-1].reported if sent else None
        if verdict.kind == "error_in_stream":
            return [*sent, WireEvent(self._speaker.error_event(), reported)]
        if verdict.kind == "malformed_json":
            half = b'data: {"half": [1, 2\n\n' if not events[end].data.startswith(b"event:") else _halved(events[end].data)
            return [*sent, WireEvent(half, reported)]
        return sent

    async def _silence(self) -> None:
        try:
            await silence()
        finally:
            self._server.hung_up += 1


def _halved(event: bytes) -> bytes:
    """Return a named event whose data is cut off in the midst."""
    name, _, data = event.partition(b"\n")
    return name + b"\n" + data[: len(data) // 2] + b"\n\n"


def _request_ids(number: int) -> dict[str, str]:
    return {"x-request-id": f"req_{number}", "request-id": f"req_{number}"}
