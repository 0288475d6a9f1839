-- Calendars that people subscribe to. Who knows the token reads the calendar, so only its hash is kept.

CREATE TABLE calendar_feeds (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    token_hash  TEXT    NOT NULL UNIQUE,
    -- The orders of this engineer; of everybody when it is null.
    engineer    TEXT,
    entered_by  TEXT    NOT NULL,
    entered_at  INTEGER NOT NULL
) STRICT;
