-- The last conversations of a lane: its breaker opens when half of twenty failed.

ALTER TABLE lane ADD COLUMN recent INTEGER NOT NULL DEFAULT 0;  -- domain.lane.Lane.recent
