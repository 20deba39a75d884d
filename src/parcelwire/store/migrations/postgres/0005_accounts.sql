-- Several accounts, two live login keys each, and calls that are safe to repeat.

ALTER TABLE account ADD COLUMN networks text NOT NULL DEFAULT '';  -- JSON list; empty: from everywhere
ALTER TABLE api_key ADD COLUMN revoked_at bigint;
CREATE UNIQUE INDEX api_key_live ON api_key (account, prefix) WHERE revoked_at IS NULL;

CREATE TABLE kept_answer (                 -- of calls with an Idempotency-Key
  account bigint NOT NULL REFERENCES account (id),
  endpoint text COLLATE "C" NOT NULL,
  key text COLLATE "C" NOT NULL,
  body_hash bytea NOT NULL,
  at bigint NOT NULL,
  answer bytea,                            -- NULL: the call is under way
  PRIMARY KEY (account, endpoint, key)
);
CREATE INDEX kept_answer_at ON kept_answer (at);
