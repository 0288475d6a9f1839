-- What was found when an order was completed. Times are microseconds since the Unix epoch, UTC.

-- What really failed, where that was said; the order keeps what it was raised for.
ALTER TABLE work_orders ADD COLUMN found_mode TEXT;
-- The part that was replaced or repaired.
ALTER TABLE work_orders ADD COLUMN part TEXT;
-- When the work was done in the time of the machine's readings, which a replay of a recording
-- or an accelerated plant tells apart from the clock of the office. Null: as the office's clock says.
ALTER TABLE work_orders ADD COLUMN done_at INTEGER;
