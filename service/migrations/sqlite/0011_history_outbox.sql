-- What an import has to tell the journal, written in the transaction that took the import in and
-- deleted when the journal has it: a program that dies in between tells it when it starts again.

CREATE TABLE history_outbox (
    number  INTEGER PRIMARY KEY AUTOINCREMENT,
    -- Events of one journal record, a JSON array.
    events  TEXT    NOT NULL
) STRICT;
