-- Entries about a record by which no other row leads to them. Releases (2), records taken (6) and consents recorded (9) are left out:
-- they are most of the log, and the rows of the record say when they were written.
CREATE INDEX log_entry_record ON log_entry (record_id)
    WHERE record_id IS NOT NULL AND kind NOT IN (2, 6, 9);
