-- How long alerts wait for themselves to pass is learned from the same orders, failure mode by
-- failure mode: then the two factors are days. Empty: the move of a limit.
ALTER TABLE recalibrations ADD COLUMN failure_mode TEXT NOT NULL DEFAULT '';
-- Of alarms that rose abruptly, or of those that grew.
ALTER TABLE recalibrations ADD COLUMN abrupt INTEGER NOT NULL DEFAULT 0 CHECK (abrupt IN (0, 1));

DROP INDEX recalibrations_by_source;
CREATE INDEX recalibrations_by_source
    ON recalibrations (rule, asset_model, failure_mode, abrupt, id);
