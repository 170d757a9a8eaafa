"""The stored form of a fact: plain `meta`, sealable `body`, a version and a hash that chains over the stored bytes."""

import hashlib
import json
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import fields
from functools import cache
from typing import cast, get_args

from pydantic import JsonValue
from pydantic_core import to_json

from agent_sdk.core.codec import dump, from_json, load
from agent_sdk.core.errors import JournalCorrupt
from agent_sdk.core.events import Event, Fact, UnknownEvent
from agent_sdk.core.frozen import frozen
from agent_sdk.core.ids import ArtifactId, RunId, TenantId

GENESIS = bytes(32)
"""The hash before a run's first event."""
ARTIFACT_THRESHOLD_BYTES = 32 * 1024
ARTIFACTS_KEY = "$artifacts"

EventClass = type[Event]
Upcaster = Callable[[dict[str, JsonValue]], dict[str, JsonValue]]
"""Takes an event's fields (meta and body together) one version up."""

VERSIONS: Mapping[str, int] = {}
"""Types whose current version is not 1."""
UPCASTERS: Mapping[tuple[str, int], Upcaster] = {}
"""By type and version: what takes a stored event of that version one up. Stored events are never rewritten."""

EVENT_CLASSES: Mapping[str, EventClass] = {kind.type: kind for kind in get_args(Event) if kind is not UnknownEvent}


@frozen
class Envelope:
    """One stored event. `meta` and `body` are JSON objects in UTF-8; `body` is None where there is none or it was erased."""

    tenant: TenantId
    run_id: RunId
    seq: int
    epoch: int
    type: str
    v: int
    at: int
    cause: str | None
    meta: bytes
    body: bytes | None
    hash: bytes


@frozen
class _Place:
    """What stands in a body where a value is an artifact."""

    sha256: ArtifactId
    size_bytes: int


@frozen
class Encoded:
    """An envelope and the large values that its body names by content."""

    envelope: Envelope
    artifacts: Mapping[ArtifactId, bytes]


def encode(fact: Fact, *, tenant: TenantId, run_id: RunId, previous: bytes) -> Encoded:
    """Return the fact as it is stored behind the event whose hash is `previous`."""
    event = fact.event
    plain, content = _split(type(event))
    meta = dump(event, plain)
    body = dump(event, content) if content else None
    artifacts: dict[ArtifactId, bytes] = {}
    if body is not None and len(body) > ARTIFACT_THRESHOLD_BYTES:
        body, artifacts = _offload(body)
    if body == b"{}":
        body = None
    version = VERSIONS.get(event.type, 1)
    digest = chain_hash(previous, _header(tenant, run_id, fact.seq, fact.epoch, event.type, version, fact.at, fact.cause), meta, body)
    return Encoded(
        Envelope(tenant, run_id, fact.seq, fact.epoch, event.type, version, fact.at, fact.cause, meta, body, digest),
        artifacts,
    )


def verify(envelope: Envelope, *, previous: bytes) -> bool:
    """Say whether the envelope's bytes are those that were stored behind `previous`."""
    header = _header(envelope.tenant, envelope.run_id, envelope.seq, envelope.epoch, envelope.type, envelope.v, envelope.at, envelope.cause)
    return chain_hash(previous, header, envelope.meta, envelope.body) == envelope.hash


def altered_in(page: Sequence[Envelope], *, previous: bytes, after: int) -> int | None:
    """Return the number of the first event of `page` that was altered or is missing; None where all follow event `after` and its hash."""
    for envelope in page:
        if envelope.seq != after + 1 or not verify(envelope, previous=previous):
            return after + 1
        previous, after = envelope.hash, envelope.seq
    return None


def decode(
    envelope: Envelope, artifacts: Mapping[ArtifactId, bytes] | None = None, *, upcasters: Mapping[tuple[str, int], Upcaster] = UPCASTERS
) -> Fact:
    """Return the fact that an envelope holds; `artifacts` are the bytes of those it names.

    A type or version that this code does not know gives an `UnknownEvent`.

    Raises:
        JournalCorrupt: the bytes are not of the shape that the type and version promise.
    """
    kind = EVENT_CLASSES.get(envelope.type)
    current = VERSIONS.get(envelope.type, 1)
    event: Event
    if kind is None or envelope.v > current:
        event = UnknownEvent(envelope.type, envelope.v)
    else:
        try:
            event = load(kind, _joined(envelope, artifacts or {}, current, upcasters))
        except ValueError as error:
            raise _corrupt(envelope) from error
    return Fact(envelope.seq, envelope.epoch, envelope.at, event, envelope.cause)


def artifacts_named(envelope: Envelope) -> Mapping[str, ArtifactId]:
    """Return the body's fields whose values are artifacts, with the artifacts' ids.

    Raises:
        JournalCorrupt: the body is not of the shape that it was stored in.
    """
    if envelope.body is None or ARTIFACTS_KEY.encode() not in envelope.body:
        return {}
    try:
        places = from_json(dict[str, _Place], load(dict[str, JsonValue], envelope.body).get(ARTIFACTS_KEY, {}))
    except ValueError as error:
        raise _corrupt(envelope) from error
    return {name: place.sha256 for name, place in places.items()}


def artifact_id(data: bytes) -> ArtifactId:
    """Return the id of an artifact with these bytes."""
    return ArtifactId(hashlib.sha256(data).hexdigest())


def chain_hash(previous: bytes, header: bytes, meta: bytes, body: bytes | None) -> bytes:
    """Hash the stored bytes, each part behind its length, so that no byte can move from one part to the next."""
    digest = hashlib.sha256(previous)
    for part in (header, meta, body if body is not None else b""):
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.digest()


def _split(kind: EventClass) -> tuple[frozenset[str], frozenset[str]]:
    return _fields(cast("Hashable", kind))


@cache
def _fields(kind: EventClass) -> tuple[frozenset[str], frozenset[str]]:
    names = frozenset(field.name for field in fields(kind))
    return names - set(kind.BODY), frozenset(kind.BODY)


def _header(tenant: str, run_id: str, seq: int, epoch: int, kind: str, v: int, at: int, cause: str | None) -> bytes:  # noqa: PLR0913  (an envelope's columns)
    return to_json((tenant, run_id, seq, epoch, kind, v, at, cause))


def _offload(body: bytes) -> tuple[bytes, dict[ArtifactId, bytes]]:
    """Move every large value out of the body, and name it there by its SHA-256."""
    values: dict[str, JsonValue] = json.loads(body)
    artifacts: dict[ArtifactId, bytes] = {}
    named: dict[str, JsonValue] = {}
    for name in list(values):
        data = json.dumps(values[name], separators=(",", ":"), ensure_ascii=False).encode()
        if len(data) > ARTIFACT_THRESHOLD_BYTES:
            named[name] = {"sha256": artifact_id(data), "size_bytes": len(data)}
            artifacts[artifact_id(data)] = data
            del values[name]
    return json.dumps({**values, ARTIFACTS_KEY: named}, separators=(",", ":"), ensure_ascii=False).encode(), artifacts


def _joined(
    envelope: Envelope, artifacts: Mapping[ArtifactId, bytes], current: int, upcasters: Mapping[tuple[str, int], Upcaster]
) -> bytes:
    if envelope.v == current and (envelope.body is None or ARTIFACTS_KEY.encode() not in envelope.body):
        if envelope.body is None:
            return envelope.meta
        if envelope.meta == b"{}":
            return envelope.body
        return envelope.meta[:-1] + b"," + envelope.body[1:]
    values = load(dict[str, JsonValue], envelope.meta) | load(dict[str, JsonValue], envelope.body or b"{}")
    values.pop(ARTIFACTS_KEY, None)
    for name, identity in artifacts_named(envelope).items():
        if identity in artifacts:
            values[name] = json.loads(artifacts[identity])
    for version in range(envelope.v, current):
        values = upcasters[envelope.type, version](values)
    return to_json(values)


def _corrupt(envelope: Envelope) -> JournalCorrupt:
    return JournalCorrupt(
        f"event {envelope.seq} of run {envelope.run_id} ({envelope.type} v{envelope.v}) cannot be read",
        hint="restore the journal from a backup; `agent-sdk runs events` shows what can still be read",
    )
