-- Several processes take turns with what waits: what one has claimed is nobody else's until then.

ALTER TABLE inbox ADD COLUMN claimed_until bigint;
