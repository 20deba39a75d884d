-- Several accounts, two live login keys each, and calls that are safe to repeat.

ALTER TABLE account ADD COLUMN networks TEXT NOT NULL DEFAULT '';  -- JSON list; empty: from everywhere
ALTER TABLE api_key ADD COLUMN revoked_at INTEGER;
CREATE UNIQUE INDEX api_key_live ON api_key (account, prefix) WHERE revoked_at IS NULL;

CREATE TABLE kept_answer (                 -- of calls with an Idempotency-Key
  account INTEGER NOT NULL REFERENCES account (id),
  endpoint TEXT NOT NULL,
  key TEXT NOT NULL,
  body_hash BLOB NOT NULL,
  at INTEGER NOT NULL,
  answer BLOB,                             -- NULL: the call is under way
  PRIMARY KEY (account, endpoint, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX kept_answer_at ON kept_answer (at);
