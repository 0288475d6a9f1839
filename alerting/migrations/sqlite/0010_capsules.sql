-- What a case was opened from, frozen with it, compressed. It is written a moment after the case,
-- so a crash in between leaves a case without one until its records come again.

CREATE TABLE case_capsules (
    case_id  TEXT    PRIMARY KEY REFERENCES cases (id),
    -- The opening of the case this belongs to: a case that opens again gets a new one.
    capsule  BLOB    NOT NULL
) STRICT, WITHOUT ROWID;
