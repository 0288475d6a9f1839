-- What became of assets before they were watched, or beside the orders of this system: records
-- of another maintenance system. Times are microseconds since the Unix epoch, UTC.

-- What is known of an asset from elsewhere. It need not be in the ledger: a machine that was
-- scrapped years ago still tells how long its like lasts.
CREATE TABLE history_assets (
    asset         TEXT    PRIMARY KEY,
    -- The kind of machine; null: as the ledger says.
    model         TEXT,
    installed_at  INTEGER,
    -- Static facts by name, a JSON object of texts.
    facts         TEXT    NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE history_records (
    asset         TEXT    NOT NULL,
    at            INTEGER NOT NULL,
    kind          TEXT    NOT NULL CHECK (kind IN ('failure', 'maintenance', 'error')),
    -- Empty: the machine as a whole.
    component     TEXT    NOT NULL,
    -- The code of an error, or what was done: replace, repair, inspect.
    code          TEXT    NOT NULL,
    note          TEXT    NOT NULL,
    imported_at   INTEGER NOT NULL,
    PRIMARY KEY (asset, at, kind, component, code)
) STRICT, WITHOUT ROWID;
CREATE INDEX history_records_by_kind ON history_records (kind, at);
