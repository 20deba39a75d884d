-- The list is counted once a transaction instead of once a row: triggers note the steps, and before the commit
-- they are added up into the tally (store/sqlite/counts.py). What happens together is mostly of one kind and
-- one time, and 12 buckets that are written once for 40 registrations are nearly free.

DROP TRIGGER listing_added;
DROP TRIGGER listing_added_late;
DROP TRIGGER listing_removed;
DROP TRIGGER listing_turned;
DROP TRIGGER listing_tracked;
DROP TRIGGER listing_pushed;
DROP TRIGGER listing_stopped;
DROP TRIGGER listing_tracked_whole;
DROP TRIGGER listing_pushed_whole;
DROP TRIGGER listing_stopped_whole;
DROP TRIGGER tally_count;
DROP VIEW tally_step;

CREATE TABLE tally_step (                  -- empty whenever a transaction is committed
  account INTEGER NOT NULL,
  kind INTEGER NOT NULL,
  axis INTEGER NOT NULL,
  at INTEGER,                              -- NULL: there is no such time, nothing to count
  n INTEGER NOT NULL                       -- 1 or -1
) STRICT;

CREATE TRIGGER listing_added AFTER INSERT ON listing BEGIN
  INSERT INTO tally_step VALUES (new.account, new.kind, 1, new.register_at, 1);
END;
CREATE TRIGGER listing_added_late AFTER INSERT ON listing
WHEN new.track_at IS NOT NULL OR new.push_at IS NOT NULL OR new.stop_at IS NOT NULL BEGIN
  INSERT INTO tally_step VALUES (new.account, new.kind, 2, new.track_at, 1),
    (new.account, new.kind, 3, new.push_at, 1), (new.account, new.kind, 4, new.stop_at, 1);
END;
CREATE TRIGGER listing_removed AFTER DELETE ON listing BEGIN
  INSERT INTO tally_step VALUES
    (old.account, old.kind, 1, old.register_at, -1), (old.account, old.kind, 2, old.track_at, -1),
    (old.account, old.kind, 3, old.push_at, -1), (old.account, old.kind, 4, old.stop_at, -1);
END;
CREATE TRIGGER listing_turned AFTER UPDATE ON listing WHEN new.kind <> old.kind BEGIN
  INSERT INTO tally_step VALUES
    (old.account, old.kind, 1, old.register_at, -1), (old.account, old.kind, 2, old.track_at, -1),
    (old.account, old.kind, 3, old.push_at, -1), (old.account, old.kind, 4, old.stop_at, -1),
    (new.account, new.kind, 1, new.register_at, 1), (new.account, new.kind, 2, new.track_at, 1),
    (new.account, new.kind, 3, new.push_at, 1), (new.account, new.kind, 4, new.stop_at, 1);
END;
CREATE TRIGGER listing_tracked AFTER UPDATE OF track_at ON listing
WHEN new.kind = old.kind AND new.track_at IS NOT old.track_at BEGIN
  INSERT INTO tally_step VALUES
    (old.account, old.kind, 2, old.track_at, -1), (new.account, new.kind, 2, new.track_at, 1);
END;
CREATE TRIGGER listing_pushed AFTER UPDATE OF push_at ON listing
WHEN new.kind = old.kind AND new.push_at IS NOT old.push_at BEGIN
  INSERT INTO tally_step VALUES
    (old.account, old.kind, 3, old.push_at, -1), (new.account, new.kind, 3, new.push_at, 1);
END;
CREATE TRIGGER listing_stopped AFTER UPDATE OF stop_at ON listing
WHEN new.kind = old.kind AND new.stop_at IS NOT old.stop_at BEGIN
  INSERT INTO tally_step VALUES
    (old.account, old.kind, 4, old.stop_at, -1), (new.account, new.kind, 4, new.stop_at, 1);
END;
