-- Every change of the rules in force, kept for good: who, when and why.
CREATE TABLE rule_sets (
    version INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    by TEXT NOT NULL,
    reason TEXT NOT NULL,
    source TEXT NOT NULL CHECK (source IN ('file', 'api'))
) STRICT;

-- Every version of every rule; one without text has retired it.
CREATE TABLE rule_versions (
    rule TEXT NOT NULL,
    version INTEGER NOT NULL,
    set_version INTEGER NOT NULL REFERENCES rule_sets (version),
    text TEXT,
    PRIMARY KEY (rule, version)
) STRICT, WITHOUT ROWID;

CREATE INDEX rule_versions_by_set ON rule_versions (set_version);

-- The rules of the configured files as they were read last, so that a file that did not change
-- does not take back what was changed elsewhere.
CREATE TABLE rule_files (
    rule TEXT PRIMARY KEY,
    text TEXT NOT NULL
) STRICT, WITHOUT ROWID;
