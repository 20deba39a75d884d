-- Who changed what (domain/audit.py): append-only, one chain for each account, account 0 is the operator's.

CREATE TABLE audit (
  account INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  at INTEGER NOT NULL,
  actor TEXT NOT NULL,
  action TEXT NOT NULL,
  subject TEXT NOT NULL,
  fields TEXT NOT NULL,                    -- comma-separated names
  before BLOB NOT NULL,                    -- mark of the record before
  mark BLOB NOT NULL,                      -- keyed hash of all this
  PRIMARY KEY (account, seq)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER audit_unchanged BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER audit_kept BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'append-only'); END;

CREATE TABLE audit_head (
  account INTEGER PRIMARY KEY,
  seq INTEGER NOT NULL,
  mark BLOB NOT NULL,                      -- of the last record
  seal BLOB NOT NULL                       -- keyed hash of all this
) STRICT;
