-- Times are microseconds since the Unix epoch, UTC. Structured values are JSON.

CREATE TABLE cases (
    -- The order in which cases were opened; lists and cursors follow it.
    number        INTEGER PRIMARY KEY AUTOINCREMENT,
    id            TEXT    NOT NULL UNIQUE,
    asset         TEXT    NOT NULL,
    device        TEXT    NOT NULL,
    failure_mode  TEXT    NOT NULL,
    severity      TEXT    NOT NULL CHECK (severity IN ('watch', 'warning', 'critical')),
    -- What the log in case_events ends in; written in the same transaction.
    status        TEXT    NOT NULL CHECK (status IN ('open', 'acknowledged', 'closed')),
    opened_at     INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL,
    cleared_at    INTEGER,
    closed_at     INTEGER,
    score         REAL    NOT NULL,
    peak_score    REAL    NOT NULL,
    scored_at     INTEGER NOT NULL,
    evidence      TEXT    NOT NULL,
    prognosis     TEXT,
    forecast_at   INTEGER NOT NULL,
    work_order    TEXT,
    -- Its order was put off, so that no order of its own will close the case.
    deferred      INTEGER NOT NULL DEFAULT 0 CHECK (deferred IN (0, 1)),
    outcome       TEXT
) STRICT;

-- The promise that the whole system makes: one open case per asset and failure mode.
CREATE UNIQUE INDEX cases_one_open ON cases (asset, failure_mode) WHERE status <> 'closed';
-- And one work order per case, the other way round.
CREATE UNIQUE INDEX cases_one_per_order ON cases (work_order) WHERE work_order IS NOT NULL;
CREATE INDEX cases_by_asset ON cases (asset, number);

CREATE TABLE case_events (
    number   INTEGER PRIMARY KEY,
    case_id  TEXT    NOT NULL REFERENCES cases (id),
    at       INTEGER NOT NULL,
    kind     TEXT    NOT NULL,
    actor    TEXT,
    detail   TEXT
) STRICT;
CREATE INDEX case_events_by_case ON case_events (case_id, number);

-- The latest alarm of each device that a case covers, and how far the device's findings have
-- been applied, so that a replay of them changes nothing.
CREATE TABLE episodes (
    asset      TEXT    NOT NULL,
    device     TEXT    NOT NULL,
    since      INTEGER NOT NULL,
    case_id    TEXT    NOT NULL REFERENCES cases (id),
    active     INTEGER NOT NULL CHECK (active IN (0, 1)),
    mark_at    INTEGER NOT NULL,
    mark_rank  INTEGER NOT NULL,
    PRIMARY KEY (asset, device)
) STRICT, WITHOUT ROWID;

-- Ended work orders that have been taken in, so that each is taken in once.
CREATE TABLE ended_orders (
    work_order  TEXT    PRIMARY KEY,
    at          INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
