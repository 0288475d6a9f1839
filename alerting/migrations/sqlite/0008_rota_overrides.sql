-- Who stands in for whom on call, as people entered it.

CREATE TABLE rota_overrides (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    rota        TEXT    NOT NULL,
    person      TEXT    NOT NULL,
    from_at     INTEGER NOT NULL,
    until_at    INTEGER NOT NULL CHECK (until_at > from_at),
    entered_by  TEXT    NOT NULL,
    entered_at  INTEGER NOT NULL
) STRICT;
