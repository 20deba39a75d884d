-- What is old is found in the order in which it became so, a few rows at a time; what that leaves behind is
-- vacuumed soon, and rows that are written again and again find room on their page (HOT).

CREATE INDEX quota_entry_old ON quota_entry (at) WHERE reference <> period AND kind <> 'translate';

ALTER TABLE refresh_log SET (autovacuum_vacuum_scale_factor = 0.02);
ALTER TABLE change SET (autovacuum_vacuum_scale_factor = 0.02);
ALTER TABLE push_attempt SET (autovacuum_vacuum_scale_factor = 0.02);
ALTER TABLE raw_reply SET (autovacuum_vacuum_scale_factor = 0.02);
ALTER TABLE quota_entry SET (autovacuum_vacuum_scale_factor = 0.02);
ALTER TABLE kept_answer SET (autovacuum_vacuum_scale_factor = 0.02);
ALTER TABLE inbox SET (autovacuum_vacuum_scale_factor = 0.02);
ALTER TABLE source_report SET (fillfactor = 80);
ALTER TABLE document SET (fillfactor = 80);
DELETE FROM meta WHERE key = 'raw_swept';
