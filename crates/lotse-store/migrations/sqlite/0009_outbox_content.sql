-- When content of a batch's items has to go next: by the batch in which it was released, for an index over all items would be
-- written once more for each release. None: nothing of it is left. Batches of before are looked at once.
ALTER TABLE batch ADD COLUMN content_until INTEGER DEFAULT 0;
CREATE INDEX batch_content ON batch (content_until) WHERE content_until IS NOT NULL;
-- Items that were refused or ended and still have content: what goes the usual way is never here.
CREATE INDEX outbox_ended ON outbox (state) WHERE state >= 4 AND content IS NOT NULL;
-- What is not answered, without batches of which all items went into later ones: those stay, and are never looked for here.
DROP INDEX batch_open;
CREATE INDEX batch_open ON batch (peer, next_attempt_at) WHERE state < 3;
