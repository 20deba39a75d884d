-- What the owner buys at an upstream, and what it pushes to us. Times are microseconds since 1970-01-01 UTC.

CREATE TABLE upstream_number (             -- shared by all accounts: one registration there for each row
  source TEXT NOT NULL,
  number TEXT NOT NULL,
  carrier TEXT NOT NULL,
  buyer INTEGER,                           -- the shipment that it was registered for
  reserved_at INTEGER,                     -- a registration was begun
  registered_at INTEGER,                   -- the upstream has it
  bought_at INTEGER,                       -- when it was registered last, also when it is gone there
  given_up TEXT,                           -- why the carrier's own source is no longer asked
  stopped_at INTEGER,                      -- the upstream told us that it stopped tracking
  PRIMARY KEY (source, number, carrier)
) STRICT, WITHOUT ROWID;
CREATE INDEX upstream_number_begun ON upstream_number (source)
  WHERE reserved_at IS NOT NULL AND registered_at IS NULL;

CREATE TABLE upstream_entry (              -- append-only ledger: units spent, and units and questions saved
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  source TEXT NOT NULL,
  period TEXT NOT NULL,                    -- YYYY-MM
  at INTEGER NOT NULL,
  kind TEXT NOT NULL,                      -- register, realtime (spent); shared, fresh (saved)
  amount INTEGER NOT NULL,
  reference TEXT NOT NULL,
  UNIQUE (source, kind, reference)
) STRICT;
CREATE INDEX upstream_entry_period ON upstream_entry (source, period, kind, amount);

CREATE TABLE inbox (                       -- verified pushes, kept before they are acknowledged
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  source TEXT NOT NULL,
  digest BLOB NOT NULL,                    -- the only guard against a replay: pushes carry no time
  at INTEGER NOT NULL,
  state TEXT NOT NULL,                     -- waiting, done, unknown, parked
  detail TEXT NOT NULL DEFAULT '',
  body BLOB NOT NULL,                      -- zlib
  UNIQUE (source, digest)
) STRICT;
CREATE INDEX inbox_waiting ON inbox (id) WHERE state = 'waiting';
CREATE INDEX inbox_at ON inbox (at);

CREATE INDEX shipment_number ON shipment (number);
