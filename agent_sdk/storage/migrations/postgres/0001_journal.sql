-- Times are microseconds since 1970, by the database's clock; every key begins with the tenant. Texts that are keys have no collation of a
-- language, so that no new version of the system's library can put an index out of order.
--
-- Expand, then contract: processes of the version before go on while a new one starts. A migration adds what the version before can do
-- without (columns with defaults, tables, indexes), and takes away nothing that it uses; what is used no more goes a version later. A file is
-- never changed once it was released.

-- STABLE, so that it can be compared with an index: the time at which the statement came in.
CREATE FUNCTION agent_sdk.now_us() RETURNS bigint LANGUAGE sql STABLE PARALLEL SAFE
    RETURN (extract(epoch FROM statement_timestamp()) * 1000000)::bigint;

CREATE TABLE agent_sdk.runs (
    tenant text COLLATE "C" NOT NULL,
    run_id text COLLATE "C" NOT NULL,
    agent text COLLATE "C" NOT NULL,
    agent_version text COLLATE "C" NOT NULL,
    queue text COLLATE "C" NOT NULL,
    priority bigint NOT NULL,
    session text COLLATE "C",
    parent text COLLATE "C",
    behind text COLLATE "C",
    state text COLLATE "C" NOT NULL,
    reason text COLLATE "C",
    epoch bigint NOT NULL DEFAULT 0,
    owner text COLLATE "C",
    lease_until bigint,
    head bigint NOT NULL,
    hash bytea NOT NULL,
    inbox_head bigint NOT NULL DEFAULT 0,
    inbox_seen bigint NOT NULL DEFAULT 0,
    wake_at bigint,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    -- From when on the run may be claimed: a held one when its lease is over. NULL where it has ended, or nothing can be done for it.
    due_at bigint GENERATED ALWAYS AS (
        CASE
            WHEN behind IS NOT NULL OR state IN ('succeeded', 'failed', 'cancelled', 'expired') THEN NULL
            WHEN owner IS NOT NULL THEN lease_until
            WHEN state = 'waiting' AND inbox_head <= inbox_seen THEN wake_at
            WHEN epoch = 0 THEN created_at
            ELSE updated_at
        END
    ) STORED,
    PRIMARY KEY (tenant, run_id)
) WITH (fillfactor = 70);

-- An append to a held run changes no column of an index, so the row stays on its page and no index is written.
-- In the order in which a tenant's runs are claimed: those of lost owners come first.
CREATE INDEX runs_due ON agent_sdk.runs (tenant, (owner IS NULL), priority DESC, due_at, run_id) WHERE due_at IS NOT NULL;
CREATE INDEX runs_wake ON agent_sdk.runs (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX runs_unread ON agent_sdk.runs (owner) WHERE owner IS NOT NULL AND inbox_head > inbox_seen;
CREATE INDEX runs_behind ON agent_sdk.runs (tenant, behind) WHERE behind IS NOT NULL;
-- The condition always holds. It keeps this index away from queries for one run, which do not name it: on a table that is still empty all indexes
-- cost the same, and what is chosen then stays for a while.
CREATE INDEX runs_by_age ON agent_sdk.runs (tenant, created_at, run_id) WHERE created_at > 0;
CREATE INDEX runs_of_session ON agent_sdk.runs (tenant, session, created_at) WHERE session IS NOT NULL;
CREATE INDEX runs_of_parent ON agent_sdk.runs (tenant, parent, created_at) WHERE parent IS NOT NULL;

CREATE TABLE agent_sdk.events (
    tenant text COLLATE "C" NOT NULL,
    run_id text COLLATE "C" NOT NULL,
    seq bigint NOT NULL,
    epoch bigint NOT NULL,
    type text COLLATE "C" NOT NULL,
    v integer NOT NULL,
    at bigint NOT NULL,
    cause text,
    meta bytea NOT NULL,
    body bytea,
    hash bytea NOT NULL,
    PRIMARY KEY (tenant, run_id, seq)
);

CREATE TABLE agent_sdk.inbox (
    tenant text COLLATE "C" NOT NULL,
    run_id text COLLATE "C" NOT NULL,
    number bigint NOT NULL,
    kind text NOT NULL,
    body bytea NOT NULL,
    sent_by text,
    sent_at bigint NOT NULL,
    -- What a sender repeats a put under, or one of our own making: a put whose connection was lost is repeated under it.
    key text COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant, run_id, number),
    UNIQUE (tenant, run_id, key)
);

-- Amounts are integers in the scope's own unit. A NULL cap is no limit.
CREATE TABLE agent_sdk.ledger (
    tenant text COLLATE "C" NOT NULL,
    scope text COLLATE "C" NOT NULL,
    cap bigint,
    reserved bigint NOT NULL DEFAULT 0,
    settled bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant, scope)
) WITH (fillfactor = 70);

CREATE TABLE agent_sdk.artifacts (
    tenant text COLLATE "C" NOT NULL,
    artifact text COLLATE "C" NOT NULL,
    data bytea NOT NULL,
    created_at bigint NOT NULL,
    PRIMARY KEY (tenant, artifact)
);

CREATE TABLE agent_sdk.artifact_refs (
    tenant text COLLATE "C" NOT NULL,
    artifact text COLLATE "C" NOT NULL,
    run_id text COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant, artifact, run_id)
);
CREATE INDEX artifact_refs_of_run ON agent_sdk.artifact_refs (tenant, run_id);

CREATE TABLE agent_sdk.sessions (
    tenant text COLLATE "C" NOT NULL,
    session text COLLATE "C" NOT NULL,
    head_run text COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant, session)
);

CREATE TABLE agent_sdk.cursors (
    tenant text COLLATE "C" NOT NULL,
    run_id text COLLATE "C" NOT NULL,
    sink text COLLATE "C" NOT NULL,
    seq bigint NOT NULL,
    PRIMARY KEY (tenant, run_id, sink)
) WITH (fillfactor = 70);

-- Lets the runs go that stand behind one which has just ended, and returns how many. VOLATILE, so that it sees what was committed before it
-- is called: a run that was put behind this one while the statement which ends it waited for the row is not in that statement's snapshot.
CREATE FUNCTION agent_sdk.let_go(of_tenant text, ended text) RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    freed bigint;
BEGIN
    UPDATE agent_sdk.runs SET behind = NULL WHERE tenant = of_tenant AND behind = ended;
    GET DIAGNOSTICS freed = ROW_COUNT;
    RETURN freed;
END
$$;
