-- Who changed what (domain/audit.py): append-only, one chain for each account, account 0 is the operator's.

CREATE TABLE audit (
  account bigint NOT NULL,
  seq bigint NOT NULL,
  at bigint NOT NULL,
  actor text NOT NULL,
  action text NOT NULL,
  subject text NOT NULL,
  fields text NOT NULL,                    -- comma-separated names
  before bytea NOT NULL,                   -- mark of the record before
  mark bytea NOT NULL,                     -- keyed hash of all this
  PRIMARY KEY (account, seq)
);
CREATE FUNCTION audit_append_only() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN RAISE EXCEPTION 'append-only'; END $$;
CREATE TRIGGER audit_unchanged BEFORE UPDATE ON audit FOR EACH ROW EXECUTE FUNCTION audit_append_only();
CREATE TRIGGER audit_kept BEFORE DELETE ON audit FOR EACH ROW EXECUTE FUNCTION audit_append_only();

CREATE TABLE audit_head (                  -- held while a record is added: who adds another one waits
  account bigint PRIMARY KEY,
  seq bigint NOT NULL,
  mark bytea NOT NULL,                     -- of the last record
  seal bytea NOT NULL                      -- keyed hash of all this
) WITH (fillfactor = 50);
