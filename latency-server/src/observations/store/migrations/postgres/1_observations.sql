CREATE TABLE observations (
    number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id TEXT,
    digest BYTEA NOT NULL,
    model TEXT NOT NULL,
    version TEXT NOT NULL,
    at_ms BIGINT NOT NULL,
    received_at_ms BIGINT NOT NULL,
    path TEXT NOT NULL,
    distance_km DOUBLE PRECISION,
    measured_ms DOUBLE PRECISION NOT NULL,
    p50_ms REAL NOT NULL,
    low_ms REAL NOT NULL,
    high_ms REAL NOT NULL,
    p90_ms REAL NOT NULL,
    p99_ms REAL NOT NULL,
    verdict TEXT,
    UNIQUE (model, id)
);

CREATE INDEX observations_by_model ON observations (model, version, number);
CREATE INDEX observations_by_age ON observations (received_at_ms);

CREATE TABLE references_of_models (
    model TEXT NOT NULL,
    version TEXT NOT NULL,
    histograms TEXT NOT NULL,
    until_ms BIGINT NOT NULL,
    PRIMARY KEY (model, version)
);
