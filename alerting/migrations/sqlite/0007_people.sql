-- Who has a case, who was told about it, and what has still to be told. In this file, so that a
-- line of the case log and the messages that follow from it are never apart.

ALTER TABLE cases ADD COLUMN assignee TEXT;

-- How far the case log has been followed.
CREATE TABLE notify_progress (
    only      INTEGER PRIMARY KEY CHECK (only = 1),
    position  INTEGER NOT NULL
) STRICT;

-- Where each case stands in its chain.
CREATE TABLE escalations (
    case_id          TEXT    PRIMARY KEY REFERENCES cases (id),
    chain            TEXT    NOT NULL,
    since            INTEGER NOT NULL,
    acknowledged_at  INTEGER,
    resolved_at      INTEGER,
    closed           INTEGER NOT NULL CHECK (closed IN (0, 1)),
    -- Steps that were told, as [[step, time], …].
    told             TEXT    NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX escalations_running ON escalations (case_id) WHERE closed = 0;

CREATE TABLE notifications (
    -- The order in which they were decided; lists and cursors follow it.
    number      INTEGER PRIMARY KEY AUTOINCREMENT,
    id          TEXT    NOT NULL UNIQUE,
    kind        TEXT    NOT NULL,
    recipient   TEXT    NOT NULL,
    channel     TEXT    NOT NULL,
    case_id     TEXT,
    -- What it shares its part of the limit with.
    part        TEXT    NOT NULL,
    severity    TEXT,
    -- Whether it may be told together with others.
    joins       INTEGER NOT NULL CHECK (joins IN (0, 1)),
    message     TEXT    NOT NULL,
    state       TEXT    NOT NULL CHECK (state IN ('waiting', 'sent', 'digested', 'withdrawn', 'stuck')),
    -- It had its turn and may have arrived.
    claimed     INTEGER NOT NULL CHECK (claimed IN (0, 1)),
    attempts    INTEGER NOT NULL,
    created_at  INTEGER NOT NULL,
    next_at     INTEGER NOT NULL,
    deadline_at INTEGER NOT NULL,
    sent_at     INTEGER,
    last_error  TEXT,
    -- The digest that told it.
    digest      TEXT
) STRICT;
CREATE INDEX notifications_waiting ON notifications (recipient, number) WHERE state = 'waiting';
CREATE INDEX notifications_sent ON notifications (sent_at) WHERE state = 'sent';
CREATE INDEX notifications_by_state ON notifications (state, number);
CREATE INDEX notifications_by_case ON notifications (case_id, number);
