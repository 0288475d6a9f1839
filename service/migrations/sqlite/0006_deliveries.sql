-- What has to be told to other maintenance systems, and what they said. Written in the transaction
-- of what it tells, so that no crash loses a message or makes one of nothing.
CREATE TABLE deliveries (
    -- The order in which they are told.
    number        INTEGER PRIMARY KEY AUTOINCREMENT,
    connector     TEXT    NOT NULL,
    work_order    INTEGER NOT NULL REFERENCES work_orders (number),
    kind          TEXT    NOT NULL CHECK (kind IN ('create', 'amend', 'withdraw')),
    -- What makes a repeat recognisable: the case for an order, the case and a count for the rest.
    key           TEXT    NOT NULL,
    state         TEXT    NOT NULL CHECK (state IN ('waiting', 'delivered', 'stuck', 'withdrawn')),
    -- What is to be told beside the order: the reason, the evidence.
    note          TEXT    NOT NULL,
    attempts      INTEGER NOT NULL DEFAULT 0,
    next_at       INTEGER NOT NULL,
    -- Somebody is at it until then; counted by attempts, so that a late answer settles nothing.
    leased_until  INTEGER,
    last_error    TEXT,
    created_at    INTEGER NOT NULL,
    settled_at    INTEGER,
    UNIQUE (connector, key)
) STRICT;
CREATE UNIQUE INDEX deliveries_one_create ON deliveries (connector, work_order) WHERE kind = 'create';
CREATE INDEX deliveries_waiting ON deliveries (connector, next_at) WHERE state = 'waiting';
CREATE INDEX deliveries_by_order ON deliveries (work_order, number);

-- The order as the other system has it.
CREATE TABLE remote_orders (
    connector   TEXT    NOT NULL,
    work_order  INTEGER NOT NULL REFERENCES work_orders (number),
    reference   TEXT    NOT NULL,
    -- Its own word for where the order stands, as read back last.
    status      TEXT,
    read_at     INTEGER,
    next_at     INTEGER NOT NULL,
    PRIMARY KEY (connector, work_order)
) STRICT, WITHOUT ROWID;
