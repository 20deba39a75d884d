-- What is noted against work that harms the process (domain/poison.py); nearly always empty.

CREATE TABLE strike (
  shipment INTEGER NOT NULL,
  endpoint INTEGER NOT NULL,               -- 0: the refresh of the shipment, else a push
  version INTEGER NOT NULL,
  weight INTEGER NOT NULL,                 -- parked from domain.poison.PARKED_AT on
  at INTEGER NOT NULL,                     -- of the last one
  why TEXT NOT NULL,
  PRIMARY KEY (shipment, endpoint, version)
) STRICT, WITHOUT ROWID;
