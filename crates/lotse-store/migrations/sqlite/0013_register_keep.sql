-- Rows of the register are deleted when their time is over; rows that are written one after the other are side by side in this index.
CREATE INDEX register_keep ON register (keep_until);
