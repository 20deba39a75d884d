-- What a source said is 2 KB: in a WITHOUT ROWID table each row had an overflow page of its own, two thirds of it
-- empty, and a refresh read and wrote two pages for it. An ordinary table has two rows a page.

CREATE TABLE report (
  shipment INTEGER NOT NULL REFERENCES shipment (id) ON DELETE CASCADE,
  source TEXT NOT NULL,
  history BLOB NOT NULL,                   -- msgpack of domain.merge.History
  raw BLOB,                                -- hash in raw_reply
  PRIMARY KEY (shipment, source)
) STRICT;
INSERT INTO report SELECT shipment, source, history, raw FROM source_report ORDER BY shipment, source;
DROP TABLE source_report;
ALTER TABLE report RENAME TO source_report;
CREATE INDEX source_report_raw ON source_report (raw) WHERE raw IS NOT NULL;
