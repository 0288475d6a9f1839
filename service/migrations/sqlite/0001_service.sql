-- Times are microseconds since the Unix epoch, UTC. Structured values are JSON.

CREATE TABLE customers (
    -- The order of entry, and the number in ids that nobody chose.
    number      INTEGER PRIMARY KEY AUTOINCREMENT,
    id          TEXT    NOT NULL UNIQUE,
    name        TEXT    NOT NULL,
    created_at  INTEGER NOT NULL
) STRICT;

CREATE TABLE sites (
    number      INTEGER PRIMARY KEY AUTOINCREMENT,
    id          TEXT    NOT NULL UNIQUE,
    customer    TEXT    NOT NULL REFERENCES customers (id),
    name        TEXT    NOT NULL,
    time_zone   TEXT    NOT NULL,
    created_at  INTEGER NOT NULL
) STRICT;

CREATE TABLE assets (
    id             TEXT    PRIMARY KEY,
    name           TEXT    NOT NULL,
    model          TEXT    NOT NULL,
    site           TEXT    NOT NULL REFERENCES sites (id),
    discovered     INTEGER NOT NULL CHECK (discovered IN (0, 1)),
    registered_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX assets_by_site ON assets (site);

CREATE TABLE devices (
    id             TEXT    PRIMARY KEY,
    -- None when it was taken off its asset.
    asset          TEXT    REFERENCES assets (id),
    registered_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX devices_by_asset ON devices (asset);

CREATE TABLE engineers (
    number      INTEGER PRIMARY KEY AUTOINCREMENT,
    id          TEXT    NOT NULL UNIQUE,
    name        TEXT    NOT NULL,
    skills      TEXT    NOT NULL,
    created_at  INTEGER NOT NULL
) STRICT;

CREATE TABLE work_orders (
    -- The digits in WO-000001.
    number         INTEGER PRIMARY KEY AUTOINCREMENT,
    asset          TEXT    NOT NULL REFERENCES assets (id),
    case_id        TEXT,
    kind           TEXT    NOT NULL
        CHECK (kind IN ('predictive', 'inspection', 'corrective', 'preventive')),
    -- What the log ends in; written in the same transaction.
    status         TEXT    NOT NULL CHECK (status IN
        ('proposed', 'approved', 'scheduled', 'in_progress', 'completed', 'cancelled')),
    severity       TEXT,
    failure_mode   TEXT,
    opened_at      INTEGER,
    signals        TEXT    NOT NULL,
    due_by         INTEGER,
    engineer       TEXT    REFERENCES engineers (id),
    scheduled_for  INTEGER,
    outcome        TEXT,
    note           TEXT    NOT NULL,
    created_at     INTEGER NOT NULL,
    updated_at     INTEGER NOT NULL,
    -- The outbox: 1 once the end of the order has been delivered.
    outcome_sent   INTEGER NOT NULL DEFAULT 0 CHECK (outcome_sent IN (0, 1)),
    CHECK ((status = 'completed') = (outcome IS NOT NULL))
) STRICT;

-- The promise that the whole system makes: one work order per case, whatever is retried.
CREATE UNIQUE INDEX work_orders_one_per_case ON work_orders (case_id) WHERE case_id IS NOT NULL;
CREATE INDEX work_orders_by_asset ON work_orders (asset, number);
CREATE INDEX work_orders_by_status ON work_orders (status, number);
CREATE INDEX work_orders_unsent ON work_orders (updated_at, number)
    WHERE outcome_sent = 0 AND status IN ('completed', 'cancelled');

CREATE TABLE work_order_log (
    number       INTEGER PRIMARY KEY,
    work_order   INTEGER NOT NULL REFERENCES work_orders (number),
    at           INTEGER NOT NULL,
    actor        TEXT    NOT NULL,
    from_status  TEXT,
    to_status    TEXT    NOT NULL,
    note         TEXT    NOT NULL
) STRICT;
CREATE INDEX work_order_log_by_order ON work_order_log (work_order, number);
