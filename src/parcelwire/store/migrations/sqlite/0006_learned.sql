-- What the numbers of an account turned out to be, and the search for the carrier of a guess.

CREATE TABLE learned (
  account INTEGER NOT NULL REFERENCES account (id),
  shape TEXT NOT NULL,                     -- domain.numbers.shape
  carrier TEXT NOT NULL,
  count INTEGER NOT NULL,                  -- shipments, at least 1
  at INTEGER NOT NULL,                     -- when it was counted last
  PRIMARY KEY (account, shape, carrier)
) STRICT, WITHOUT ROWID;

ALTER TABLE shipment ADD COLUMN doubt TEXT;  -- JSON of domain.doubt.Doubt, NULL for none
