-- See store/sqlite/documents.py. The sources of a document were never read; what stands there gives way to the room when
-- the document is written again.

ALTER TABLE document RENAME COLUMN sources TO room;
