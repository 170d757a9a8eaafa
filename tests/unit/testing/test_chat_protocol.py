import json

import pytest
from pydantic import JsonValue

from agent_sdk.testing.chat_protocol import Malformed, error_reply, parse_request

USER: JsonValue = {"role": "user", "content": "Hi"}
CALLS: JsonValue = {
    "role": "assistant",
    "content": None,
    "tool_calls": [{"id": name, "type": "function", "function": {"name": "a", "arguments": "{}"}} for name in ("x", "y")],
}


def result(identity: str) -> JsonValue:
    return {"role": "tool", "tool_call_id": identity, "content": identity}


def body(*messages: JsonValue, **more: JsonValue) -> bytes:
    return json.dumps({"model": "m", "messages": list(messages), **more}).encode()


def format_of(schema: JsonValue, *, is_strict: bool = True) -> JsonValue:
    return {"type": "json_schema", "json_schema": {"name": "output", "schema": schema, "strict": is_strict}}


def test_a_well_formed_request_is_read() -> None:
    request = parse_request(body({"role": "system", "content": "Be brief."}, USER, CALLS, result("y"), result("x")))
    assert (request.instructions, request.goal, request.results) == ("Be brief.", "Hi", ["y", "x"])
    assert request.output_schema is None


@pytest.mark.parametrize(
    ("sent", "says"),
    [
        (b"{", "Invalid JSON"),
        (b"[]", "object"),
        (body(), "at least 1 item"),
        (body({"role": "robot", "content": "Hi"}), "messages.0.role"),
        (body({"role": "user", "content": 5}), "messages.0.content"),
        (body({"role": "user"}), "expected a string, got null"),
        (body({"role": "user", "content": "Hi", "extra": 1}), "Unrecognized request argument: 'messages.0.extra'"),
        (body({"role": "user", "content": "Hi", "tool_call_id": "x"}), "'tool_call_id' stands in messages with role 'tool'"),
        (body({"role": "tool", "content": "Hi"}), "'tool_call_id' stands in messages with role 'tool'"),
        (body(USER, CALLS), "no response to x"),
        (body(USER, CALLS, result("x")), "no response to y"),
        (body(USER, CALLS, result("x"), USER), "no response to y"),
        (body(USER, result("x")), r"messages[1] with role 'tool' must be a response"),
        (body(USER, CALLS, result("x"), result("x")), "must be a response"),
        (
            body(
                {
                    "role": "user",
                    "content": "Hi",
                    "tool_calls": [{"id": "x", "type": "function", "function": {"name": "a", "arguments": "{}"}}],
                }
            ),
            "no 'tool_calls'",
        ),
        (body(USER, foo=1), "Unrecognized request argument: 'foo'"),
        (body(USER, temperature=3), "temperature"),
        (body(USER, tools=[]), "tools"),
        (body(USER, tools=[{"type": "function", "function": {"name": "a.b"}}]), "tools.0.function.name"),
        (body(USER, response_format=format_of({"type": "array"})), "schema must be a JSON Schema of 'type: \"object\"'"),
        (body(USER, response_format=format_of({"type": "object", "properties": {}})), "'additionalProperties' is required"),
        (
            body(
                USER,
                response_format=format_of(
                    {"type": "object", "properties": {"a": {"type": "object"}}, "required": ["a"], "additionalProperties": False}
                ),
            ),
            "In context=('properties', 'a')",
        ),
        (
            body(
                USER, response_format=format_of({"type": "object", "properties": {"a": {}}, "required": [], "additionalProperties": False})
            ),
            "'required' is required",
        ),
        (
            body(
                USER,
                response_format=format_of(
                    {
                        "type": "object",
                        "properties": {"a": {"items": {"anyOf": [{"default": 1}]}}},
                        "required": ["a"],
                        "additionalProperties": False,
                    }
                ),
            ),
            "'default' is not permitted",
        ),
        (
            body(
                USER,
                response_format=format_of(
                    {"type": "object", "properties": {"a": {"items": True}}, "required": ["a"], "additionalProperties": False}
                ),
            ),
            "a schema must be an object",
        ),
    ],
)
def test_a_malformed_request_is_refused_as_the_vendor_does(sent: bytes, says: str) -> None:
    with pytest.raises(Malformed) as caught:
        parse_request(sent)
    assert says in str(caught.value)


def test_a_loose_schema_is_only_an_object() -> None:
    free: dict[str, JsonValue] = {"type": "object"}
    assert parse_request(body(USER, response_format=format_of(free, is_strict=False))).output_schema == free


def test_an_error_is_written_as_the_vendor_writes_it() -> None:
    reply = error_reply(429, "slow", code="rate_limit_exceeded", Retry_After="7")
    assert json.loads(reply.body)["error"] == {
        "message": "slow",
        "type": "invalid_request_error",
        "param": None,
        "code": "rate_limit_exceeded",
    }
    assert reply.headers == {"Retry-After": "7"}
