-- Each index of (shipment, ...) is one more page in a random place that a refresh reads and writes. A push is
-- known by its change, which is the newest when it is made, and chains are sought among those pending: few. The
-- log of a shipment is a chain of rows.

ALTER TABLE push RENAME TO push_before;
CREATE TABLE push (
  seq INTEGER PRIMARY KEY,                 -- attempts lie side by side in the order of pushes
  id TEXT NOT NULL UNIQUE,
  endpoint INTEGER NOT NULL REFERENCES endpoint (id) ON DELETE CASCADE,
  shipment INTEGER NOT NULL,
  version INTEGER NOT NULL,
  change INTEGER NOT NULL REFERENCES change (id),  -- of that version of the shipment
  event TEXT NOT NULL,
  state TEXT NOT NULL,
  send_at INTEGER,                         -- NULL: done, or an older push of the shipment is not done yet
  lease TEXT,
  attempts INTEGER NOT NULL DEFAULT 0,
  tries INTEGER NOT NULL DEFAULT 0,        -- attempts that its schedule counts
  created_at INTEGER NOT NULL,
  done_at INTEGER,
  UNIQUE (endpoint, change)
) STRICT;
INSERT INTO push (seq, id, endpoint, shipment, version, change, event, state, send_at, lease, attempts, tries,
    created_at, done_at)
  SELECT seq, id, endpoint, shipment, version, change, event, state, send_at, lease, attempts, tries,
    created_at, done_at
  FROM push_before ORDER BY seq;

CREATE TABLE attempt (
  push INTEGER NOT NULL REFERENCES push (seq) ON DELETE CASCADE,
  n INTEGER NOT NULL,
  at INTEGER NOT NULL,
  http_status INTEGER,
  ms INTEGER NOT NULL,
  detail TEXT NOT NULL,
  body_start BLOB NOT NULL,                -- at most the first 2 KiB of what the endpoint said
  PRIMARY KEY (push, n)
) STRICT, WITHOUT ROWID;
INSERT INTO attempt SELECT * FROM push_attempt;
DROP TABLE push_attempt;
ALTER TABLE attempt RENAME TO push_attempt;
DROP TABLE push_before;

CREATE INDEX push_due ON push (endpoint, send_at) WHERE state = 'pending';
CREATE INDEX push_leased ON push (endpoint, send_at) WHERE lease IS NOT NULL;
CREATE INDEX push_dead ON push (endpoint) WHERE state = 'dead';
CREATE INDEX push_done ON push (done_at) WHERE done_at IS NOT NULL;
CREATE INDEX push_change ON push (change);
CREATE INDEX push_chain ON push (endpoint, shipment, version) WHERE state = 'pending';

CREATE TABLE attempt_log (
  id INTEGER PRIMARY KEY AUTOINCREMENT,    -- never given twice: a chain goes to smaller ones, and ends
  shipment INTEGER NOT NULL,
  before INTEGER,                          -- row of the last attempt before, which may have been pruned
  at INTEGER NOT NULL,
  lane TEXT NOT NULL,
  outcome TEXT NOT NULL,
  ms INTEGER NOT NULL,
  text TEXT NOT NULL,
  raw BLOB                                 -- hash in raw_reply, for replies that could not be read
) STRICT;
INSERT INTO attempt_log
  SELECT id, shipment, lag(id) OVER (PARTITION BY shipment ORDER BY id), at, lane, outcome, ms, text, raw
  FROM refresh_log ORDER BY id;
DROP TABLE refresh_log;
ALTER TABLE attempt_log RENAME TO refresh_log;
CREATE INDEX refresh_log_at ON refresh_log (at);
CREATE INDEX refresh_log_raw ON refresh_log (raw) WHERE raw IS NOT NULL;

ALTER TABLE shipment ADD COLUMN logged INTEGER;  -- its newest row in refresh_log
UPDATE shipment SET logged = newest.id
  FROM (SELECT shipment, max(id) AS id FROM refresh_log GROUP BY shipment) AS newest
  WHERE shipment.id = newest.shipment;
CREATE TRIGGER shipment_forgotten AFTER DELETE ON shipment BEGIN
  DELETE FROM refresh_log WHERE id IN (
    WITH RECURSIVE log (id) AS (
      SELECT old.logged UNION ALL
      SELECT l.before FROM log JOIN refresh_log l ON l.id = log.id AND l.shipment = old.id
    )
    SELECT id FROM log
  ) AND shipment = old.id;
END;
