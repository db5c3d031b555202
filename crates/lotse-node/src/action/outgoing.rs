//! What goes of a record's content, and the key of the record: with it goes everything that an envelope is made of beside its head.

use bytes::Bytes;
use lotse_core::category::Categories;
use lotse_core::id::Id;
use lotse_store::StoreError;
use lotse_store::vault::{Place, RecordKey, Sealed};

use crate::node::Node;
use crate::wire::referral;

/// The content of an item that may be released.
#[derive(Clone)]
pub struct Outgoing {
    /// Body of the envelope.
    pub bytes: Bytes,
    /// The same, encrypted, as the outbox keeps it.
    pub sealed: Sealed,
    /// The key under which it is encrypted.
    pub key: RecordKey,
}

/// Where the outbox keeps a content.
pub fn place(record_id: &Id) -> Place<'_> {
    Place { table: "outbox", id: record_id.as_bytes() }
}

impl Outgoing {
    /// Opens what the outbox keeps.
    pub fn open(node: &Node, record_id: &Id, sealed: &Sealed) -> Result<Outgoing, StoreError> {
        let key = node.vault.record_key(place(record_id), sealed)?;
        let bytes = key.open(place(record_id), sealed)?.into();
        Ok(Outgoing { bytes, sealed: sealed.clone(), key })
    }

    /// Returns it without some categories of a referral: encrypted anew, under another key.
    pub fn without(&self, node: &Node, record_id: &Id, categories: Categories) -> Result<Outgoing, StoreError> {
        if categories.is_empty() {
            return Ok(self.clone());
        }
        let rest = referral::leave_out(&self.bytes, categories);
        let rest = rest.map_err(|_| StoreError::Value("content of a referral"))?;
        let sealed = node.vault.seal(&*node.random, place(record_id), &rest)?;
        let key = node.vault.record_key(place(record_id), &sealed)?;
        Ok(Outgoing { bytes: rest.into(), sealed, key })
    }
}
