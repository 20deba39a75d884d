-- How many registrations of an account are of each kind: all that a filter of the list can ask for but times
-- and pushes, packed into one integer as in store/kinds.py. Changes of a count are rows of their own, so that
-- nobody waits for anybody; the janitor sums them up.

ALTER TABLE shipment ADD COLUMN kind bigint GENERATED ALWAYS AS (
  CASE WHEN phase <> 'looked_up' THEN
    code * 524288
    + CASE WHEN asked_at IS NULL THEN 0 WHEN trouble IS NULL THEN 32 ELSE 64 END
    + CASE phase WHEN 'stopped' THEN 16 ELSE 0 END
    + CASE split_part(sub_status, '_', 1)
      WHEN 'InfoReceived' THEN 1 WHEN 'InTransit' THEN 2 WHEN 'Expired' THEN 3 WHEN 'AvailableForPickup' THEN 4
      WHEN 'OutForDelivery' THEN 5 WHEN 'DeliveryFailure' THEN 6 WHEN 'Delivered' THEN 7
      WHEN 'Exception' THEN 8 ELSE 0 END
  END
) STORED;
CREATE INDEX shipment_kind ON shipment (account, kind, registered_at, id) WHERE kind IS NOT NULL;

CREATE TABLE listed_count (
  account bigint NOT NULL,
  kind bigint NOT NULL,
  id bigint GENERATED ALWAYS AS IDENTITY,
  n bigint NOT NULL,                       -- the count of a kind is the sum
  PRIMARY KEY (account, kind, id)
) WITH (autovacuum_vacuum_scale_factor = 0.02);
INSERT INTO listed_count (account, kind, n)
  SELECT account, kind, count(*) FROM shipment WHERE kind IS NOT NULL GROUP BY account, kind;

CREATE FUNCTION listed_added() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO listed_count (account, kind, n)
    SELECT account, kind, count(*) FROM added WHERE kind IS NOT NULL GROUP BY account, kind;
  RETURN NULL;
END $$;
CREATE FUNCTION listed_removed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO listed_count (account, kind, n)
    SELECT account, kind, -count(*) FROM removed WHERE kind IS NOT NULL GROUP BY account, kind;
  RETURN NULL;
END $$;
CREATE FUNCTION listed_turned() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.kind IS NOT NULL THEN
    INSERT INTO listed_count (account, kind, n) VALUES (OLD.account, OLD.kind, -1);
  END IF;
  INSERT INTO listed_count (account, kind, n) VALUES (NEW.account, NEW.kind, 1);
  RETURN NULL;
END $$;
CREATE TRIGGER listed_added AFTER INSERT ON shipment REFERENCING NEW TABLE AS added
  FOR EACH STATEMENT EXECUTE FUNCTION listed_added();
CREATE TRIGGER listed_removed AFTER DELETE ON shipment REFERENCING OLD TABLE AS removed
  FOR EACH STATEMENT EXECUTE FUNCTION listed_removed();
CREATE TRIGGER listed_turned AFTER UPDATE ON shipment FOR EACH ROW
  WHEN (NEW.kind IS DISTINCT FROM OLD.kind AND NEW.kind IS NOT NULL) EXECUTE FUNCTION listed_turned();
