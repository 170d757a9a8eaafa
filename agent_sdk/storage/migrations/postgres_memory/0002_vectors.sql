-- Applied once there is an embedder. The server needs the extension pgvector; whoever owns the database may switch it on.
CREATE EXTENSION IF NOT EXISTS vector;

CREATE TABLE agent_memory.vectors (
    tenant text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    model text COLLATE "C" NOT NULL,
    size integer NOT NULL,
    vector vector NOT NULL,
    PRIMARY KEY (tenant, id),
    FOREIGN KEY (tenant, id) REFERENCES agent_memory.memories (tenant, id) ON DELETE CASCADE
);
