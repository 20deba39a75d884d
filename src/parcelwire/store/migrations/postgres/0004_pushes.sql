-- Changes are told apart from endpoints: each is stored once, pushes and the pull feed refer to it.
-- Several endpoints for an account, each with its own filter, schedule and health.

CREATE TABLE feed (                        -- one row an account, not the account's own: who registers need not
  account bigint PRIMARY KEY,              -- wait for who refreshes
  newest bigint NOT NULL DEFAULT 0,        -- the cursor that was given last: held until the commit, so that
  forgotten bigint NOT NULL DEFAULT 0      -- cursors grow in the order of commits
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02);

CREATE TABLE change (
  account bigint NOT NULL,
  id bigint NOT NULL,                      -- the cursor of the pull feed
  shipment bigint NOT NULL,
  version bigint NOT NULL,
  at bigint NOT NULL,
  event text NOT NULL,
  body bytea NOT NULL,
  PRIMARY KEY (account, id),
  UNIQUE (shipment, version, account)
);
CREATE INDEX change_at ON change (at);

ALTER TABLE endpoint DROP CONSTRAINT endpoint_account_key;
ALTER TABLE endpoint
  ADD COLUMN events text NOT NULL DEFAULT '',    -- comma-separated; '' = all
  ADD COLUMN statuses text NOT NULL DEFAULT '',  -- comma-separated, of updates; '' = all
  ADD COLUMN compat boolean NOT NULL DEFAULT false,
  ADD COLUMN timeout_s double precision,         -- NULL: the service's
  ADD COLUMN by_setting boolean NOT NULL DEFAULT false,
  ADD COLUMN secret_before bytea,                -- encrypted; signs too until both_until
  ADD COLUMN both_until bigint,
  ADD COLUMN state text NOT NULL DEFAULT 'healthy',
  ADD COLUMN since bigint,
  ADD COLUMN why text,
  ADD COLUMN fails bigint NOT NULL DEFAULT 0,
  ADD COLUMN first_failed text,
  ADD COLUMN first_failed_at bigint,
  ADD COLUMN several boolean NOT NULL DEFAULT false,
  ADD COLUMN probes bigint NOT NULL DEFAULT 0,
  ADD COLUMN probe_at bigint,
  ADD COLUMN width bigint NOT NULL DEFAULT 1,
  ADD COLUMN taken bigint NOT NULL DEFAULT 0;
ALTER TABLE endpoint SET (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02);
UPDATE endpoint SET by_setting = true;
CREATE UNIQUE INDEX endpoint_by_setting ON endpoint (account) WHERE by_setting;
CREATE INDEX endpoint_id ON endpoint (id);

INSERT INTO change (account, id, shipment, version, at, event, body)
  SELECT account, row_number() OVER (PARTITION BY account ORDER BY created_at, shipment, version), shipment,
    version, created_at, event, body
  FROM (
    SELECT DISTINCT ON (shipment, version, account) * FROM push ORDER BY shipment, version, account, endpoint
  ) AS one;
INSERT INTO feed (account, newest) SELECT account, max(id) FROM change GROUP BY account;

ALTER TABLE push RENAME TO push_before;
ALTER TABLE push_before RENAME CONSTRAINT push_pkey TO push_before_pkey;
DROP INDEX push_due, push_done;
CREATE TABLE push (
  shipment bigint NOT NULL,
  endpoint bigint NOT NULL,
  version bigint NOT NULL,
  account bigint NOT NULL,
  id text COLLATE "C" NOT NULL,
  change bigint NOT NULL,                  -- of the account
  event text NOT NULL,
  state text NOT NULL,
  send_at bigint,                          -- NULL: done, or an older push of the shipment is not done yet
  lease text,
  attempts bigint NOT NULL DEFAULT 0,
  tries bigint NOT NULL DEFAULT 0,         -- attempts that its schedule counts
  created_at bigint NOT NULL,
  done_at bigint,
  PRIMARY KEY (shipment, endpoint, version, account),
  UNIQUE (account, id)
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02);
INSERT INTO push
  SELECT p.shipment, p.endpoint, p.version, p.account, p.id, c.id, p.event, p.state, p.send_at, p.lease,
    p.attempts, p.attempts, p.created_at, CASE WHEN p.state <> 'pending' THEN p.created_at END
  FROM push_before AS p
  JOIN change AS c ON c.shipment = p.shipment AND c.version = p.version AND c.account = p.account;
CREATE INDEX push_due ON push (endpoint, send_at, change) WHERE state = 'pending' AND send_at IS NOT NULL;
CREATE INDEX push_leased ON push (endpoint, send_at) WHERE lease IS NOT NULL;
CREATE INDEX push_open ON push (endpoint, state) WHERE state IN ('pending', 'dead');
CREATE INDEX push_log ON push (account, change);
CREATE INDEX push_done ON push (done_at) WHERE done_at IS NOT NULL;

ALTER TABLE push_attempt RENAME TO attempt_before;
ALTER TABLE attempt_before RENAME CONSTRAINT push_attempt_pkey TO attempt_before_pkey;
CREATE TABLE push_attempt (
  shipment bigint NOT NULL,
  endpoint bigint NOT NULL,
  version bigint NOT NULL,
  n bigint NOT NULL,
  account bigint NOT NULL,
  at bigint NOT NULL,
  http_status bigint,
  ms bigint NOT NULL,
  detail text NOT NULL,
  body_start bytea NOT NULL,               -- at most the first 2 KiB of what the endpoint said
  PRIMARY KEY (shipment, endpoint, version, n, account)
);
INSERT INTO push_attempt
  SELECT p.shipment, p.endpoint, p.version, a.n, p.account, a.at, a.http_status, a.ms, a.detail, ''
  FROM attempt_before AS a JOIN push AS p ON p.shipment = a.shipment AND p.id = a.push;
DROP TABLE attempt_before, push_before;
