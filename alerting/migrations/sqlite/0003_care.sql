-- Who raised a case, what kind of problem it is, why it asks for nothing at present, and what it
-- waits for. Times are microseconds since the Unix epoch; structured values are JSON.

ALTER TABLE cases ADD COLUMN source TEXT NOT NULL DEFAULT '{"kind":"model","name":""}';
ALTER TABLE cases ADD COLUMN verdict TEXT NOT NULL DEFAULT 'machine'
    CHECK (verdict IN ('sensor', 'operating', 'machine'));
ALTER TABLE cases ADD COLUMN why TEXT;
ALTER TABLE cases ADD COLUMN round INTEGER NOT NULL DEFAULT 1 CHECK (round >= 1);
-- By the clock of the program, where all other times of a case are those of its findings.
ALTER TABLE cases ADD COLUMN seen_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE cases ADD COLUMN site TEXT;
ALTER TABLE cases ADD COLUMN stale INTEGER NOT NULL DEFAULT 0 CHECK (stale IN (0, 1));
ALTER TABLE cases ADD COLUMN suppressed TEXT;
ALTER TABLE cases ADD COLUMN parent TEXT;
ALTER TABLE cases ADD COLUMN watch_list TEXT;
ALTER TABLE cases ADD COLUMN avoided_cost REAL;
ALTER TABLE cases ADD COLUMN currency TEXT;
-- What the desk remembers beside what is shown.
ALTER TABLE cases ADD COLUMN care TEXT NOT NULL DEFAULT '{}';
UPDATE cases SET verdict = 'sensor' WHERE signal <> '';
UPDATE cases SET seen_at = opened_at,
    source = json_object('kind', 'model', 'name', coalesce(json_extract(evidence, '$.model'), ''));
CREATE INDEX cases_open ON cases (asset) WHERE status <> 'closed';
CREATE INDEX cases_by_parent ON cases (parent, number) WHERE parent IS NOT NULL;
CREATE INDEX cases_by_end ON cases (closed_at) WHERE status = 'closed';

-- When a line was written, and whether it asked for attention then; alarm rates count these.
ALTER TABLE case_events ADD COLUMN seen_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE case_events ADD COLUMN announced INTEGER NOT NULL DEFAULT 1 CHECK (announced IN (0, 1));
UPDATE case_events SET seen_at = at;
CREATE INDEX case_events_by_time ON case_events (seen_at);

-- An episode is the machine's, a sensor's, or a rule's.
CREATE TABLE new_episodes (
    asset      TEXT    NOT NULL,
    device     TEXT    NOT NULL,
    -- The signal whose sensor it is about, else empty.
    signal     TEXT    NOT NULL,
    -- The rule that holds, else empty.
    rule       TEXT    NOT NULL,
    since      INTEGER NOT NULL,
    case_id    TEXT    NOT NULL REFERENCES cases (id),
    -- The round of the case it belongs to.
    round      INTEGER NOT NULL,
    active     INTEGER NOT NULL CHECK (active IN (0, 1)),
    mark_at    INTEGER NOT NULL,
    mark_rank  INTEGER NOT NULL,
    PRIMARY KEY (asset, device, signal, rule)
) STRICT, WITHOUT ROWID;
INSERT INTO new_episodes
    SELECT asset, device, signal, '', since, case_id, 1, active, mark_at, mark_rank FROM episodes;
DROP TABLE episodes;
ALTER TABLE new_episodes RENAME TO episodes;

-- Devices that have kept up with the clock: what they tell of long ago came late.
CREATE TABLE punctual_devices (
    device  TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;
