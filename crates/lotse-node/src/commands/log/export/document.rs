//! The sealed documents that log entries name: which they are, and their standard JSON form (DSSE).

use anyhow::{Context as _, bail};
use lotse_core::id::{AgencyId, Digest, Id};
use lotse_core::seal::Seal;
use lotse_proto::exchange::v1::LogEntry;

use crate::entry::{BatchSummary, Detail, EntryKind};

/// A document that an entry names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    /// A batch that this agency sent, answered by this receipt.
    Batch {
        /// Batch.
        batch_id: Id,
        /// Who answered.
        peer: AgencyId,
        /// What was answered, and how.
        summary: BatchSummary,
    },
    /// An agreement that all have sealed.
    Agreement(Digest),
    /// An agency's card: installed here, accepted from a peer or taken from it.
    Card(AgencyId, Digest),
}

impl Named {
    /// Returns what an entry of this agency's log names, if it names a document.
    pub(crate) fn of(entry: &LogEntry, own: &AgencyId) -> anyhow::Result<Option<Named>> {
        let digest = || Digest::from_slice(&entry.digest).context("its digest");
        let peer = || entry.peer.parse::<AgencyId>().context("its agency");
        Ok(Some(match EntryKind::try_from(entry.kind) {
            Ok(EntryKind::ReceiptRecorded) => {
                let Some(Detail::Batch(summary)) = &entry.detail else { bail!("it says nothing of the batch") };
                let batch_id = Id::from_slice(&summary.batch_id).context("its batch")?;
                Named::Batch { batch_id, peer: peer()?, summary: summary.clone() }
            }
            Ok(EntryKind::AgreementCompleted) => Named::Agreement(digest()?),
            Ok(EntryKind::CardInstalled) => Named::Card(own.clone(), digest()?),
            Ok(EntryKind::PeerAccepted | EntryKind::PeerCardTaken) => Named::Card(peer()?, digest()?),
            _ => return Ok(None),
        }))
    }
}

/// Writes a seal in the JSON form of DSSE: one way, so that not a byte can be changed without effect.
pub(crate) fn to_json(seal: &Seal) -> anyhow::Result<Vec<u8>> {
    Ok((serde_json::to_string_pretty(seal)? + "\n").into_bytes())
}

/// Reads a seal that [`to_json`] wrote. Nothing is verified here.
pub(crate) fn from_json(bytes: &[u8]) -> anyhow::Result<Seal> {
    let seal: Seal = serde_json::from_slice(bytes).context("no seal (DSSE, JSON)")?;
    if to_json(&seal)? == bytes { Ok(seal) } else { bail!("a seal, but not as it was exported") }
}
