import json
from typing import cast

import pytest
from pydantic import JsonValue

from agent_sdk.core.errors import BadRequest
from agent_sdk.core.ids import StepId
from agent_sdk.core.messages import Conversation, user_message
from agent_sdk.core.model import ModelRequest
from agent_sdk.llm import OpenAIOptions
from agent_sdk.llm.openai_chat import ChatProtocol
from agent_sdk.llm.openai_responses import ResponsesProtocol

TEXT = ModelRequest(StepId("t1"), "m", Conversation([user_message("Hi")]))
JSON = ModelRequest(StepId("t1"), "m", Conversation([user_message("Hi")]), output_schema={"type": "object", "properties": {}})
OTHER = ModelRequest(StepId("t1"), "other", Conversation([user_message("Hi")]))


def protocol() -> ResponsesProtocol:
    return ResponsesProtocol(OpenAIOptions("sk-1", "http://here/v1", organization="org-1"))


def asked_for(made: ResponsesProtocol, request: ModelRequest) -> set[str]:
    said = cast("dict[str, JsonValue]", json.loads(made.outgoing(request, is_stream=False).body))
    return {"include", "text"} & said.keys()


def test_who_asks_is_said() -> None:
    assert protocol().headers() == {"Authorization": "Bearer sk-1", "OpenAI-Organization": "org-1"}


@pytest.mark.parametrize(
    "message", ["Encrypted content is not supported with this model.", "Unknown parameter: 'include'", "invalid value in include[0]"]
)
def test_a_model_that_seals_no_thoughts_is_asked_for_none_from_then_on(message: str) -> None:
    made = protocol()
    assert asked_for(made, TEXT) == {"include"}
    assert made.relents(TEXT, BadRequest(message))
    assert asked_for(made, TEXT) == set()
    assert asked_for(made, OTHER) == {"include"}
    assert not made.relents(TEXT, BadRequest(message))


def test_a_seal_that_does_not_hold_is_no_reason_to_do_without() -> None:
    assert not protocol().relents(TEXT, BadRequest("The encrypted content for item rs_1 could not be verified."))


def test_a_schema_that_is_refused_is_said_in_words_from_then_on() -> None:
    made = protocol()
    assert asked_for(made, JSON) == {"include", "text"}
    assert made.relents(JSON, BadRequest("Invalid value: 'json_schema'. In text.format.type"))
    assert asked_for(made, JSON) == {"include"}
    assert not made.relents(JSON, BadRequest("text.format again"))


@pytest.mark.parametrize("made", [protocol(), ChatProtocol(OpenAIOptions("sk-1", "http://here/v1"))])
def test_another_refusal_changes_nothing(made: ResponsesProtocol | ChatProtocol) -> None:
    for request, message in ((TEXT, "Invalid schema"), (JSON, "Invalid schema for function 'search': no"), (JSON, "temperature")):
        assert not made.relents(request, BadRequest(message))
