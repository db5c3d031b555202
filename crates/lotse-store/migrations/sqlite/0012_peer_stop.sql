-- Since when the exchange with a peer is stopped, as it has seen later numbers of this node than the node knows: it was put back from
-- a backup or a snapshot, or runs twice. `named_generation` and the three `highest_` columns, which nothing used before, are the highest
-- numbers that the peer has named then; an administrator who lifts the stop has answered for them. Highest numbers that were seen of the
-- peer are counters, `seen/`.
ALTER TABLE peer ADD COLUMN stopped_at INTEGER;
ALTER TABLE peer ADD COLUMN named_generation INTEGER NOT NULL DEFAULT 0;
