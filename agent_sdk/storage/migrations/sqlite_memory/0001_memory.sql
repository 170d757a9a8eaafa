-- Times are microseconds since 1970. A person or agent that is NULL stands for everybody.
CREATE TABLE memories (
    number INTEGER PRIMARY KEY,
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    person TEXT,
    agent TEXT,
    text TEXT NOT NULL,
    kind TEXT NOT NULL,
    metadata TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    UNIQUE (tenant, id)
);
CREATE INDEX memories_by_age ON memories (tenant, person, created_at, id);

-- `place` is one word that stands for tenant, person and agent, so that the index itself passes over what others keep. The words come cut as
-- this package cuts them, marks included, which many scripts cannot do without.
CREATE VIRTUAL TABLE memory_words USING fts5(
    place, words, tokenize = "porter unicode61 remove_diacritics 0 categories 'L* N* Co M*'"
);

CREATE TABLE memory_vectors (
    number INTEGER PRIMARY KEY REFERENCES memories (number),
    model TEXT NOT NULL,
    -- 32-bit floats, the lowest byte first, as the extension sqlite-vec reads them.
    vector BLOB NOT NULL
);
