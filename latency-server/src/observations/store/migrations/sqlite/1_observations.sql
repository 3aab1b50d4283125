CREATE TABLE observations (
    number INTEGER PRIMARY KEY,
    id TEXT,
    digest BLOB NOT NULL,
    model TEXT NOT NULL,
    version TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    received_at_ms INTEGER NOT NULL,
    path TEXT NOT NULL,
    distance_km REAL,
    measured_ms REAL NOT NULL,
    p50_ms REAL NOT NULL,
    low_ms REAL NOT NULL,
    high_ms REAL NOT NULL,
    p90_ms REAL NOT NULL,
    p99_ms REAL NOT NULL,
    verdict TEXT,
    UNIQUE (model, id)
) STRICT;

CREATE INDEX observations_by_model ON observations (model, version, number);
CREATE INDEX observations_by_age ON observations (received_at_ms);

CREATE TABLE references_of_models (
    model TEXT NOT NULL,
    version TEXT NOT NULL,
    histograms TEXT NOT NULL,
    until_ms INTEGER NOT NULL,
    PRIMARY KEY (model, version)
) STRICT;
