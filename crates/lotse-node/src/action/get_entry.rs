//! Returns one log entry with the proof that it is under the newest signed head.

use lotse_core::id::Digest;
use lotse_core::log::proof::{inclusion_from_tiles, tiles_needed_for_inclusion, verify_inclusion};
use lotse_core::reason::Reason;
use lotse_store::log::{self, Checkpoint, Leaf, Tiles};
use lotse_store::{Store, StoreError, Tx};

use crate::failure::{ErrorKind, Failure};

/// That an entry is under a signed head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// Inclusion path (RFC 6962), leaf to root.
    pub path: Vec<Digest>,
    /// The head, a signed note (C2SP tlog-checkpoint).
    pub checkpoint: String,
}

/// An entry and its proof.
#[derive(Clone, Debug)]
pub struct ProvenEntry {
    /// The entry with its place.
    pub leaf: Leaf,
    /// Its proof; nothing while it is not sequenced.
    pub proof: Option<Proof>,
}

/// Returns an entry and its proof, which has been verified.
///
/// # Errors
/// `NOT_FOUND`, and `LOG_HOLD` if what is stored does not lead to the signed head.
pub async fn get_entry(store: &Store, generation: u32, index: u64) -> Result<ProvenEntry, Failure> {
    let read = store.read("get_entry", move |tx| Box::pin(read(tx, generation, index)));
    let Some((leaf, signed)) = read.await? else { return Err(Failure::not_found()) };
    let proof = signed.map(|(checkpoint, tiles)| proven(&leaf, checkpoint, &tiles)).transpose()?;
    Ok(ProvenEntry { leaf, proof })
}

/// An entry with the head that covers it and the tiles that lead there.
type Read = (Leaf, Option<(Checkpoint, Tiles)>);

async fn read(tx: &mut Tx, generation: u32, index: u64) -> Result<Option<Read>, StoreError> {
    let Some(leaf) = log::find(tx, generation, index).await? else { return Ok(None) };
    let checkpoint = log::newest_checkpoint(tx, generation).await?.filter(|newest| index < newest.head.size);
    let Some(checkpoint) = checkpoint else { return Ok(Some((leaf, None))) };
    let wanted = tiles_needed_for_inclusion(index, checkpoint.head.size).unwrap_or_default();
    let tiles = log::read_tiles(tx, generation, &wanted).await?;
    Ok(Some((leaf, Some((checkpoint, tiles)))))
}

fn proven(leaf: &Leaf, checkpoint: Checkpoint, tiles: &Tiles) -> Result<Proof, Failure> {
    let head = checkpoint.head;
    let made = inclusion_from_tiles(leaf.index, head.size, |tile| tiles.get(tile));
    let verified = made.and_then(|path| {
        verify_inclusion(leaf.index, head.size, &leaf.entry.leaf_hash(), &path, &head.root).map(|()| path)
    });
    match verified {
        Ok(path) => Ok(Proof { path, checkpoint: checkpoint.note }),
        Err(error) => {
            tracing::error!(%error, index = leaf.index, "an entry does not lead to the signed head");
            let text = format!("entry {} does not lead to the signed head; run `lotse log verify`", leaf.index);
            Err(Failure::new(ErrorKind::Fault, Reason::LogHold, text))
        }
    }
}

#[cfg(test)]
mod tests {
    use lotse_store::testing::tamper;

    use super::*;
    use crate::sequencer::tests::TestLog;

    #[tokio::test]
    async fn an_entry_comes_with_its_verified_proof_once_it_is_sequenced() {
        let log = TestLog::new();
        log.grown(&[300]).await;
        let open = log.open().await;
        open.append(1).await;
        let proven = get_entry(&open.store, 1, 7).await.unwrap();
        let proof = proven.proof.unwrap();
        assert_eq!(proof.path.len(), 9);
        assert!(proof.checkpoint.starts_with("jc-hanau.hessen.example/exchange-log/1\n301\n"));
        assert_eq!(get_entry(&open.store, 1, 301).await.unwrap().proof, None);
        assert_eq!(get_entry(&open.store, 1, 302).await.unwrap_err().reason(), Reason::NotFound);
        assert_eq!(get_entry(&open.store, 2, 0).await.unwrap_err().reason(), Reason::NotFound);
    }

    #[tokio::test]
    async fn a_changed_entry_is_not_proven() {
        let log = TestLog::new();
        log.grown(&[300]).await;
        tamper::flip_entry_bit(log.database.url(), 7, 300);
        let open = log.open().await;
        assert_eq!(get_entry(&open.store, 1, 7).await.unwrap_err().reason(), Reason::LogHold);
        assert!(get_entry(&open.store, 1, 8).await.unwrap().proof.is_some(), "what is good is still proven");
    }
}
