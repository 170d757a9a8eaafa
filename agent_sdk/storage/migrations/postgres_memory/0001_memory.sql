-- Times are microseconds since 1970, by the database's clock. A person or agent that is NULL stands for everybody. Texts that are keys have no
-- collation of a language, so that no new version of the system's library can put an index out of order.
--
-- Expand, then contract, as in the journal: a migration takes away nothing that the version before uses. A file is never changed once it was
-- released.

-- Words are brought to their stem as English has it, and none is left out: what is no English word is merely cut a little, the same way always.
CREATE TEXT SEARCH DICTIONARY agent_memory.stem (TEMPLATE = pg_catalog.snowball, Language = english);
CREATE TEXT SEARCH CONFIGURATION agent_memory.words (COPY = pg_catalog.simple);
ALTER TEXT SEARCH CONFIGURATION agent_memory.words ALTER MAPPING REPLACE pg_catalog.simple WITH agent_memory.stem;

CREATE TABLE agent_memory.memories (
    tenant text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    person text COLLATE "C",
    agent text COLLATE "C",
    text text NOT NULL,
    kind text NOT NULL,
    metadata text NOT NULL,
    created_at bigint NOT NULL DEFAULT (extract(epoch FROM statement_timestamp()) * 1000000)::bigint,
    -- With one more that stands for tenant, person and agent, so that the index itself passes over what others keep.
    words tsvector NOT NULL,
    PRIMARY KEY (tenant, id)
);
CREATE INDEX memories_by_age ON agent_memory.memories (tenant, person, created_at, id);
CREATE INDEX memories_by_words ON agent_memory.memories USING gin (words);
