-- Which peer offered a version: what waits here for a seal has a limit for each. None: this agency, or it came before this migration.
ALTER TABLE agreement ADD COLUMN offered_by TEXT;
