"""Facts as the columns of statements: one array a column, so that a statement takes the events of many runs at once."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from agent_sdk.core.envelope import Envelope, encode
from agent_sdk.core.events import Fact
from agent_sdk.core.ids import ArtifactId, RunId, TenantId

_EVENT_KINDS = tuple(enumerate(("bigint", "bigint", "bigint", "text", "integer", "bigint", "text", "bytea", "bytea", "bytea")))
_ARTIFACT_KINDS = tuple(enumerate(("bigint", "text", "bytea"), len(_EVENT_KINDS)))


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
    """Return the part of a statement that writes the events, and the artifacts, of the runs that `moved` names.

    `moved` has the columns `tenant`, `run_id` and `ix`; the parameters from `first` on are those of `tail_args`.
    """
    events, artifacts = (", ".join(f"${first + place}::{kind}[]" for place, kind in kinds) for kinds in (_EVENT_KINDS, _ARTIFACT_KINDS))
    statement = f"""
, events_written AS (
    INSERT INTO agent_sdk.events (tenant, run_id, seq, epoch, type, v, at, cause, meta, body, hash)
    SELECT m.tenant, m.run_id, e.seq, e.epoch, e.type, e.v, e.at, e.cause, e.meta, e.body, e.hash
    FROM unnest({events}) AS e (ix, seq, epoch, type, v, at, cause, meta, body, hash) JOIN moved AS m USING (ix)
)"""  # noqa: S608  (constants)
    if not with_artifacts:
        return statement
    return f"""{statement}
, named AS (
    SELECT m.tenant, m.run_id, a.artifact, a.data FROM unnest({artifacts}) AS a (ix, artifact, data) JOIN moved AS m USING (ix)
), artifacts_written AS (
    INSERT INTO agent_sdk.artifacts (tenant, artifact, data, created_at)
    SELECT DISTINCT ON (tenant, artifact) tenant, artifact, data, agent_sdk.now_us() FROM named ORDER BY tenant, artifact
    ON CONFLICT (tenant, artifact) DO UPDATE SET created_at = excluded.created_at
), refs_written AS (
    INSERT INTO agent_sdk.artifact_refs (tenant, artifact, run_id) SELECT tenant, artifact, run_id FROM named ON CONFLICT DO NOTHING
)"""  # noqa: S608  (constants)


def tail_args(items: Sequence[Written]) -> list[list[object]]:
    """Return the arrays that `tail` takes: the place of an item, from 1 on, is its `ix`."""
    rows = [
        (ix, e.seq, e.epoch, e.type, e.v, e.at, e.cause, e.meta, e.body, e.hash) for ix, item in enumerate(items, 1) for e in item.envelopes
    ]
    columns = _columns(rows, len(_EVENT_KINDS))
    if any(item.artifacts for item in items):
        columns += _columns([(ix, *named) for ix, item in enumerate(items, 1) for named in item.artifacts.items()], len(_ARTIFACT_KINDS))
    return columns


def _columns(rows: Sequence[Sequence[object]], width: int) -> list[list[object]]:
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in range(width)]
