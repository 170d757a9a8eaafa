"""One question in each protocol over bare HTTP, and what came back: whole, cut off, or silence."""

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from pydantic import JsonValue

from tests.integration.sim_clients import PARAMETERS, Dialect

PATIENCE_S = 0.25
HEADERS = {
    "Authorization": "Bearer sim-key",
    "x-goog-api-key": "sim-key",
    "anthropic-version": "2026-10-21",
    "Content-Type": "application/json",
}
Body = dict[str, JsonValue]


@dataclass(slots=True)
class Answer:
    """A response as far as it came; `status` 0 where nothing did."""

    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: bytes = b""
    is_cut: bool = False
    is_silent: bool = False


def question(dialect: Dialect, *, is_stream: bool) -> tuple[str, Body]:
    """Return the path and the body of a well-formed question with one tool."""
    user: Body = {"role": "user", "content": "Hi"}
    match dialect:
        case "openai_chat":
            function: JsonValue = {"type": "function", "function": {"name": "search", "parameters": PARAMETERS}}
            told: Body = {"stream_options": {"include_usage": True}} if is_stream else {}
            return "/v1/chat/completions", {"model": "m", "messages": [user], "tools": [function], "stream": is_stream, **told}
        case "openai_responses":
            tool: JsonValue = {"type": "function", "name": "search", "parameters": PARAMETERS, "strict": False}
            return "/v1/responses", {"model": "m", "input": [user], "tools": [tool], "stream": is_stream}
        case "anthropic":
            offered: JsonValue = {"name": "search", "input_schema": PARAMETERS}
            return "/v1/messages", {"model": "m", "max_tokens": 500, "messages": [user], "tools": [offered], "stream": is_stream}
        case "gemini":
            action = "streamGenerateContent?alt=sse" if is_stream else "generateContent"
            declared: JsonValue = {"functionDeclarations": [{"name": "search", "parametersJsonSchema": PARAMETERS}]}
            contents: JsonValue = [{"role": "user", "parts": [{"text": "Hi"}]}]
            return f"/v1beta/models/m:{action}", {"contents": contents, "tools": [declared]}


def post(url: str, path: str, body: Body, headers: Mapping[str, str] | None = None) -> Answer:
    """Ask, and read until the response, the connection or patience ends."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=PATIENCE_S)
    answer = Answer()
    try:
        connection.request("POST", path, json.dumps(body), {**HEADERS, **(headers or {})})
        response = connection.getresponse()
        answer.status = response.status
        answer.headers = {name.lower(): value for name, value in response.headers.items()}
        while piece := response.read1(65_536):
            answer.body += piece
        answer.is_cut = bool(response.length)
    except TimeoutError:
        answer.is_silent = True
    except http.client.IncompleteRead as error:
        answer.body += error.partial
        answer.is_cut = True
    finally:
        connection.close()
    return answer


def payloads(body: bytes) -> list[str]:
    """Return the JSON texts of a response: one, or one an event."""
    text = body.decode(errors="replace")
    if not text.startswith(("data:", "event:")):
        return [text]
    lines = [line.removeprefix("data: ") for line in text.split("\n") if line.startswith("data: ")]
    return [line for line in lines if line != "[DONE]"]


def is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
