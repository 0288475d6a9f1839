-- A sensor that cannot be believed is a case of its own: one open case per asset and failure
-- mode, and for sensors per signal. The empty text is a case of the machine.

ALTER TABLE cases ADD COLUMN signal TEXT NOT NULL DEFAULT '';
DROP INDEX cases_one_open;
CREATE UNIQUE INDEX cases_one_open ON cases (asset, failure_mode, signal) WHERE status <> 'closed';

CREATE TABLE new_episodes (
    asset      TEXT    NOT NULL,
    device     TEXT    NOT NULL,
    -- The signal whose sensor it is about; empty for the alarm of the machine.
    signal     TEXT    NOT NULL,
    since      INTEGER NOT NULL,
    case_id    TEXT    NOT NULL REFERENCES cases (id),
    active     INTEGER NOT NULL CHECK (active IN (0, 1)),
    mark_at    INTEGER NOT NULL,
    mark_rank  INTEGER NOT NULL,
    PRIMARY KEY (asset, device, signal)
) STRICT, WITHOUT ROWID;
INSERT INTO new_episodes SELECT asset, device, '', since, case_id, active, mark_at, mark_rank FROM episodes;
DROP TABLE episodes;
ALTER TABLE new_episodes RENAME TO episodes;
