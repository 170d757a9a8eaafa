import json
from collections.abc import Mapping
from typing import cast

import pytest
from pydantic import JsonValue

from agent_sdk.core.envelope import EVENT_CLASSES
from agent_sdk.core.events import Event, UnknownEvent
from agent_sdk.observability.records import event_schema, record_of
from tests.unit.observability.samples import EVENTS, RUN, SECRET, TENANT, facts_of

Schema = Mapping[str, JsonValue]


def entries() -> dict[str, Schema]:
    return {cast("str", entry["title"]): entry for entry in cast("list[Schema]", event_schema()["oneOf"])}


def shape_of(entry: Schema) -> Schema:
    properties = cast("dict[str, dict[str, str]]", entry["properties"])
    name = properties["data"]["$ref"].removeprefix("#/$defs/")
    return cast("dict[str, Schema]", event_schema()["$defs"])[name]


def test_a_record_names_its_place_its_kind_and_the_events_fields() -> None:
    (fact,) = facts_of(next(event for event in EVENTS if event.type == "step.retried"))
    assert record_of(TENANT, RUN, fact, with_body=False) == {
        "tenant": "default",
        "run_id": "run-1",
        "seq": 1,
        "epoch": 1,
        "at": fact.at,
        "type": "step.retried",
        "v": 1,
        "family": "step",
        "severity": "warn",
        "cause": None,
        "data": {"step": "count", "attempt": 1, "code": "tool_timed_out", "delay_s": 1.5},
    }


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.type)
def test_a_record_without_body_holds_no_users_content(event: Event) -> None:
    (fact,) = facts_of(event)
    assert SECRET not in json.dumps(record_of(TENANT, RUN, fact, with_body=False))


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.type)
def test_a_record_with_body_is_verbatim(event: Event) -> None:
    (fact,) = facts_of(event)
    assert (SECRET in json.dumps(record_of(TENANT, RUN, fact))) == bool(event.BODY)


def test_an_unknown_event_keeps_its_own_version_and_has_no_data() -> None:
    (fact,) = facts_of(UnknownEvent("run.teleported", 3))
    record = record_of(TENANT, RUN, fact)
    assert (record["type"], record["v"], record["family"], record["data"]) == ("run.teleported", 3, "unknown", {})


def test_the_schema_describes_every_known_type_once() -> None:
    assert set(entries()) == set(EVENT_CLASSES)


def test_every_reference_in_the_schema_leads_somewhere() -> None:
    schema = event_schema()
    text = json.dumps(schema)
    names = {part.split('"')[0] for part in text.split('"#/$defs/')[1:]}
    assert names <= set(cast("dict[str, JsonValue]", schema["$defs"]))


@pytest.mark.parametrize("event", [event for event in EVENTS if not isinstance(event, UnknownEvent)], ids=lambda event: event.type)
def test_every_record_has_the_fields_that_the_schema_promises(event: Event) -> None:
    (fact,) = facts_of(event)
    record = record_of(TENANT, RUN, fact)
    entry = entries()[event.type]
    shape = shape_of(entry)
    data = cast("dict[str, JsonValue]", record["data"])
    assert set(data) <= set(cast("dict[str, JsonValue]", shape.get("properties", {})))
    assert set(data) >= set(cast("list[str]", shape.get("required", [])))
    assert set(record) == set(cast("dict[str, JsonValue]", event_schema()["properties"]))
    assert entry["x-family"] == record["family"]
    assert entry["x-body"] == list(event.BODY)
