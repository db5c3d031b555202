-- Who withdrew, for the log: the effect may be committed by another task than the caller's, or after a crash. Empty for what came before
-- this migration.
ALTER TABLE withdrawal ADD COLUMN actor TEXT NOT NULL DEFAULT '';
ALTER TABLE withdrawal ADD COLUMN on_behalf_of TEXT NOT NULL DEFAULT '';
ALTER TABLE withdrawal ADD COLUMN trace_id BYTEA;
