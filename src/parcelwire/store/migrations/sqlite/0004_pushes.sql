-- Changes are told apart from endpoints: each is stored once, pushes and the pull feed refer to it.
-- Several endpoints for an account, each with its own filter, schedule and health.

CREATE TABLE change (
  id INTEGER PRIMARY KEY AUTOINCREMENT,    -- the cursor of the pull feed: one writer, so in order of commits
  account INTEGER NOT NULL REFERENCES account (id),
  shipment INTEGER NOT NULL,
  version INTEGER NOT NULL,
  at INTEGER NOT NULL,
  event TEXT NOT NULL,
  body BLOB NOT NULL,
  UNIQUE (shipment, version)
) STRICT;
CREATE INDEX change_feed ON change (account, id);
CREATE INDEX change_at ON change (at);

-- The newest change of an account that was forgotten: a reader that stands before it has missed something.
ALTER TABLE account ADD COLUMN forgotten INTEGER NOT NULL DEFAULT 0;

ALTER TABLE endpoint RENAME TO endpoint_before;
CREATE TABLE endpoint (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  account INTEGER NOT NULL REFERENCES account (id),
  url TEXT NOT NULL,
  secret BLOB NOT NULL,                    -- encrypted
  stopped_by_request INTEGER NOT NULL,
  events TEXT NOT NULL DEFAULT '',         -- comma-separated; '' = all
  statuses TEXT NOT NULL DEFAULT '',       -- comma-separated, of updates; '' = all
  compat INTEGER NOT NULL DEFAULT 0,
  timeout_s REAL,                          -- NULL: the service's
  by_setting INTEGER NOT NULL DEFAULT 0,
  secret_before BLOB,                      -- encrypted; signs too until both_until
  both_until INTEGER,
  state TEXT NOT NULL DEFAULT 'healthy',
  since INTEGER,
  why TEXT,
  fails INTEGER NOT NULL DEFAULT 0,
  first_failed TEXT,
  first_failed_at INTEGER,
  several INTEGER NOT NULL DEFAULT 0,
  probes INTEGER NOT NULL DEFAULT 0,
  probe_at INTEGER,
  width INTEGER NOT NULL DEFAULT 1,
  taken INTEGER NOT NULL DEFAULT 0,
  due_at INTEGER                           -- not later than its next push; NULL: nothing to send
) STRICT;
INSERT INTO endpoint (id, account, url, secret, stopped_by_request, by_setting)
  SELECT id, account, url, secret, stopped_by_request, 1 FROM endpoint_before;
DROP TABLE endpoint_before;
CREATE INDEX endpoint_account ON endpoint (account);
CREATE INDEX endpoint_due ON endpoint (due_at) WHERE due_at IS NOT NULL;

INSERT INTO change (account, shipment, version, at, event, body)
  SELECT account, shipment, version, min(created_at), event, body FROM push
  GROUP BY shipment, version ORDER BY min(created_at), min(rowid);

ALTER TABLE push RENAME TO push_before;
CREATE TABLE push (
  seq INTEGER PRIMARY KEY,                 -- attempts lie side by side in the order of pushes
  id TEXT NOT NULL UNIQUE,
  endpoint INTEGER NOT NULL REFERENCES endpoint (id) ON DELETE CASCADE,
  shipment INTEGER NOT NULL,
  version INTEGER NOT NULL,
  change INTEGER NOT NULL REFERENCES change (id),
  event TEXT NOT NULL,
  state TEXT NOT NULL,
  send_at INTEGER,                         -- NULL: done, or an older push of the shipment is not done yet
  lease TEXT,
  attempts INTEGER NOT NULL DEFAULT 0,
  tries INTEGER NOT NULL DEFAULT 0,        -- attempts that its schedule counts
  created_at INTEGER NOT NULL,
  done_at INTEGER,
  UNIQUE (endpoint, shipment, version)
) STRICT;
INSERT INTO push (id, endpoint, shipment, version, change, event, state, send_at, lease, attempts, tries,
    created_at, done_at)
  SELECT p.id, p.endpoint, p.shipment, p.version, c.id, p.event, p.state, p.send_at, p.lease, p.attempts,
    p.attempts, p.created_at, iif(p.state = 'pending', NULL, p.created_at)
  FROM push_before p JOIN change c ON c.shipment = p.shipment AND c.version = p.version;

CREATE TABLE attempt_before AS SELECT * FROM push_attempt;
DROP TABLE push_attempt;
DROP TABLE push_before;
CREATE TABLE push_attempt (
  push INTEGER NOT NULL REFERENCES push (seq) ON DELETE CASCADE,
  n INTEGER NOT NULL,
  at INTEGER NOT NULL,
  http_status INTEGER,
  ms INTEGER NOT NULL,
  detail TEXT NOT NULL,
  body_start BLOB NOT NULL,                -- at most the first 2 KiB of what the endpoint said
  PRIMARY KEY (push, n)
) STRICT, WITHOUT ROWID;
INSERT INTO push_attempt SELECT p.seq, a.n, a.at, a.http_status, a.ms, a.detail, x''
  FROM attempt_before a JOIN push p ON p.id = a.push;
DROP TABLE attempt_before;

CREATE INDEX push_due ON push (endpoint, send_at) WHERE state = 'pending';
CREATE INDEX push_leased ON push (endpoint, send_at) WHERE lease IS NOT NULL;
CREATE INDEX push_dead ON push (endpoint) WHERE state = 'dead';
CREATE INDEX push_change ON push (change);

UPDATE endpoint SET due_at = 0 WHERE id IN (SELECT endpoint FROM push WHERE state = 'pending');
