-- What an order will do, what it costs, and how its date was found. Structured values are JSON.
ALTER TABLE work_orders ADD COLUMN signal TEXT;
ALTER TABLE work_orders ADD COLUMN priority INTEGER NOT NULL DEFAULT 3 CHECK (priority BETWEEN 1 AND 4);
ALTER TABLE work_orders ADD COLUMN due_from INTEGER;
ALTER TABLE work_orders ADD COLUMN plan TEXT;
ALTER TABLE work_orders ADD COLUMN costs TEXT;
ALTER TABLE work_orders ADD COLUMN date TEXT;
-- The earliest date that a forecast asked for after a person had set one; told once.
ALTER TABLE work_orders ADD COLUMN warned_due INTEGER;
