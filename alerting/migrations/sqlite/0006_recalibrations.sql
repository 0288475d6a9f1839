-- Every time an alert was made rarer or more frequent because of what its orders found.
CREATE TABLE recalibrations (
    id INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    -- The rule, or empty for the detectors of analytics.
    rule TEXT NOT NULL,
    asset_model TEXT NOT NULL,
    from_factor REAL NOT NULL,
    to_factor REAL NOT NULL,
    because_en TEXT NOT NULL,
    because_zh TEXT NOT NULL,
    by TEXT NOT NULL,
    -- The recalibration that this one takes back.
    reverts INTEGER REFERENCES recalibrations (id)
) STRICT;

CREATE INDEX recalibrations_by_source ON recalibrations (rule, asset_model, id);
