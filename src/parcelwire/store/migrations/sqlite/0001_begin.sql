-- Times are microseconds since 1970-01-01 UTC. Ids are never reused.

CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;

CREATE TABLE account (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL UNIQUE,
  plan TEXT NOT NULL,
  quota_total INTEGER NOT NULL,
  day TEXT NOT NULL DEFAULT '',            -- YYYY-MM-DD of registered_today
  registered_today INTEGER NOT NULL DEFAULT 0,
  max_daily INTEGER NOT NULL DEFAULT 0,
  enabled INTEGER NOT NULL DEFAULT 1,
  sign_key BLOB NOT NULL                   -- encrypted
) STRICT;

CREATE TABLE api_key (
  account INTEGER NOT NULL REFERENCES account (id),
  hash BLOB NOT NULL UNIQUE,               -- keyed hash of the login key
  prefix TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (account, hash)
) STRICT;

CREATE TABLE endpoint (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  account INTEGER NOT NULL UNIQUE REFERENCES account (id),
  url TEXT NOT NULL,
  secret BLOB NOT NULL,                    -- encrypted
  stopped_by_request INTEGER NOT NULL
) STRICT;

CREATE TABLE shipment (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  account INTEGER NOT NULL REFERENCES account (id),
  number TEXT NOT NULL,
  carrier TEXT NOT NULL,
  code INTEGER NOT NULL,
  origin INTEGER NOT NULL,
  phase TEXT NOT NULL,
  since INTEGER NOT NULL,
  wish TEXT NOT NULL,                      -- JSON: what the caller gave
  registered_at INTEGER,
  stopped_at INTEGER,
  stop_reason TEXT,
  version INTEGER NOT NULL DEFAULT 0,
  sub_status TEXT,
  descr TEXT,
  digest TEXT,                             -- of what is shown: a push is due when it changes
  first_at INTEGER,
  transit_at INTEGER,
  done_at INTEGER,
  newest_at INTEGER,
  asked_at INTEGER,
  answered_at INTEGER,
  changed_at INTEGER,
  trouble TEXT,
  fails INTEGER NOT NULL DEFAULT 0,
  refresh_at INTEGER,                      -- NULL: nothing to do. While leased: when the lease ends
  lane TEXT NOT NULL,
  lease TEXT,
  UNIQUE (account, number, carrier)
) STRICT;
CREATE INDEX shipment_due ON shipment (lane, refresh_at) WHERE refresh_at IS NOT NULL;
CREATE INDEX shipment_leased ON shipment (id) WHERE lease IS NOT NULL;

CREATE TABLE document (
  shipment INTEGER PRIMARY KEY REFERENCES shipment (id) ON DELETE CASCADE,
  template BLOB NOT NULL,
  estimate BLOB NOT NULL,
  sources TEXT NOT NULL                    -- JSON list
) STRICT;

CREATE TABLE source_report (
  shipment INTEGER NOT NULL REFERENCES shipment (id) ON DELETE CASCADE,
  source TEXT NOT NULL,
  history BLOB NOT NULL,                   -- msgpack of domain.merge.History
  raw BLOB,                                -- hash in raw_reply
  PRIMARY KEY (shipment, source)
) STRICT, WITHOUT ROWID;
CREATE INDEX source_report_raw ON source_report (raw) WHERE raw IS NOT NULL;

CREATE TABLE raw_reply (
  hash BLOB PRIMARY KEY,                   -- kept while a source_report or a refresh_log row refers to it
  at INTEGER NOT NULL,
  http_status INTEGER NOT NULL,
  body BLOB NOT NULL                       -- zlib
) STRICT;

CREATE TABLE refresh_log (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  shipment INTEGER NOT NULL REFERENCES shipment (id) ON DELETE CASCADE,
  at INTEGER NOT NULL,
  lane TEXT NOT NULL,
  outcome TEXT NOT NULL,
  ms INTEGER NOT NULL,
  text TEXT NOT NULL,
  raw BLOB                                 -- hash in raw_reply, for replies that could not be read
) STRICT;
CREATE INDEX refresh_log_shipment ON refresh_log (shipment, id);
CREATE INDEX refresh_log_at ON refresh_log (at);
CREATE INDEX refresh_log_raw ON refresh_log (raw) WHERE raw IS NOT NULL;

CREATE TABLE push (
  id TEXT PRIMARY KEY,
  account INTEGER NOT NULL,
  shipment INTEGER NOT NULL,
  endpoint INTEGER NOT NULL,
  version INTEGER NOT NULL,
  event TEXT NOT NULL,
  state TEXT NOT NULL,
  send_at INTEGER,                         -- NULL: an older push of the shipment is not done yet
  lease TEXT,
  attempts INTEGER NOT NULL DEFAULT 0,
  created_at INTEGER NOT NULL,
  http_status INTEGER,
  detail TEXT,
  body BLOB NOT NULL,                      -- last: the columns before it are read without it
  UNIQUE (endpoint, shipment, version)
) STRICT;
CREATE INDEX push_due ON push (send_at) WHERE state = 'pending' AND send_at IS NOT NULL;
CREATE INDEX push_finished ON push (created_at) WHERE state IN ('sent', 'superseded');

CREATE TABLE push_attempt (
  push TEXT NOT NULL REFERENCES push (id) ON DELETE CASCADE,
  n INTEGER NOT NULL,
  at INTEGER NOT NULL,
  http_status INTEGER,
  ms INTEGER NOT NULL,
  detail TEXT NOT NULL,
  PRIMARY KEY (push, n)
) STRICT, WITHOUT ROWID;

CREATE TABLE quota_entry (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  account INTEGER NOT NULL REFERENCES account (id),
  period TEXT NOT NULL,                    -- YYYY-MM
  at INTEGER NOT NULL,
  kind TEXT NOT NULL,                      -- register, realtime, refund
  amount INTEGER NOT NULL,
  reference TEXT NOT NULL,
  UNIQUE (account, kind, reference)
) STRICT;

CREATE TABLE quota_used (
  account INTEGER NOT NULL REFERENCES account (id),
  period TEXT NOT NULL,
  units INTEGER NOT NULL,                  -- always the sum of the quota_entry rows of the period
  PRIMARY KEY (account, period)
) STRICT, WITHOUT ROWID;

CREATE TABLE quota_hold (
  account INTEGER NOT NULL REFERENCES account (id),
  reference TEXT NOT NULL,
  amount INTEGER NOT NULL,
  at INTEGER NOT NULL,
  PRIMARY KEY (account, reference)
) STRICT, WITHOUT ROWID;

CREATE TABLE lane (
  name TEXT PRIMARY KEY,
  revision INTEGER NOT NULL,
  stamp INTEGER,
  day TEXT,
  used INTEGER NOT NULL,
  fails INTEGER NOT NULL,
  refusals INTEGER NOT NULL,
  throttles INTEGER NOT NULL,
  blocked_until INTEGER,
  blocked_why TEXT
) STRICT;
