-- The list is a table of its own. Its indexes were those of the shipment, whose due time changes with each
-- claim and each refresh: all index entries of the row are written again then, most of them on pages in random
-- places. And the server parses the expression of a generated column once for every row that a claim writes.

CREATE FUNCTION kind_of(phase text, code bigint, asked_at bigint, trouble text, sub_status text) RETURNS bigint
LANGUAGE sql IMMUTABLE RETURN CASE WHEN phase <> 'looked_up' THEN
  code * 524288
  + CASE WHEN asked_at IS NULL THEN 0 WHEN trouble IS NULL THEN 32 ELSE 64 END
  + CASE phase WHEN 'stopped' THEN 16 ELSE 0 END
  + CASE split_part(sub_status, '_', 1)
    WHEN 'InfoReceived' THEN 1 WHEN 'InTransit' THEN 2 WHEN 'Expired' THEN 3 WHEN 'AvailableForPickup' THEN 4
    WHEN 'OutForDelivery' THEN 5 WHEN 'DeliveryFailure' THEN 6 WHEN 'Delivered' THEN 7
    WHEN 'Exception' THEN 8 ELSE 0 END
END;

CREATE TABLE listing (                     -- one registration, kept by the triggers below
  account bigint NOT NULL,
  register_at bigint NOT NULL,
  shipment bigint NOT NULL,
  kind bigint NOT NULL                     -- kind_of the shipment
) WITH (autovacuum_vacuum_scale_factor = 0.02);
INSERT INTO listing (account, register_at, shipment, kind)
  SELECT account, registered_at, id, kind FROM shipment WHERE kind IS NOT NULL;
ALTER TABLE listing ADD PRIMARY KEY (account, register_at, shipment);
CREATE INDEX listing_kind ON listing (account, kind, register_at, shipment);

DROP TRIGGER listed_turned ON shipment;
DROP INDEX shipment_listed;
ALTER TABLE shipment DROP COLUMN kind;

CREATE OR REPLACE FUNCTION listed_added() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  WITH listed AS (
    INSERT INTO listing (account, register_at, shipment, kind)
    SELECT account, registered_at, id, kind_of(phase, code, asked_at, trouble, sub_status)
    FROM added WHERE phase <> 'looked_up' RETURNING account, kind
  )
  INSERT INTO listed_count (account, kind, n) SELECT account, kind, count(*) FROM listed GROUP BY account, kind;
  RETURN NULL;
END $$;
CREATE OR REPLACE FUNCTION listed_removed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  WITH gone AS (
    DELETE FROM listing AS l USING removed AS r
    WHERE l.account = r.account AND l.register_at = r.registered_at AND l.shipment = r.id
    RETURNING l.account, l.kind
  )
  INSERT INTO listed_count (account, kind, n) SELECT account, kind, -count(*) FROM gone GROUP BY account, kind;
  RETURN NULL;
END $$;
CREATE OR REPLACE FUNCTION listed_turned() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  was bigint := kind_of(OLD.phase, OLD.code, OLD.asked_at, OLD.trouble, OLD.sub_status);
  turned bigint := kind_of(NEW.phase, NEW.code, NEW.asked_at, NEW.trouble, NEW.sub_status);
BEGIN
  IF was IS NULL THEN
    INSERT INTO listing (account, register_at, shipment, kind)
      VALUES (NEW.account, NEW.registered_at, NEW.id, turned);
    INSERT INTO listed_count (account, kind, n) VALUES (NEW.account, turned, 1);
  ELSIF was <> turned OR OLD.registered_at <> NEW.registered_at THEN
    UPDATE listing SET kind = turned, register_at = NEW.registered_at
      WHERE account = OLD.account AND register_at = OLD.registered_at AND shipment = OLD.id;
    INSERT INTO listed_count (account, kind, n) VALUES (OLD.account, was, -1), (NEW.account, turned, 1);
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER listed_turned AFTER UPDATE OF phase, code, registered_at, asked_at, trouble, sub_status
  ON shipment FOR EACH ROW
  WHEN (NEW.phase <> 'looked_up' AND (NEW.phase <> OLD.phase OR NEW.code <> OLD.code
    OR NEW.registered_at <> OLD.registered_at OR NEW.sub_status IS DISTINCT FROM OLD.sub_status
    OR (NEW.asked_at IS NULL) <> (OLD.asked_at IS NULL) OR (NEW.trouble IS NULL) <> (OLD.trouble IS NULL)))
  EXECUTE FUNCTION listed_turned();
