"""An event as it is exported: one JSON object, and the JSON Schema that describes it."""

import json
from dataclasses import fields
from typing import cast

from pydantic import JsonValue, TypeAdapter

from agent_sdk.core.codec import adapter, dump
from agent_sdk.core.envelope import EVENT_CLASSES, VERSIONS, EventClass
from agent_sdk.core.events import Event, Fact, UnknownEvent
from agent_sdk.core.ids import RunId, TenantId
from agent_sdk.observability.taxonomy import KINDS, family_of, severity_of

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def record_of(tenant: TenantId, run_id: RunId, fact: Fact, *, with_body: bool = True) -> dict[str, JsonValue]:
    """Return the fact as one flat record whose event's own fields stand under `data`; without its body it holds no users' content.

    `at` is in microseconds since 1970. Nothing is masked here: who lets the record leave the process does that.
    """
    event = fact.event
    return {
        "tenant": tenant,
        "run_id": run_id,
        "seq": fact.seq,
        "epoch": fact.epoch,
        "at": fact.at,
        "type": event.type,
        "v": event.v if isinstance(event, UnknownEvent) else VERSIONS.get(event.type, 1),
        "family": family_of(event),
        "severity": severity_of(event),
        "cause": fact.cause,
        "data": _data(event, with_body=with_body),
    }


def event_schema() -> dict[str, JsonValue]:
    """Return the catalogue of all events: the JSON Schema of a record, with the shape of each type's `data` and what the type means."""
    kinds = [(name, kind) for name, kind in EVENT_CLASSES.items()]
    refs, shapes = TypeAdapter[Event].json_schemas(
        [(name, "serialization", adapter(kind)) for name, kind in kinds], ref_template="#/$defs/{model}"
    )
    return {
        "$schema": DIALECT,
        "title": "An event of a run",
        "type": "object",
        "required": ["tenant", "run_id", "seq", "epoch", "at", "type", "v", "family", "severity", "data"],
        "properties": {
            "tenant": {"type": "string"},
            "run_id": {"type": "string"},
            "seq": {"type": "integer", "minimum": 1, "description": "Counts from 1 without gaps."},
            "epoch": {"type": "integer", "minimum": 0, "description": "The lease under which it was written."},
            "at": {"type": "integer", "description": "Microseconds since 1970, UTC."},
            "cause": {"type": ["string", "null"], "description": "What led here: inbox:{number} or event:{seq}."},
            "type": {"type": "string"},
            "v": {"type": "integer", "minimum": 1, "description": "Version of the type."},
            "family": {"type": "string"},
            "severity": {"enum": ["info", "warn", "error"]},
            "data": {"type": "object"},
        },
        "oneOf": [_entry(name, kind, cast("JsonValue", refs[name, "serialization"])) for name, kind in kinds],
        "$defs": cast("JsonValue", shapes["$defs"]),
    }


def _entry(name: str, kind: EventClass, shape: JsonValue) -> JsonValue:
    """Describe one type. `x-severity` is its least severity; `x-body` names the fields that are users' content and may be gone."""
    return {
        "title": name,
        "description": KINDS[kind].meaning,
        "properties": {"type": {"const": name}, "v": {"const": VERSIONS.get(name, 1)}, "data": shape},
        "x-family": name.partition(".")[0],
        "x-severity": KINDS[kind].severity,
        "x-body": list(kind.BODY),
    }


def _data(event: Event, *, with_body: bool) -> dict[str, JsonValue]:
    if isinstance(event, UnknownEvent):
        return {}
    hidden = set[str]() if with_body else set(event.BODY)
    data: dict[str, JsonValue] = json.loads(dump(event, {field.name for field in fields(event)} - hidden))
    return data
