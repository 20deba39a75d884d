-- Never read.

ALTER TABLE document DROP COLUMN sources;
