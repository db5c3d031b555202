//! The digest by which an idempotency key that is given again with other content is noticed.

use aws_lc_rs::hmac;
use lotse_core::id::{Digest, Id};
use lotse_core::keyed::Kind;

/// The digest of one record's content. It is stored with a key of the node and bound to the record, so that the database confirms
/// no guess of a content and does not show that two records have the same.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ContentDigest {
    stored: Digest,
    plain: Digest,
}

impl ContentDigest {
    /// Binds the plain digest of a content to its record.
    pub fn new(id_key: &hmac::Key, record_id: &Id, plain: Digest) -> ContentDigest {
        let stored = Digest::keyed(id_key, Kind::Record, &[record_id.as_bytes(), plain.as_bytes()]);
        ContentDigest { stored, plain }
    }

    /// What is stored of it.
    pub fn to_store(self) -> Digest {
        self.stored
    }

    /// Tells whether the same content was stored. Rows from before these digests had keys have the plain one.
    pub fn is_stored_as(&self, stored: Digest) -> bool {
        stored == self.stored || stored == self.plain
    }
}
