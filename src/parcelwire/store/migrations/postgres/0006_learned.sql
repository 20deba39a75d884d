-- What the numbers of an account turned out to be, and the search for the carrier of a guess.

CREATE TABLE learned (
  account bigint NOT NULL REFERENCES account (id),
  shape text COLLATE "C" NOT NULL,         -- domain.numbers.shape
  carrier text COLLATE "C" NOT NULL,
  count bigint NOT NULL,                   -- shipments, at least 1
  at bigint NOT NULL,                      -- when it was counted last
  PRIMARY KEY (account, shape, carrier)
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02);

ALTER TABLE shipment ADD COLUMN doubt text;  -- JSON of domain.doubt.Doubt, NULL for none
