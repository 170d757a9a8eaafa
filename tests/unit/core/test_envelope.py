import contextlib
import json
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import get_args

import pytest
from hypothesis import given, settings, strategies as st
from pydantic import JsonValue

from agent_sdk.core.envelope import (
    ARTIFACT_THRESHOLD_BYTES,
    EVENT_CLASSES,
    GENESIS,
    Encoded,
    Envelope,
    Upcaster,
    artifact_id,
    artifacts_named,
    decode,
    encode,
    verify,
)
from agent_sdk.core.errors import JournalCorrupt
from agent_sdk.core.events import Event, Fact, MessageReceived, ModelCalled, RunClaimed, RunCreated, StepFinished, UnknownEvent
from agent_sdk.core.ids import DEFAULT_TENANT, ArtifactId, OwnerId, RunId, StepId, TenantId
from agent_sdk.core.messages import Message, ToolCallPart
from agent_sdk.core.model import Attempt
from agent_sdk.core.usage import Usage
from tests.unit.core.generated import EVENTS, FACTS
from tests.unit.core.toy import RUN


def stored(event: Event, *, seq: int = 1, cause: str | None = None, previous: bytes = GENESIS) -> Encoded:
    return encode(Fact(seq, 1, 1_000, event, cause), tenant=DEFAULT_TENANT, run_id=RUN, previous=previous)


def finished(output: JsonValue) -> StepFinished:
    return StepFinished(StepId("a"), 1, 5, None, output)


@settings(max_examples=400)
@given(FACTS)
def test_every_event_comes_back_as_it_was_stored(fact: Fact) -> None:
    encoded = encode(fact, tenant=DEFAULT_TENANT, run_id=RUN, previous=GENESIS)
    assert decode(encoded.envelope, encoded.artifacts) == fact
    assert verify(encoded.envelope, previous=GENESIS)


@given(EVENTS)
def test_a_bodiless_event_keeps_all_that_is_plain(event: Event) -> None:
    back = decode(replace(stored(event).envelope, body=None)).event
    for field in fields(event):
        expected = None if field.name in event.BODY else getattr(event, field.name)
        assert getattr(back, field.name) == expected


def test_a_call_without_json_arguments_comes_back_from_the_journal() -> None:
    call = ToolCallPart(StepId("t1.1"), "search", None, '{"query": ', "it ends too early")
    event = ModelCalled(StepId("t1"), "turn", "m", Usage(), "tool_calls", (Attempt(1),), message=Message("assistant", (call,)))
    assert decode(stored(event).envelope).event == event


def test_each_event_class_has_a_name_of_its_own() -> None:
    assert len(EVENT_CLASSES) == len(get_args(Event)) - 1
    assert all(name.count(".") == 1 for name in EVENT_CLASSES)


@given(st.data())
def test_the_chain_names_the_event_whose_byte_was_changed(data: st.DataObject) -> None:
    facts = [Fact(seq, 1, seq, event) for seq, event in enumerate(data.draw(st.lists(EVENTS, min_size=1, max_size=5)), 1)]
    chain: list[Envelope] = []
    for fact in facts:
        chain.append(encode(fact, tenant=DEFAULT_TENANT, run_id=RUN, previous=chain[-1].hash if chain else GENESIS).envelope)
    index = data.draw(st.integers(0, len(chain) - 1))
    envelope = chain[index]
    which = data.draw(st.sampled_from(["meta", "hash"] + (["body"] if envelope.body else [])))
    old = {"meta": envelope.meta, "hash": envelope.hash, "body": envelope.body or b""}[which]
    at = data.draw(st.integers(0, len(old) - 1))
    new = old[:at] + bytes([old[at] ^ data.draw(st.integers(1, 255))]) + old[at + 1 :]
    match which:
        case "meta":
            chain[index] = replace(envelope, meta=new)
        case "hash":
            chain[index] = replace(envelope, hash=new)
        case _:
            chain[index] = replace(envelope, body=new)
    assert first_broken(chain) == index


def first_broken(chain: list[Envelope]) -> int | None:
    hashes = [GENESIS, *(envelope.hash for envelope in chain)]
    return next((i for i, each in enumerate(chain) if not verify(each, previous=hashes[i])), None)


CHANGES: Mapping[str, Callable[[Envelope], Envelope]] = {
    "tenant": lambda envelope: replace(envelope, tenant=TenantId("other")),
    "run": lambda envelope: replace(envelope, run_id=RunId("other")),
    "number": lambda envelope: replace(envelope, seq=2),
    "epoch": lambda envelope: replace(envelope, epoch=2),
    "type": lambda envelope: replace(envelope, type="run.woken"),
    "version": lambda envelope: replace(envelope, v=2),
    "time": lambda envelope: replace(envelope, at=1_001),
    "cause": lambda envelope: replace(envelope, cause="inbox:1"),
    "empty cause": lambda envelope: replace(envelope, cause=""),
    "no body": lambda envelope: replace(envelope, body=None),
}


@pytest.mark.parametrize("column", CHANGES)
def test_the_hash_covers_every_column(column: str) -> None:
    envelope = stored(finished("x")).envelope
    assert verify(envelope, previous=GENESIS)
    assert not verify(CHANGES[column](envelope), previous=GENESIS)


def test_the_hash_covers_the_event_before() -> None:
    assert not verify(stored(finished("x")).envelope, previous=b"another")


def test_no_character_moves_from_one_column_to_the_next() -> None:
    one = replace(stored(RunClaimed(OwnerId("o"))).envelope, tenant=TenantId("a\x1fb"), run_id=RunId("c"))
    fact = decode(one)
    first = encode(fact, tenant=TenantId("a\x1fb"), run_id=RunId("c"), previous=GENESIS)
    second = encode(fact, tenant=TenantId("a"), run_id=RunId("b\x1fc"), previous=GENESIS)
    assert first.envelope.hash != second.envelope.hash


def test_a_large_value_is_an_artifact_named_by_its_content() -> None:
    output: JsonValue = {"text": "ä" * ARTIFACT_THRESHOLD_BYTES, "n": [1, None, 2.5]}
    encoded = stored(finished(output))
    ((identity, data),) = encoded.artifacts.items()
    assert json.loads(data) == output
    assert identity == artifact_id(data)
    assert encoded.envelope.body is not None
    assert len(encoded.envelope.body) < 200
    assert artifacts_named(encoded.envelope) == {"output": identity}
    assert decode(encoded.envelope, encoded.artifacts).event == finished(output)


def test_an_erased_artifact_leaves_an_event_without_that_value() -> None:
    encoded = stored(finished("x" * (ARTIFACT_THRESHOLD_BYTES + 1)))
    assert decode(encoded.envelope).event == finished(None)
    assert verify(encoded.envelope, previous=GENESIS)


def test_a_value_at_the_threshold_stays_in_the_body() -> None:
    overhead = len(b'{"output":""}')
    assert not stored(finished("x" * (ARTIFACT_THRESHOLD_BYTES - overhead))).artifacts


def test_a_body_of_several_middling_values_makes_no_artifact() -> None:
    event = RunCreated("a", "1", {}, goal="x" * (ARTIFACT_THRESHOLD_BYTES - 4))
    encoded = stored(event)
    assert not encoded.artifacts
    assert decode(encoded.envelope, {}).event == event


def test_users_text_that_looks_like_an_artifact_is_only_text() -> None:
    event = finished({"$artifacts": {"output": {"sha256": "00"}}})
    envelope = stored(event).envelope
    assert artifacts_named(envelope) == {}
    assert decode(envelope).event == event


def test_an_event_without_content_has_no_body() -> None:
    assert stored(RunClaimed(OwnerId("o"))).envelope.body is None
    assert stored(finished(None)).envelope.body is None
    assert artifacts_named(stored(RunClaimed(OwnerId("o"))).envelope) == {}


@pytest.mark.parametrize(("kind", "v"), [("run.teleported", 1), ("step.finished", 99)])
def test_an_event_that_is_not_known_is_kept_as_unknown(kind: str, v: int) -> None:
    envelope = replace(stored(finished(1), cause="inbox:3").envelope, type=kind, v=v)
    assert decode(envelope) == Fact(1, 1, 1_000, UnknownEvent(kind, v), "inbox:3")


def test_an_upcaster_takes_an_old_event_to_the_current_version() -> None:
    def renamed(values: dict[str, JsonValue]) -> dict[str, JsonValue]:
        return {"owner": values["worker"]}

    upcasters: dict[tuple[str, int], Upcaster] = {("run.claimed", 0): renamed}
    old = replace(stored(RunClaimed(OwnerId("o"))).envelope, v=0, meta=b'{"worker":"w"}')
    assert decode(old, upcasters=upcasters).event == RunClaimed(OwnerId("w"))


def test_an_upcaster_sees_meta_and_body_together() -> None:
    def moved(values: dict[str, JsonValue]) -> dict[str, JsonValue]:
        return {**values, "message": None, "refused": values["message"]}

    old = replace(stored(MessageReceived()).envelope, v=0, meta=b"{}", body=b'{"message":"late"}')
    assert decode(old, upcasters={("message.received", 0): moved}).event == MessageReceived("late")


@pytest.mark.parametrize(
    ("meta", "body"),
    [
        (b"{}", b"{}"),
        (b"", None),
        (b"null", None),
        (b"[]", b"[1]"),
        (b'{"step":"a","attempt":"many","duration_us":1}', None),
        (b'{"step":"a","attempt":1,"duration_us":1}', b'["$artifacts"]'),
        (b'{"step":"a","attempt":1,"duration_us":1}', b'{"$artifacts":5}'),
        (b'{"step":"a","attempt":1,"duration_us":1}', b'{"$artifacts":'),
        (b"\xff", b"\xff"),
    ],
)
def test_bytes_of_another_shape_are_a_corrupt_journal(meta: bytes, body: bytes | None) -> None:
    envelope = replace(stored(finished(1), seq=7).envelope, meta=meta, body=body)
    with pytest.raises(JournalCorrupt, match=r"event 7 of run run-1 \(step.finished v1\)"):
        decode(envelope)


@given(st.binary(max_size=40), st.none() | st.binary(max_size=40))
def test_whatever_bytes_are_stored_either_decode_or_are_corrupt(meta: bytes, body: bytes | None) -> None:
    envelope = replace(stored(finished(1)).envelope, meta=meta, body=body)
    with contextlib.suppress(JournalCorrupt):
        assert isinstance(decode(envelope, {ArtifactId("x"): b""}).event, StepFinished)
