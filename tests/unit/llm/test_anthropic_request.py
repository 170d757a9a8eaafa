import json
from dataclasses import replace
from typing import cast

import pytest
from pydantic import JsonValue

from agent_sdk.core.errors import BadRequest, ConfigError
from agent_sdk.core.ids import StepId
from agent_sdk.core.messages import Conversation, Message, ReasoningPart, TextPart, ToolCallPart, ToolResultPart, user_message
from agent_sdk.core.model import ModelRequest, ModelSettings
from agent_sdk.core.tools import ToolSpec
from agent_sdk.llm.anthropic import MessagesProtocol
from agent_sdk.llm.anthropic_messages import DIALECT
from agent_sdk.llm.anthropic_options import AnthropicOptions

SEARCH = ToolSpec("search", "Search.", {"type": "object", "properties": {"q": {"type": "string"}}, "required": ["q"]}, {})
READ = ToolSpec("files.read", "", {"type": "object", "properties": {}}, {})
TOOLS = (SEARCH, READ)
REQUEST = ModelRequest(StepId("t1"), "claude-sonnet-5", Conversation([user_message("Hello")]), "Be brief.")
SCHEMA: dict[str, JsonValue] = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}}, "required": ["n"]}
FREE: dict[str, JsonValue] = {"type": "object", "additionalProperties": {"type": "integer"}}
Body = dict[str, JsonValue]


def protocol(**more: object) -> MessagesProtocol:
    return MessagesProtocol(AnthropicOptions("k", **more))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  (its fields)


def sent(request: ModelRequest, by: MessagesProtocol | None = None, *, is_stream: bool = False) -> Body:
    return cast("Body", json.loads((by or protocol()).outgoing(request, is_stream=is_stream).body))


def asking(schema: dict[str, JsonValue] | None = None, tools: tuple[ToolSpec, ...] = (), **settings: object) -> ModelRequest:
    chosen = ModelSettings(**settings)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  (its fields)
    return replace(REQUEST, tools=tools, output_schema=schema, settings=chosen)


def refused(said: str) -> BadRequest:
    return BadRequest(f"https://api.anthropic.com answered 400: {said}")


def test_what_is_not_asked_for_is_not_sent() -> None:
    assert sent(REQUEST) == {
        "max_tokens": 16_384,
        "model": "claude-sonnet-5",
        "system": [{"type": "text", "text": "Be brief."}],
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Hello"}]}],
    }


def test_settings_are_said_in_the_vendor_s_words() -> None:
    body = sent(asking(max_output_tokens=9, stop_sequences=("END",), extra={"metadata": {"user_id": "u"}}), is_stream=True)
    assert (body["max_tokens"], body["stop_sequences"], body["stream"], body["metadata"]) == (9, ["END"], True, {"user_id": "u"})


def test_empty_instructions_are_left_out() -> None:
    assert "system" not in sent(replace(REQUEST, instructions=" \n"))


def test_what_samples_goes_under_the_version_that_knows_it() -> None:
    by = protocol()
    assert by.headers()["anthropic-version"] == "2026-10-21"
    assert by.outgoing(REQUEST, is_stream=False).headers is None
    cold = by.outgoing(asking(temperature=0.0, top_p=0.5), is_stream=False)
    assert cold.headers == {"anthropic-version": "2023-06-01"}
    assert json.loads(cold.body)["temperature"] == 0.0
    assert protocol(api_version="2023-06-01").outgoing(asking(temperature=0.0), is_stream=False).headers is None


def test_headers_say_who_asks_and_what_is_tried_out() -> None:
    assert protocol(beta=("a-2026", "b-2026")).headers() == {
        "anthropic-version": "2026-10-21",
        "anthropic-beta": "a-2026,b-2026",
        "x-api-key": "k",
    }
    assert "x-api-key" not in MessagesProtocol(AnthropicOptions(base_url="http://localhost:1")).headers()


def test_tools_are_described_by_names_that_the_vendor_allows() -> None:
    assert sent(asking(tools=TOOLS))["tools"] == [
        {"name": "search", "description": "Search.", "input_schema": dict(SEARCH.parameters)},
        {"name": "files_read_601e4eb6", "description": "", "input_schema": dict(READ.parameters)},
    ]


@pytest.mark.parametrize(
    ("settings", "choice"),
    [
        (ModelSettings(), None),
        (ModelSettings(tool_choice="required"), {"type": "any"}),
        (ModelSettings(tool_choice="none"), {"type": "none"}),
        (ModelSettings(force_tool="files.read"), {"type": "tool", "name": "files_read_601e4eb6"}),
        (ModelSettings(parallel_tool_calls=False), {"type": "auto", "disable_parallel_tool_use": True}),
        (ModelSettings(parallel_tool_calls=True, tool_choice="required"), {"type": "any", "disable_parallel_tool_use": False}),
        (ModelSettings(parallel_tool_calls=False, tool_choice="none"), {"type": "none"}),
    ],
)
def test_tools_are_chosen_as_the_settings_say(settings: ModelSettings, choice: JsonValue) -> None:
    assert sent(replace(REQUEST, tools=TOOLS, settings=settings)).get("tool_choice") == choice


def test_nothing_is_chosen_where_there_are_no_tools() -> None:
    assert "tool_choice" not in sent(asking(tool_choice="none", parallel_tool_calls=False))


def test_the_vendor_s_own_tools_stand_behind_ours() -> None:
    search: JsonValue = {"type": "web_search_20260209", "name": "web_search"}
    both = sent(asking(tools=(SEARCH,), extra={"tools": [search]}, cache="short"))["tools"]
    assert both == [
        {"name": "search", "description": "Search.", "input_schema": dict(SEARCH.parameters)},
        {"type": "web_search_20260209", "name": "web_search", "cache_control": {"type": "ephemeral"}},
    ]
    assert sent(asking(extra={"tools": [search]}))["tools"] == [search]
    assert "tools" not in sent(asking(extra={"tools": []}))


def test_extra_fields_that_settings_say_are_refused() -> None:
    with pytest.raises(ConfigError, match="max_tokens"):
        sent(asking(extra={"max_tokens": 1}))


@pytest.mark.parametrize(
    ("cache", "mark"), [("short", {"type": "ephemeral"}), ("long", {"type": "ephemeral", "ttl": "1h"})], ids=["short", "long"]
)
def test_what_questions_have_in_common_is_marked_for_the_cache(cache: str, mark: JsonValue) -> None:
    body = sent(asking(tools=TOOLS, cache=cache))
    assert json.dumps(body).count('"cache_control"') == 3
    assert cast("list[Body]", body["tools"])[-1]["cache_control"] == mark
    assert cast("list[Body]", body["system"])[0]["cache_control"] == mark
    content = cast("list[Body]", cast("list[Body]", body["messages"])[-1]["content"])
    assert content[-1]["cache_control"] == mark


def test_output_is_asked_for_by_the_protocol_s_own_means() -> None:
    schema: JsonValue = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": False}
    assert sent(asking(SCHEMA))["output_config"] == {"format": {"type": "json_schema", "schema": schema}}


def test_output_that_cannot_be_said_so_is_taken_by_a_tool_that_must_be_called() -> None:
    body = sent(asking(FREE, (SEARCH,)))
    assert [tool["name"] for tool in cast("list[Body]", body["tools"])] == ["search", "give_the_answer"]
    assert body["tool_choice"] == {"type": "any"}
    assert "output_config" not in body


def test_who_reasons_gives_its_output_unforced() -> None:
    assert "tool_choice" not in sent(asking(SCHEMA, output_mode="tool", reasoning="high"))
    assert sent(asking(SCHEMA, output_mode="tool", reasoning="none"))["tool_choice"] == {"type": "any"}
    assert sent(asking(SCHEMA, (SEARCH,), output_mode="tool", tool_choice="none"))["tool_choice"] == {
        "type": "tool",
        "name": "give_the_answer",
    }


def test_output_can_be_asked_for_in_words() -> None:
    body = sent(asking(SCHEMA, output_mode="prompt"))
    assert "JSON Schema" in str(body["system"])
    assert not body.keys() & {"output_config", "tools"}


@pytest.mark.parametrize(
    ("reasoning", "thinking", "config"),
    [
        ("none", {"type": "disabled"}, None),
        ("minimal", {"type": "adaptive", "display": "summarized"}, {"effort": "low"}),
        ("high", {"type": "adaptive", "display": "summarized"}, {"effort": "high"}),
    ],
)
def test_reasoning_is_an_effort(reasoning: str, thinking: JsonValue, config: JsonValue) -> None:
    body = sent(asking(reasoning=reasoning))
    assert (body["thinking"], body.get("output_config")) == (thinking, config)


def test_thoughts_may_be_left_out_of_replies() -> None:
    assert sent(asking(reasoning="low"), protocol(thinking_display="omitted"))["thinking"] == {"type": "adaptive", "display": "omitted"}


@pytest.mark.parametrize(
    "said", ["adaptive thinking is not supported on this model", "Only 'enabled' and 'disabled' are supported; 'adaptive' is not"]
)
def test_an_older_model_is_given_a_budget_to_think_with(said: str) -> None:
    by, request = protocol(), asking(reasoning="high")
    assert by.relents(request, refused(said))
    body = sent(request, by)
    assert body["thinking"] == {"type": "enabled", "budget_tokens": 8192}
    assert "output_config" not in body
    assert not by.relents(request, refused(said))
    assert sent(replace(request, model="other"), by)["thinking"] != body["thinking"]


def test_a_budget_leaves_room_for_the_answer_or_is_none() -> None:
    by, request = protocol(), asking(reasoning="high", max_output_tokens=3000)
    by.relents(request, refused("adaptive thinking is not supported"))
    assert sent(request, by)["thinking"] == {"type": "enabled", "budget_tokens": 1500}
    assert "thinking" not in sent(asking(reasoning="high", max_output_tokens=2000), by)


@pytest.mark.parametrize(("protocol_of_reply", "thinks"), [(DIALECT, True), ("openai.chat", False)])
def test_an_older_model_goes_on_thinking_only_where_it_began_so(protocol_of_reply: str, thinks: bool) -> None:
    by = protocol()
    by.relents(asking(reasoning="low"), refused("adaptive thinking is not supported"))
    called = Message("assistant", (ReasoningPart("hm", "sig"), ToolCallPart(StepId("t1.1"), "search", {})), protocol_of_reply)
    results = Message("tool", (ToolResultPart(StepId("t1.1"), 3),))
    said = Message("assistant", (TextPart("Hi"),))
    request = replace(asking(reasoning="low"), conversation=Conversation([user_message("a"), called, results]))
    assert ("thinking" in sent(request, by)) is thinks
    assert "thinking" in sent(
        replace(request, conversation=Conversation([user_message("a"), called, results, said, user_message("b")])), by
    )
    assert "thinking" in sent(replace(request, conversation=Conversation([said])), by)


def test_a_model_without_efforts_is_asked_without() -> None:
    by, request = protocol(), asking(SCHEMA, reasoning="low")
    assert by.relents(request, refused("This model does not support the effort parameter."))
    assert sent(request, by)["thinking"] == {"type": "adaptive", "display": "summarized"}
    assert list(cast("Body", sent(request, by)["output_config"])) == ["format"]


def test_a_schema_that_is_too_much_for_the_vendor_is_taken_by_a_tool_from_then_on() -> None:
    by, request = protocol(), asking(SCHEMA)
    assert by.relents(request, refused("The compiled grammar is too large, which would cause performance issues."))
    assert "output_config" not in sent(request, by)
    assert by.assembly(request, {}).output is not None
    other: dict[str, JsonValue] = {**SCHEMA, "description": "another"}
    assert "output_config" in sent(replace(request, output_schema=other), by)


def test_a_server_that_knows_no_output_config_gets_none() -> None:
    by, request = protocol(), asking(SCHEMA, reasoning="low")
    for _ in range(2):
        assert by.relents(request, refused("output_config: Extra inputs are not permitted"))
    assert "output_config" not in sent(request, by)
    assert not by.relents(request, refused("output_config: Extra inputs are not permitted"))


def test_a_model_that_cannot_be_forced_is_left_the_choice() -> None:
    by, request = protocol(), asking(SCHEMA, output_mode="tool")
    assert by.relents(request, refused('tool_choice: "any" is not supported for this model'))
    assert "tool_choice" not in sent(request, by)


def test_what_the_user_forces_stays_forced() -> None:
    by, request = protocol(), asking(tools=TOOLS, tool_choice="required")
    assert not by.relents(request, refused("Thinking may not be enabled when tool_choice forces tool use."))
    assert sent(asking(SCHEMA, TOOLS, output_mode="tool", force_tool="search", reasoning="low"))["tool_choice"] == {
        "type": "tool",
        "name": "search",
    }


def test_other_refusals_stay_refusals() -> None:
    assert not protocol().relents(asking(SCHEMA, reasoning="high"), refused("messages: at least one message is required"))


def test_tokens_are_counted_of_what_is_input() -> None:
    outgoing = protocol().counting(asking(SCHEMA, TOOLS, reasoning="low", stop_sequences=("x",)))
    assert outgoing.path == "/v1/messages/count_tokens"
    assert json.loads(outgoing.body).keys() == {"model", "tools", "system", "thinking", "output_config", "messages"}


def test_vertex_has_the_model_in_the_path_and_the_version_in_the_body() -> None:
    by = protocol(platform="vertex", base_url="https://us-east5-aiplatform.googleapis.com/v1/projects/p/locations/us-east5")
    request = replace(REQUEST, model="claude-haiku-4-5@20251001")
    plain, streamed = (by.outgoing(request, is_stream=is_stream) for is_stream in (False, True))
    assert plain.path == "/publishers/anthropic/models/claude-haiku-4-5@20251001:rawPredict"
    assert streamed.path == "/publishers/anthropic/models/claude-haiku-4-5@20251001:streamRawPredict"
    body = json.loads(plain.body)
    assert body["anthropic_version"] == "2026-10-21"
    assert "model" not in body
    assert sent(asking(temperature=1.0), by)["anthropic_version"] == "vertex-2023-10-16"
    counting = by.counting(request)
    assert counting.path == "/publishers/anthropic/models/count-tokens:rawPredict"
    assert json.loads(counting.body)["model"] == "claude-haiku-4-5@20251001"


def test_a_message_is_encoded_once_however_often_it_is_sent() -> None:
    talk, by = Conversation([user_message("Hello")]), protocol()
    request = replace(REQUEST, conversation=talk)
    sent(request, by)
    first = talk.encoded(DIALECT, lambda _: b"never")[0]
    talk.add(Message("assistant", (TextPart("Hi"),)))
    sent(request, by)
    assert talk.encoded(DIALECT, lambda _: b"never")[0] is first
