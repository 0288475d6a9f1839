-- What nobody wants to hear for a while. Ended ones stay, to tell what was suppressed and why.
CREATE TABLE silences (
    number        INTEGER PRIMARY KEY AUTOINCREMENT,
    asset         TEXT,
    site          TEXT,
    model         TEXT,
    failure_mode  TEXT,
    from_at       INTEGER NOT NULL,
    until_at      INTEGER NOT NULL,
    author        TEXT    NOT NULL,
    note          TEXT    NOT NULL,
    created_at    INTEGER NOT NULL,
    ended_at      INTEGER,
    ended_by      TEXT,
    CHECK (from_at < until_at),
    CHECK (coalesce(asset, site, model, failure_mode) IS NOT NULL)
) STRICT;
CREATE INDEX silences_by_end ON silences (until_at);
