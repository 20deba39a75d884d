-- What the remaining endpoints need: one retrack, five changes of carrier, removal of old records, the list.

ALTER TABLE shipment ADD COLUMN retracked bigint NOT NULL DEFAULT 0;
ALTER TABLE shipment ADD COLUMN carrier_changes bigint NOT NULL DEFAULT 0;
CREATE INDEX shipment_stopped ON shipment (stopped_at) WHERE stopped_at IS NOT NULL;
CREATE INDEX shipment_looked_up ON shipment (since) WHERE phase = 'looked_up';

-- The list of an account's registrations: its usual order, and how many there are. Registering writes the
-- account's row anyway; a count of every kind and time, kept by every refresh, would make all refreshes of an
-- account wait for one another.
CREATE INDEX shipment_listed ON shipment (account, registered_at, id) WHERE phase <> 'looked_up';
ALTER TABLE account ADD COLUMN listed bigint NOT NULL DEFAULT 0;
UPDATE account SET listed = (
  SELECT count(*) FROM shipment WHERE shipment.account = account.id AND phase <> 'looked_up'
);

CREATE TABLE push_standing (               -- what came of the last attempt to push
  shipment bigint NOT NULL,
  account bigint NOT NULL,
  push bigint NOT NULL,                    -- domain.listing.PushStanding
  push_code bigint NOT NULL,               -- HTTP status; 0 no answer
  push_at bigint NOT NULL,
  PRIMARY KEY (shipment, account)
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02);
