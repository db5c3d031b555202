//! Idempotency keys for lines that bring none.

use anyhow::Context as _;
use aws_lc_rs::hmac;
use lotse_core::keyed;
use lotse_proto::agency::v1::ReferralHandover;
use lotse_store::vault::Vault;
use prost::Message;

use crate::config::Config;
use crate::folder::Folder;
use crate::plain_file::{self, DOCUMENT_BYTES};

/// Derives keys from what a line says: however it is written, and in whichever file, the same content has the same key, so that
/// a file can be sent again. A keyed digest, because keys are stored and must not confirm what somebody guesses about a person.
pub(super) struct KeyMaker(hmac::Key);

impl KeyMaker {
    /// Takes the node's id key, which never changes.
    pub(super) fn load(folder: &Folder) -> anyhow::Result<KeyMaker> {
        let path = Config::load(folder)?.files.vault_keys(folder);
        let give = || format!("cannot read {}: give every line an idempotency key", path.display());
        let text = zeroize::Zeroizing::new(plain_file::read_text(&path, DOCUMENT_BYTES).with_context(give)?);
        let vault = Vault::load(&text).with_context(give)?;
        Ok(KeyMaker(vault.id_key().clone()))
    }

    /// Derives the key of a handover that has none.
    pub(super) fn key(&self, handover: &ReferralHandover) -> String {
        let derived = keyed::derive(&self.0, keyed::Kind::Line, &[&handover.encode_to_vec()]);
        format!("content-{}", hex::encode(&derived[..24]))
    }
}
