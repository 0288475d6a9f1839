-- What is declared about the signals of a device beside its asset's model, and who may publish
-- in its name. Times are microseconds since the Unix epoch, UTC.

-- What a credential of the device may do when the credential itself does not say; null: no limit.
ALTER TABLE devices ADD COLUMN quota_messages INTEGER;
ALTER TABLE devices ADD COLUMN quota_bytes INTEGER;
-- A gateway publishes for other devices: each of its topics starts with this.
ALTER TABLE devices ADD COLUMN topic_prefix TEXT;

CREATE TABLE device_signals (
    device          TEXT    NOT NULL REFERENCES devices (id),
    -- The name in payloads.
    name            TEXT    NOT NULL,
    -- The name it is stored under; null: the one in payloads.
    signal          TEXT,
    -- The unit the device sends; null: the one it is stored in.
    unit            TEXT,
    -- In the unit the device sends.
    min             REAL,
    max             REAL,
    max_rate_per_s  REAL,
    stuck_after_s   REAL,
    PRIMARY KEY (device, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE device_credentials (
    -- AUTOINCREMENT: an id is never given twice, so that a revoked credential stays revoked.
    number          INTEGER PRIMARY KEY AUTOINCREMENT,
    device          TEXT    NOT NULL REFERENCES devices (id),
    kind            TEXT    NOT NULL
        CHECK (kind IN ('token', 'certificate', 'certificate_name')),
    -- SHA-256 of the token or of the certificate; the secret itself is nowhere.
    sha256          BLOB    CHECK (sha256 IS NULL OR length(sha256) = 32),
    -- Null: what is declared for the device.
    topic_prefix    TEXT,
    quota_messages  INTEGER,
    quota_bytes     INTEGER,
    created_at      INTEGER NOT NULL,
    last_used_at    INTEGER,
    revoked_at      INTEGER,
    CHECK ((kind = 'certificate_name') = (sha256 IS NULL))
) STRICT;
CREATE INDEX device_credentials_by_device ON device_credentials (device, number);
-- One token or certificate opens one door. A revoked certificate may be bound anew.
CREATE UNIQUE INDEX device_credentials_one_secret
    ON device_credentials (kind, sha256) WHERE revoked_at IS NULL AND sha256 IS NOT NULL;
CREATE UNIQUE INDEX device_credentials_one_name
    ON device_credentials (device) WHERE revoked_at IS NULL AND kind = 'certificate_name';
