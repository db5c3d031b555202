-- Items that wait, by the end of their time: looked at every second.
CREATE INDEX outbox_expiry ON outbox (expires_at) WHERE state = 1;
