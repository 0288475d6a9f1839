-- An asset may be part of another one, or fed by it: while that one fails, its own alarms say
-- nothing new.
ALTER TABLE assets ADD COLUMN parent TEXT REFERENCES assets (id);
CREATE INDEX assets_by_parent ON assets (parent) WHERE parent IS NOT NULL;

-- A case that is opened again after its order was withdrawn or cancelled may have another one:
-- one order for each round of a case.
ALTER TABLE work_orders ADD COLUMN round INTEGER NOT NULL DEFAULT 1 CHECK (round >= 1);
DROP INDEX work_orders_one_per_case;
CREATE UNIQUE INDEX work_orders_one_per_case ON work_orders (case_id, round) WHERE case_id IS NOT NULL;
