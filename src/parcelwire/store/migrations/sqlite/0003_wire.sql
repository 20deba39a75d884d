-- What the remaining endpoints need: one retrack, five changes of carrier, removal of old records, the list.

ALTER TABLE shipment ADD COLUMN retracked INTEGER NOT NULL DEFAULT 0;
ALTER TABLE shipment ADD COLUMN carrier_changes INTEGER NOT NULL DEFAULT 0;
CREATE INDEX shipment_stopped ON shipment (stopped_at) WHERE stopped_at IS NOT NULL;
CREATE INDEX shipment_looked_up ON shipment (since) WHERE phase = 'looked_up';

-- The list of an account's registrations (gettracklist), kept by the triggers below in the transaction of
-- every change. One row is one registration, in few bytes. ``kind`` packs all that a filter can ask for but
-- times, so that a filter is a set of kinds (store/lists.py unpacks it).
CREATE TABLE listing (
  shipment INTEGER PRIMARY KEY REFERENCES shipment (id) ON DELETE CASCADE,
  account INTEGER NOT NULL,
  code INTEGER NOT NULL,
  status INTEGER NOT NULL,                 -- place in domain.status.Status
  stopped INTEGER NOT NULL,
  sync INTEGER NOT NULL,                   -- 0 never asked, 1 the last refresh said something, 2 it did not
  push INTEGER NOT NULL DEFAULT 0,         -- 0 never pushed, 1 the last attempt was taken, 2 it was not
  push_code INTEGER NOT NULL DEFAULT 0,    -- HTTP status of the last attempt; 0 no answer
  register_at INTEGER NOT NULL,
  track_at INTEGER,
  push_at INTEGER,
  stop_at INTEGER,
  kind INTEGER NOT NULL GENERATED ALWAYS AS
    (((((code * 1024 + push_code) * 4 + push) * 4 + sync) * 2 + stopped) * 16 + status) STORED
) STRICT;
CREATE INDEX listing_register ON listing (account, kind, register_at);
CREATE INDEX listing_track ON listing (account, kind, track_at) WHERE track_at IS NOT NULL;
CREATE INDEX listing_push ON listing (account, kind, push_at) WHERE push_at IS NOT NULL;
CREATE INDEX listing_stop ON listing (account, kind, stop_at) WHERE stop_at IS NOT NULL;

-- How many registrations of a kind have a time (axis 1 register, 2 track, 3 push, 4 stop) in a span: bucket b
-- of level l holds the times t with t >> l = b. A span has 32 spans of the next level, so the rank of a time,
-- and the time of a rank, take at most 32 rows of a kind at each level, however many registrations there are.
-- All kinds together are counted on the negative axis, as kind 0.
CREATE TABLE tally_level (level INTEGER PRIMARY KEY) STRICT;
INSERT INTO tally_level VALUES (20), (25), (30), (35), (40), (45);  -- 1 s, 34 s, 18 min, 10 h, 13 d, 1.1 years
CREATE TABLE tally (
  account INTEGER NOT NULL,
  axis INTEGER NOT NULL,
  level INTEGER NOT NULL,
  bucket INTEGER NOT NULL,
  kind INTEGER NOT NULL,
  n INTEGER NOT NULL,
  PRIMARY KEY (account, axis, level, bucket, kind)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER tally_empty AFTER UPDATE OF n ON tally WHEN new.n = 0 BEGIN
  DELETE FROM tally WHERE account = new.account AND axis = new.axis AND level = new.level
    AND bucket = new.bucket AND kind = new.kind;
END;
-- A step: ``n`` (1 or -1) is added to all buckets of a time. Only INSERT, by the triggers below.
CREATE VIEW tally_step AS SELECT 0 AS account, 0 AS axis, 0 AS at, 0 AS kind, 0 AS n WHERE 0;
CREATE TRIGGER tally_count INSTEAD OF INSERT ON tally_step WHEN new.at IS NOT NULL BEGIN
  INSERT INTO tally (account, axis, level, bucket, kind, n)
    SELECT new.account, new.axis, level, new.at >> level, new.kind, new.n FROM tally_level WHERE true
    ON CONFLICT DO UPDATE SET n = n + excluded.n;
END;

CREATE TRIGGER listing_added AFTER INSERT ON listing BEGIN
  INSERT INTO tally (account, axis, level, bucket, kind, n)
    SELECT new.account, 1, level, new.register_at >> level, new.kind, 1 FROM tally_level WHERE true
    ON CONFLICT DO UPDATE SET n = n + 1;
  INSERT INTO tally (account, axis, level, bucket, kind, n)
    SELECT new.account, -1, level, new.register_at >> level, 0, 1 FROM tally_level WHERE true
    ON CONFLICT DO UPDATE SET n = n + 1;
END;
CREATE TRIGGER listing_added_late AFTER INSERT ON listing
WHEN new.track_at IS NOT NULL OR new.push_at IS NOT NULL OR new.stop_at IS NOT NULL BEGIN
  INSERT INTO tally_step VALUES (new.account, 2, new.track_at, new.kind, 1),
    (new.account, 3, new.push_at, new.kind, 1), (new.account, 4, new.stop_at, new.kind, 1),
    (new.account, -2, new.track_at, 0, 1), (new.account, -3, new.push_at, 0, 1),
    (new.account, -4, new.stop_at, 0, 1);
END;
CREATE TRIGGER listing_removed AFTER DELETE ON listing BEGIN
  INSERT INTO tally_step VALUES (old.account, 1, old.register_at, old.kind, -1),
    (old.account, 2, old.track_at, old.kind, -1), (old.account, 3, old.push_at, old.kind, -1),
    (old.account, 4, old.stop_at, old.kind, -1),
    (old.account, -1, old.register_at, 0, -1), (old.account, -2, old.track_at, 0, -1),
    (old.account, -3, old.push_at, 0, -1), (old.account, -4, old.stop_at, 0, -1);
END;
CREATE TRIGGER listing_turned AFTER UPDATE ON listing WHEN new.kind <> old.kind BEGIN
  INSERT INTO tally_step VALUES (old.account, 1, old.register_at, old.kind, -1),
    (old.account, 2, old.track_at, old.kind, -1), (old.account, 3, old.push_at, old.kind, -1),
    (old.account, 4, old.stop_at, old.kind, -1),
    (new.account, 1, new.register_at, new.kind, 1), (new.account, 2, new.track_at, new.kind, 1),
    (new.account, 3, new.push_at, new.kind, 1), (new.account, 4, new.stop_at, new.kind, 1);
END;
CREATE TRIGGER listing_tracked AFTER UPDATE OF track_at ON listing
WHEN new.kind = old.kind AND new.track_at IS NOT old.track_at BEGIN
  INSERT INTO tally_step VALUES (old.account, 2, old.track_at, old.kind, -1),
    (new.account, 2, new.track_at, new.kind, 1);
END;
CREATE TRIGGER listing_pushed AFTER UPDATE OF push_at ON listing
WHEN new.kind = old.kind AND new.push_at IS NOT old.push_at BEGIN
  INSERT INTO tally_step VALUES (old.account, 3, old.push_at, old.kind, -1),
    (new.account, 3, new.push_at, new.kind, 1);
END;
CREATE TRIGGER listing_stopped AFTER UPDATE OF stop_at ON listing
WHEN new.kind = old.kind AND new.stop_at IS NOT old.stop_at BEGIN
  INSERT INTO tally_step VALUES (old.account, 4, old.stop_at, old.kind, -1),
    (new.account, 4, new.stop_at, new.kind, 1);
END;
CREATE TRIGGER listing_tracked_whole AFTER UPDATE OF track_at ON listing
WHEN new.track_at IS NOT old.track_at BEGIN
  INSERT INTO tally_step VALUES (old.account, -2, old.track_at, 0, -1), (new.account, -2, new.track_at, 0, 1);
END;
CREATE TRIGGER listing_pushed_whole AFTER UPDATE OF push_at ON listing
WHEN new.push_at IS NOT old.push_at BEGIN
  INSERT INTO tally_step VALUES (old.account, -3, old.push_at, 0, -1), (new.account, -3, new.push_at, 0, 1);
END;
CREATE TRIGGER listing_stopped_whole AFTER UPDATE OF stop_at ON listing
WHEN new.stop_at IS NOT old.stop_at BEGIN
  INSERT INTO tally_step VALUES (old.account, -4, old.stop_at, 0, -1), (new.account, -4, new.stop_at, 0, 1);
END;

-- A shipment as the list sees it. The names are those of domain.status.Status, in its order.
CREATE VIEW listed AS SELECT id AS shipment, account, code,
  CASE iif(instr(sub_status, '_'), substr(sub_status, 1, instr(sub_status, '_') - 1), sub_status)
    WHEN 'InfoReceived' THEN 1 WHEN 'InTransit' THEN 2 WHEN 'Expired' THEN 3 WHEN 'AvailableForPickup' THEN 4
    WHEN 'OutForDelivery' THEN 5 WHEN 'DeliveryFailure' THEN 6 WHEN 'Delivered' THEN 7
    WHEN 'Exception' THEN 8 ELSE 0 END AS status,
  phase = 'stopped' AS stopped,
  CASE WHEN asked_at IS NULL THEN 0 WHEN trouble IS NULL THEN 1 ELSE 2 END AS sync,
  registered_at AS register_at, asked_at AS track_at, stopped_at AS stop_at
FROM shipment WHERE phase <> 'looked_up';

INSERT INTO listing (shipment, account, code, status, stopped, sync, register_at, track_at, stop_at)
  SELECT shipment, account, code, status, stopped, sync, register_at, track_at, stop_at FROM listed;

-- A new registration is the one change that must be cheap: nothing of it can be known yet.
CREATE TRIGGER shipment_listed AFTER INSERT ON shipment WHEN new.phase = 'tracking' BEGIN
  INSERT INTO listing (shipment, account, code, status, stopped, sync, register_at)
  VALUES (new.id, new.account, new.code, 0, 0, 0, new.registered_at);
END;
CREATE TRIGGER shipment_promoted AFTER UPDATE OF phase ON shipment
WHEN old.phase = 'looked_up' AND new.phase <> 'looked_up' BEGIN
  INSERT INTO listing (shipment, account, code, status, stopped, sync, register_at, track_at, stop_at)
    SELECT shipment, account, code, status, stopped, sync, register_at, track_at, stop_at FROM listed
    WHERE shipment = new.id;
END;
CREATE TRIGGER shipment_tracked AFTER UPDATE OF asked_at ON shipment
WHEN new.asked_at IS NOT old.asked_at AND new.phase <> 'looked_up' AND old.phase <> 'looked_up' BEGIN
  UPDATE listing SET track_at = new.asked_at WHERE shipment = new.id;
END;
CREATE TRIGGER shipment_turned AFTER UPDATE OF phase, sub_status, code, trouble, asked_at, stopped_at ON shipment
WHEN new.phase <> 'looked_up' AND old.phase <> 'looked_up' AND (
  new.phase <> old.phase OR new.sub_status IS NOT old.sub_status OR new.code <> old.code
  OR (new.trouble IS NULL) <> (old.trouble IS NULL) OR (new.asked_at IS NULL) <> (old.asked_at IS NULL)
  OR new.stopped_at IS NOT old.stopped_at
) BEGIN
  UPDATE listing SET (code, status, stopped, sync, stop_at) =
    (SELECT code, status, stopped, sync, stop_at FROM listed WHERE shipment = new.id)
  WHERE shipment = new.id;
END;
