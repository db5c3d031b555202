-- Releases of a subject, in parts of 4,096 releases each: an index over all of them would be written on a page of its own for
-- nearly every release, as subject ids are random; a part is a few pages that fill and are left. Reading visits each part.
DROP INDEX register_subject;
CREATE INDEX register_part_subject ON register ((seq / 4096), subject_id);
