//! One envelope of a batch: its bytes, what they say, and how they are stored.

use bytes::Bytes;
use lotse_core::delivery::Outcome;
use lotse_core::id::{Digest, Id};
use lotse_store::StoreError;
use lotse_store::vault::Sealed;

use crate::node::Node;
use crate::wire::envelope::{self, Body, Head};

/// One envelope: its bytes, and what they say or why they cannot be taken.
pub(super) struct Envelope {
    pub(super) bytes: Bytes,
    pub(super) digest: Digest,
    pub(super) id: Id,
    pub(super) parsed: Result<(Head, Body), Outcome>,
    pub(super) sealed: Option<Sealed>,
}

/// Reads an envelope; one that cannot be read is remembered by its digest.
pub(super) fn read(bytes: Bytes, digest: Digest) -> Envelope {
    let parsed = envelope::parse(&bytes);
    let id = match &parsed {
        Ok((head, _)) => head.envelope_id,
        Err(_) => envelope::peek_id(&bytes).unwrap_or_else(|| by_digest(&digest)),
    };
    Envelope { bytes, digest, id, parsed, sealed: None }
}

fn by_digest(digest: &Digest) -> Id {
    let mut id = [0; 16];
    id.copy_from_slice(&digest.as_bytes()[..16]);
    Id::from_bytes(id)
}

/// Encrypts the exact bytes of every envelope that could be read.
pub(super) fn encrypt(node: &Node, envelopes: &mut [Envelope]) -> Result<(), StoreError> {
    let places: Vec<usize> = (0..envelopes.len()).filter(|&place| envelopes[place].parsed.is_ok()).collect();
    let plain: Vec<_> =
        places.iter().map(|&place| (super::place(&envelopes[place].id), &envelopes[place].bytes[..])).collect();
    let sealed = node.vault.seal_many(&*node.random, &plain)?;
    for (place, (sealed, _)) in places.into_iter().zip(sealed) {
        envelopes[place].sealed = Some(sealed);
    }
    Ok(())
}
