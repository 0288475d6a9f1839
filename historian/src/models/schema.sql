-- Times are microseconds since the Unix epoch, UTC. Structured values are JSON.

CREATE TABLE model_files (
    -- SHA-256 of the bytes.
    checksum     TEXT    PRIMARY KEY,
    bytes        BLOB    NOT NULL
) STRICT;

CREATE TABLE models (
    asset_model  TEXT    NOT NULL,
    version      INTEGER NOT NULL,
    checksum     TEXT    NOT NULL REFERENCES model_files (checksum),
    -- The rest of the card.
    card         TEXT    NOT NULL,
    PRIMARY KEY (asset_model, version),
    UNIQUE (asset_model, checksum)
) STRICT, WITHOUT ROWID;

CREATE TABLE promotions (
    number       INTEGER PRIMARY KEY AUTOINCREMENT,
    asset_model  TEXT    NOT NULL,
    version      INTEGER NOT NULL,
    checksum     TEXT    NOT NULL,
    at           INTEGER NOT NULL,
    by           TEXT    NOT NULL,
    note         TEXT    NOT NULL,
    FOREIGN KEY (asset_model, version) REFERENCES models (asset_model, version)
) STRICT;
CREATE INDEX promotions_by_kind ON promotions (asset_model, number);

CREATE TABLE jobs (
    number       INTEGER PRIMARY KEY AUTOINCREMENT,
    asset_model  TEXT    NOT NULL,
    state        TEXT    NOT NULL CHECK (state IN ('queued', 'running', 'done', 'failed')),
    by           TEXT    NOT NULL,
    seed         INTEGER NOT NULL,
    -- Seconds; null: as the asset model says.
    horizon_s    REAL,
    requested_at INTEGER NOT NULL,
    started_at   INTEGER,
    ended_at     INTEGER,
    -- What is being done, and how much of the whole is done, 0 to 1.
    step         TEXT    NOT NULL DEFAULT '',
    progress     REAL    NOT NULL DEFAULT 0,
    -- The version that came of it, or why none did.
    version      INTEGER,
    problem      TEXT
) STRICT;
-- At most one training a kind of machine waits or runs.
CREATE UNIQUE INDEX jobs_open ON jobs (asset_model) WHERE state IN ('queued', 'running');

-- What a job has gathered, so that one that was cut off need not gather it again.
CREATE TABLE job_material (
    job          INTEGER NOT NULL REFERENCES jobs (number),
    asset        TEXT    NOT NULL,
    bytes        BLOB    NOT NULL,
    PRIMARY KEY (job, asset)
) STRICT;

-- What a forecast was worth, once the truth arrived.
CREATE TABLE scores (
    asset_model  TEXT    NOT NULL,
    version      INTEGER NOT NULL,
    asset        TEXT    NOT NULL,
    device       TEXT    NOT NULL,
    forecast_at  INTEGER NOT NULL,
    ended_at     INTEGER NOT NULL,
    -- Whether it was what people saw, or made beside it by a challenger.
    shadow       INTEGER NOT NULL CHECK (shadow IN (0, 1)),
    score        TEXT    NOT NULL,
    PRIMARY KEY (asset_model, version, asset, device, forecast_at)
) STRICT, WITHOUT ROWID;
