-- The index of changes by shipment was one more page in a random place for each refresh with news. The changes of
-- a shipment are a chain of rows, as its log is. What tells of a shipment goes with it, on every way that it goes.

ALTER TABLE shipment ADD COLUMN newest_change INTEGER;  -- its newest row in change
UPDATE shipment SET newest_change = newest.id
  FROM (SELECT shipment, max(id) AS id FROM change GROUP BY shipment) AS newest
  WHERE shipment.id = newest.shipment;

CREATE TABLE change_chain (
  id INTEGER PRIMARY KEY AUTOINCREMENT,    -- the cursor of the pull feed: one writer, so in order of commits
  account INTEGER NOT NULL REFERENCES account (id),
  shipment INTEGER NOT NULL,
  version INTEGER NOT NULL,
  at INTEGER NOT NULL,
  event TEXT NOT NULL,
  before INTEGER,                          -- the change of the shipment before, which may have been pruned
  body BLOB NOT NULL                       -- last: the columns before it are read without it
) STRICT;
INSERT INTO change_chain (id, account, shipment, version, at, event, before, body)
  SELECT id, account, shipment, version, at, event,
    (SELECT max(b.id) FROM change b WHERE b.shipment = c.shipment AND b.id < c.id), body
  FROM change c ORDER BY id;
DELETE FROM sqlite_sequence WHERE name = 'change_chain';
UPDATE sqlite_sequence SET name = 'change_chain' WHERE name = 'change';  -- no cursor is given twice
DROP TABLE change;
ALTER TABLE change_chain RENAME TO change;
CREATE INDEX change_feed ON change (account, id);
CREATE INDEX change_at ON change (at);

DROP TRIGGER shipment_forgotten;
CREATE TRIGGER shipment_forgotten AFTER DELETE ON shipment BEGIN
  DELETE FROM refresh_log WHERE id IN (
    WITH RECURSIVE log (id) AS (
      SELECT old.logged UNION ALL SELECT l.before FROM log JOIN refresh_log l ON l.id = log.id
    )
    SELECT id FROM log
  );
  DELETE FROM push WHERE change IN (
    WITH RECURSIVE told (id) AS (
      SELECT old.newest_change UNION ALL SELECT c.before FROM told JOIN change c ON c.id = told.id
    )
    SELECT id FROM told
  );
  DELETE FROM change WHERE id IN (
    WITH RECURSIVE told (id) AS (
      SELECT old.newest_change UNION ALL SELECT c.before FROM told JOIN change c ON c.id = told.id
    )
    SELECT id FROM told
  );
END;
