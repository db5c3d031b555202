-- Releases of a subject are found by a plain index again: SQLite, for which it was cut into parts, has a directory for it.
DROP INDEX register_part_subject;
CREATE INDEX register_subject ON register (subject_id);
