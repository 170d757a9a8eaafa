-- What workers need: where a run waits, behind whom, and from when on it may be taken.
ALTER TABLE runs ADD COLUMN parent TEXT;
ALTER TABLE runs ADD COLUMN queue TEXT NOT NULL DEFAULT 'default';
ALTER TABLE runs ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;
-- The earlier run of the session that has not ended.
ALTER TABLE runs ADD COLUMN behind TEXT;
-- From when on a run that nobody holds may be taken; NULL while it is held, or nothing can be done for it. It takes the place of due_at.
ALTER TABLE runs ADD COLUMN ready_at INTEGER GENERATED ALWAYS AS (
    CASE
        WHEN owner IS NOT NULL OR behind IS NOT NULL OR state IN ('succeeded', 'failed', 'cancelled', 'expired') THEN NULL
        WHEN state = 'waiting' AND inbox_head <= inbox_seen THEN wake_at
        WHEN epoch = 0 THEN created_at
        ELSE updated_at
    END
) VIRTUAL;

UPDATE runs SET parent = (
    SELECT json_extract(CAST(meta AS TEXT), '$.parent') FROM events
    WHERE events.tenant = runs.tenant AND events.run_id = runs.run_id AND seq = 1
);

DROP INDEX runs_due;
-- A lane (what one worker can or cannot take) is a prefix of this index. Partial, so that an append to a held run touches no index.
CREATE INDEX runs_ready ON runs (tenant, queue, agent, agent_version, priority, ready_at) WHERE ready_at IS NOT NULL;
CREATE INDEX runs_unread ON runs (owner) WHERE owner IS NOT NULL AND inbox_head > inbox_seen;
CREATE INDEX runs_behind ON runs (tenant, behind) WHERE behind IS NOT NULL;
CREATE INDEX runs_by_session ON runs (tenant, session, created_at, run_id) WHERE session IS NOT NULL;
CREATE INDEX runs_by_parent ON runs (tenant, parent, created_at, run_id) WHERE parent IS NOT NULL;

-- Which runs name an artifact: one that no run names is swept.
CREATE TABLE artifact_refs (
    tenant TEXT NOT NULL,
    run_id TEXT NOT NULL,
    artifact TEXT NOT NULL,
    PRIMARY KEY (tenant, run_id, artifact)
) WITHOUT ROWID;

CREATE INDEX refs_by_artifact ON artifact_refs (tenant, artifact);

INSERT OR IGNORE INTO artifact_refs (tenant, run_id, artifact)
SELECT events.tenant, events.run_id, json_extract(named.value, '$.sha256')
FROM events, json_each(CAST(events.body AS TEXT), '$."$artifacts"') AS named
WHERE instr(events.body, CAST('"$artifacts"' AS BLOB)) > 0;
