-- Copies whose content goes by age: what not every system has confirmed.
CREATE INDEX custody_age ON custody (taken_at) WHERE content IS NOT NULL;
