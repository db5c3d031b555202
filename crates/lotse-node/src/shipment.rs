//! A batch that was claimed and may be written to its peer while its lease runs.

use std::time::Duration;

use bytes::Bytes;
use lotse_core::id::{AgencyId, Digest, Id};
use lotse_proto::exchange::v1 as proto;
use lotse_store::batch::{BatchItem, NewBatch};
use tokio::time::Instant;

/// How long a claim lasts: bytes may be written only so long, measured by the monotonic clock from before the claim.
pub const LEASE: Duration = Duration::from_secs(5);

/// A claimed batch.
#[derive(Clone, Debug)]
pub struct Shipment {
    /// Recipient.
    pub peer: AgencyId,
    /// Batch.
    pub batch_id: Id,
    /// Root over the digests.
    pub root: Digest,
    /// Items in batch order.
    pub items: Vec<BatchItem>,
    /// The seal.
    pub seal: proto::Seal,
    /// Exact bytes of the envelopes.
    pub envelopes: Vec<Bytes>,
    /// When the lease ends.
    pub lease_until: Instant,
}

impl Shipment {
    /// Makes a shipment of a batch as it is written.
    pub fn new(batch: NewBatch, seal: proto::Seal, envelopes: Vec<Bytes>, lease_until: Instant) -> Shipment {
        let NewBatch { peer, batch_id, root, items, .. } = batch;
        Shipment { peer, batch_id, root, items, seal, envelopes, lease_until }
    }

    /// Returns the message that is sent.
    pub fn message(&self) -> proto::Batch {
        proto::Batch { seal: Some(self.seal.clone()), envelopes: self.envelopes.clone() }
    }
}
