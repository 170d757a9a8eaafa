"""Facts as the columns of statements: one array a column, so that a statement takes the events of many runs at once."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from operator import attrgetter

from agent_sdk.core.envelope import Envelope, encode
from agent_sdk.core.events import Fact
from agent_sdk.core.ids import ArtifactId, RunId, TenantId

_EVENT = ("bigint", "text", "text", "bigint", "bigint", "text", "integer", "bigint", "text", "bytea", "bytea", "bytea")
_ARTIFACT = ("bigint", "text", "text", "text", "bytea")
_to_row = attrgetter("tenant", "run_id", "seq", "epoch", "type", "v", "at", "cause", "meta", "body", "hash")


@dataclass(slots=True)
class Written:
    """A run's next events in their stored form, the artifacts that they name, and the hash of the last."""

    tip: bytes
    envelopes: list[Envelope] = field(default_factory=list[Envelope])
    artifacts: dict[ArtifactId, bytes] = field(default_factory=dict[ArtifactId, bytes])


def written(tenant: TenantId, run_id: RunId, facts: Iterable[Fact], previous: bytes) -> Written:
    """Encode facts that stand behind the event whose hash is `previous`."""
    found = Written(previous)
    for fact in facts:
        encoded = encode(fact, tenant=tenant, run_id=run_id, previous=found.tip)
        found.envelopes.append(encoded.envelope)
        if encoded.artifacts:
            found.artifacts.update(encoded.artifacts)
        found.tip = encoded.envelope.hash
    return found


def tail(first: int, *, with_artifacts: bool) -> str:
    """Return the part of a statement that writes the events, and the artifacts, of those items whose place is an `ix` of `moved`.

    The parameters from number `first` on are those of `tail_args`. `IS TRUE` keeps the planner from a join, which goes by loops here.
    """
    events = _parameters(first, _EVENT)
    statement = f"""
, events_written AS (
    INSERT INTO agent_sdk.events (tenant, run_id, seq, epoch, type, v, at, cause, meta, body, hash)
    SELECT tenant, run_id, seq, epoch, type, v, at, cause, meta, body, hash
    FROM unnest({events}) AS e (ix, tenant, run_id, seq, epoch, type, v, at, cause, meta, body, hash)
    WHERE (ix IN (SELECT ix FROM moved)) IS TRUE
)"""  # noqa: S608  (constants)
    if not with_artifacts:
        return statement
    artifacts = _parameters(first + len(_EVENT), _ARTIFACT)
    return f"""{statement}
, named AS MATERIALIZED (
    SELECT tenant, run_id, artifact, data FROM unnest({artifacts}) AS a (ix, tenant, run_id, artifact, data)
    WHERE (ix IN (SELECT ix FROM moved)) IS TRUE
), artifacts_written AS (
    INSERT INTO agent_sdk.artifacts (tenant, artifact, data, created_at)
    SELECT DISTINCT ON (tenant, artifact) tenant, artifact, data, agent_sdk.now_us() FROM named ORDER BY tenant, artifact
    ON CONFLICT (tenant, artifact) DO UPDATE SET created_at = excluded.created_at
), refs_written AS (
    INSERT INTO agent_sdk.artifact_refs (tenant, artifact, run_id) SELECT tenant, artifact, run_id FROM named ON CONFLICT DO NOTHING
)"""  # noqa: S608  (constants)


def tail_args(items: Sequence[Written]) -> list[list[object]]:
    """Return the arrays that `tail` takes: the place of an item, from 1 on, is its `ix`."""
    events = [(ix, *_to_row(envelope)) for ix, item in enumerate(items, 1) for envelope in item.envelopes]
    if not any(item.artifacts for item in items):
        return _columns(events, len(_EVENT))
    artifacts = [
        (ix, item.envelopes[0].tenant, item.envelopes[0].run_id, identity, data)
        for ix, item in enumerate(items, 1)
        for identity, data in item.artifacts.items()
    ]
    return _columns(events, len(_EVENT)) + _columns(artifacts, len(_ARTIFACT))


def _parameters(first: int, kinds: Sequence[str]) -> str:
    return ", ".join(f"${number}::{kind}[]" for number, kind in enumerate(kinds, first))


def _columns(rows: Sequence[Sequence[object]], width: int) -> list[list[object]]:
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in range(width)]
