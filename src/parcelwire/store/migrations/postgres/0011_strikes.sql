-- What is noted against work that harms the process (domain/poison.py); nearly always empty.

CREATE TABLE strike (
  shipment bigint NOT NULL,
  endpoint bigint NOT NULL,                -- 0: the refresh of the shipment, else a push
  version bigint NOT NULL,
  weight bigint NOT NULL,                  -- parked from domain.poison.PARKED_AT on
  at bigint NOT NULL,                      -- of the last one
  why text NOT NULL,
  PRIMARY KEY (shipment, endpoint, version)
);
