-- Rules tried on the stored past. Times are microseconds since the Unix epoch, UTC.

CREATE TABLE backtests (
    -- AUTOINCREMENT: a number is never given twice, so that a link stays right.
    number        INTEGER PRIMARY KEY AUTOINCREMENT,
    state         TEXT    NOT NULL
        CHECK (state IN ('queued', 'running', 'done', 'failed', 'cancelled')),
    -- The rule set as it was typed.
    rules         TEXT    NOT NULL,
    -- The part of the past: from this time on, before that.
    span_from     INTEGER NOT NULL,
    span_to       INTEGER NOT NULL,
    rules_only    INTEGER NOT NULL CHECK (rules_only IN (0, 1)),
    actor         TEXT    NOT NULL,
    requested_at  INTEGER NOT NULL,
    started_at    INTEGER,
    ended_at      INTEGER,
    progress      REAL    NOT NULL DEFAULT 0,
    readings      INTEGER NOT NULL DEFAULT 0,
    problem       TEXT,
    -- JSON, once it is done.
    result        TEXT
) STRICT;
CREATE INDEX backtests_by_state ON backtests (state, number);
