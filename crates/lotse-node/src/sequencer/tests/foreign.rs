//! What the sequencer stored, verified by implementations that are not ours.

use lotse_core::id::Digest;
use lotse_core::log::proof::{
    consistency_from_tiles, inclusion_from_tiles, tiles_needed_for_consistency, tiles_needed_for_inclusion,
};
use signed_note::{StandardVerifier, VerifierList};
use tlog_tiles::{Hash, check_record, check_tree, record_hash};

use super::*;

fn hashes(digests: &[Digest]) -> Vec<Hash> {
    digests.iter().map(|digest| Hash(*digest.as_bytes())).collect()
}

async fn checkpoints(open: &OpenLog<'_>) -> Vec<log::Checkpoint> {
    let read = open.store.read("all", move |tx| Box::pin(log::checkpoints(tx, 1, None, 1000)));
    read.await.unwrap().into_iter().map(|(_, row)| row.unwrap()).collect()
}

#[tokio::test]
async fn stored_checkpoints_open_with_another_implementation() {
    let log = TestLog::new();
    log.grown(&[3, 300]).await;
    let open = log.open().await;
    let vkey = log.origin(1).verifier_key(log.key.public()).to_string();
    for row in checkpoints(&open).await {
        let note = signed_note::Note::from_bytes(row.note.as_bytes()).unwrap();
        let verifier = StandardVerifier::new(&vkey).unwrap();
        note.verify(&VerifierList::new(vec![Box::new(verifier)])).unwrap();
        let read = tlog_tiles::Checkpoint::from_bytes(note.text()).unwrap();
        assert_eq!((read.origin(), read.size()), (&*log.origin(1).to_string(), row.head.size));
        assert_eq!(read.hash().0, *row.head.root.as_bytes());
    }
}

#[tokio::test]
async fn proofs_from_stored_tiles_hold_for_other_implementations() {
    let log = TestLog::new();
    log.grown(&[3, 252, 1, 44, 700]).await;
    let open = log.open().await;
    let rows = checkpoints(&open).await;
    let newest = rows.last().unwrap().head;
    let entries = open.store.read("all", move |tx| Box::pin(log::read(tx, 1, 0, 4096))).await.unwrap();
    let mut theirs = ct_merkle::mem_backed_tree::MemoryBackedTree::<ct::Sha256, Vec<u8>>::new();
    entries.iter().for_each(|leaf| theirs.push(leaf.entry.bytes.clone()));
    assert_eq!(theirs.root().as_bytes().as_slice(), newest.root.as_bytes());
    for index in [0, 3, 255, 256, 299, 512, newest.size - 1] {
        let wanted = tiles_needed_for_inclusion(index, newest.size).unwrap();
        let tiles = open.store.read("tiles", move |tx| Box::pin(async move { log::read_tiles(tx, 1, &wanted).await }));
        let tiles = tiles.await.unwrap();
        let path = inclusion_from_tiles(index, newest.size, |tile| tiles.get(tile)).unwrap();
        let leaf = record_hash(&entries[index as usize].entry.bytes);
        check_record(&hashes(&path), newest.size, Hash(*newest.root.as_bytes()), index, leaf).unwrap();
        let path: Vec<u8> = path.iter().flat_map(|hash| *hash.as_bytes()).collect();
        assert_eq!(path, theirs.prove_inclusion(index as usize).as_bytes());
    }
    for old in rows.iter().map(|row| row.head) {
        let wanted = tiles_needed_for_consistency(old.size, newest.size).unwrap();
        let tiles = open.store.read("tiles", move |tx| Box::pin(async move { log::read_tiles(tx, 1, &wanted).await }));
        let tiles = tiles.await.unwrap();
        let proof = consistency_from_tiles(old.size, newest.size, |tile| tiles.get(tile)).unwrap();
        let [new_root, old_root] = [newest.root, old.root].map(|root| Hash(*root.as_bytes()));
        check_tree(&hashes(&proof), newest.size, new_root, old.size, old_root).unwrap();
    }
}

#[tokio::test]
async fn stored_tiles_have_the_paths_and_bytes_of_the_specification() {
    let log = TestLog::new();
    log.grown(&[699]).await;
    let open = log.open().await;
    let entries = open.store.read("all", move |tx| Box::pin(log::read(tx, 1, 0, 4096))).await.unwrap();
    let leaves: Vec<Hash> = entries.iter().map(|leaf| record_hash(&leaf.entry.bytes)).collect();
    let stored = open.store.read("tiles", move |tx| Box::pin(log::stored_tiles(tx, 1, None, 100))).await.unwrap();
    for tile in stored.iter().filter(|tile| tile.level == 0) {
        let first = tile.index as usize * 256;
        let expected: Vec<u8> = leaves[first..leaves.len().min(first + 256)].iter().flat_map(|hash| hash.0).collect();
        assert_eq!(tile.hashes, expected);
    }
    assert_eq!(stored.len(), 3 + 1);
}

/// SHA-256 as ct-merkle wants it.
mod ct {
    use aws_lc_rs::digest::{Context, SHA256};
    use ct_merkle::array::sizes::U32;
    use ct_merkle::digest::{FixedOutput, HashMarker, Output, OutputSizeUser, Update};

    #[derive(Clone)]
    pub(super) struct Sha256(Context);

    impl Default for Sha256 {
        fn default() -> Sha256 {
            Sha256(Context::new(&SHA256))
        }
    }

    impl HashMarker for Sha256 {}

    impl OutputSizeUser for Sha256 {
        type OutputSize = U32;
    }

    impl Update for Sha256 {
        fn update(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }
    }

    impl FixedOutput for Sha256 {
        fn finalize_into(self, out: &mut Output<Sha256>) {
            out.copy_from_slice(self.0.finish().as_ref());
        }
    }
}
