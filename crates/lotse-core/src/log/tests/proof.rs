use ct_merkle::array::Array;
use ct_merkle::{ConsistencyProof, InclusionProof, RootHash};
use proptest::prelude::*;
use tlog_tiles::{Hash, check_record, check_tree};

use super::ct::{self, Sha256};
use super::{Tiles, flipped, leaves};
use crate::id::Digest;
use crate::log::proof::*;
use crate::log::tree::root;

fn hash(digest: &Digest) -> Hash {
    Hash(*digest.as_bytes())
}

fn hashes(digests: &[Digest]) -> Vec<Hash> {
    digests.iter().map(hash).collect()
}

fn ct_root(root: &Digest, size: usize) -> RootHash<Sha256> {
    RootHash::new(Array::from(*root.as_bytes()), size as u64)
}

fn bytes(digests: &[Digest]) -> Vec<u8> {
    digests.iter().flat_map(|digest| digest.as_bytes()).copied().collect()
}

fn head(leaves: &[Digest]) -> TreeHead {
    TreeHead { size: leaves.len() as u64, root: root(leaves) }
}

#[test]
fn inclusion_proofs_are_those_of_both_oracles() {
    for size in (1..=33).chain([255, 256, 257]) {
        let (leaves, tree) = (leaves(size), ct::tree(size));
        let root = root(&leaves);
        for index in 0..size {
            let proof = prove_inclusion(&leaves, index).unwrap();
            assert_eq!(bytes(&proof), tree.prove_inclusion(index).as_bytes(), "{index} of {size}");
            assert_eq!(verify_inclusion(index as u64, size as u64, &leaves[index], &proof, &root), Ok(()));
            let theirs = check_record(&hashes(&proof), size as u64, hash(&root), index as u64, hash(&leaves[index]));
            assert!(theirs.is_ok(), "{index} of {size}");
            let theirs = InclusionProof::try_from_bytes(bytes(&proof)).unwrap();
            ct_root(&root, size).verify_inclusion(&index.to_string(), index as u64, &theirs).unwrap();
        }
    }
}

#[test]
fn consistency_proofs_are_those_of_both_oracles() {
    let (_, tiles) = Tiles::grow(&[600]);
    let leaves = leaves(600);
    for new in (1..=33usize).chain([255, 256, 257, 511, 513, 600]) {
        for old in (1..=new).filter(|old| new < 40 || old % 37 == 0 || old.is_power_of_two()) {
            let (old_head, new_head) = (head(&leaves[..old]), head(&leaves[..new]));
            let proof = consistency_from_tiles(old as u64, new as u64, |tile| tiles.read(tile)).unwrap();
            assert_eq!(verify_consistency(&old_head, &new_head, &proof), Ok(()), "{old} to {new}");
            let (old_root, new_root) = (&old_head.root, &new_head.root);
            check_tree(&hashes(&proof), new as u64, hash(new_root), old as u64, hash(old_root)).unwrap();
            let theirs = ConsistencyProof::try_from_bytes(bytes(&proof)).unwrap();
            ct_root(new_root, new).verify_consistency(&ct_root(old_root, old), &theirs).unwrap();
            if old < new {
                assert_eq!(bytes(&proof), ct::tree(new).prove_consistency(new - old).as_bytes(), "{old} to {new}");
            }
        }
    }
}

#[test]
fn a_leaf_outside_the_tree_has_no_proof() {
    let outside = |index, size| ProofError::Outside { index, size };
    assert_eq!(prove_inclusion(&leaves(3), 3), Err(outside(3, 3)));
    assert_eq!(prove_inclusion(&[], 0), Err(outside(0, 0)));
    let leaf = leaves(1)[0];
    assert_eq!(verify_inclusion(0, 0, &leaf, &[], &leaf), Err(outside(0, 0)));
    assert_eq!(verify_inclusion(u64::MAX, u64::MAX, &leaf, &[], &leaf), Err(outside(u64::MAX, u64::MAX)));
    assert_eq!(verify_inclusion(u64::MAX - 1, u64::MAX, &leaf, &[], &leaf), Err(ProofError::Length));
}

#[test]
fn every_tree_continues_the_empty_one_and_itself_only_as_it_is() {
    let (empty, three) = (head(&[]), head(&leaves(3)));
    assert_eq!(verify_consistency(&empty, &three, &[]), Ok(()));
    assert_eq!(verify_consistency(&empty, &empty, &[]), Ok(()));
    assert_eq!(verify_consistency(&three, &three, &[]), Ok(()));
    let forged = TreeHead { root: flipped(&three.root, 0), ..three };
    assert_eq!(verify_consistency(&three, &forged, &[]), Err(ProofError::Root));
    let forged = TreeHead { root: flipped(&empty.root, 0), ..empty };
    assert_eq!(verify_consistency(&forged, &three, &[]), Err(ProofError::Root));
    assert_eq!(verify_consistency(&empty, &forged, &[]), Err(ProofError::Root));
    assert_eq!(verify_consistency(&empty, &three, &[three.root]), Err(ProofError::Length));
    assert_eq!(verify_consistency(&three, &three, &[three.root]), Err(ProofError::Length));
    let shrunk = ProofError::Shrunk { old_size: 3, new_size: 0 };
    assert_eq!(verify_consistency(&three, &empty, &[]), Err(shrunk));
}

#[test]
fn a_rewritten_log_is_not_consistent() {
    let leaves = leaves(300);
    let mut rewritten = leaves.clone();
    rewritten[17] = Digest::of_leaf(b"something else");
    let mut tiles = Tiles::default();
    tiles.write(crate::log::tree::Frontier::empty().append(&rewritten).1);
    let proof = consistency_from_tiles(200, 300, |tile| tiles.read(tile)).unwrap();
    assert_eq!(verify_consistency(&head(&rewritten[..200]), &head(&rewritten), &proof), Ok(()));
    assert_eq!(verify_consistency(&head(&leaves[..200]), &head(&rewritten), &proof), Err(ProofError::Root));
}

#[test]
fn a_proof_needs_its_tiles() {
    let (_, mut tiles) = Tiles::grow(&[70_000]);
    for needed in tiles_needed_for_inclusion(500, 70_000).unwrap() {
        let kept = tiles.0.remove(&(needed.level(), needed.index())).unwrap();
        let proof = inclusion_from_tiles(500, 70_000, |tile| tiles.read(tile));
        assert_eq!(proof, Err(ProofError::Tile(needed)));
        tiles.0.insert((needed.level(), needed.index()), kept);
    }
    assert!(inclusion_from_tiles(500, 70_000, |tile| tiles.read(tile)).is_ok());
}

#[test]
fn only_few_tiles_are_needed_even_in_a_large_tree() {
    assert!(tiles_needed_for_inclusion(123_456_789, 1_000_000_000).unwrap().len() <= 8);
    assert!(tiles_needed_for_consistency(123_456_789, 1_000_000_000).unwrap().len() <= 8);
    assert!(tiles_needed_for_inclusion(5, u64::MAX).unwrap().len() <= 16);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn tiles_prove_what_the_leaves_prove(size in 1usize..1500, later in 0usize..600, pick in any::<prop::sample::Index>()) {
        let index = pick.index(size);
        let (_, tiles) = Tiles::grow(&[size, later]); // tiles may have grown since
        let needed = tiles_needed_for_inclusion(index as u64, size as u64).unwrap();
        let from_tiles = inclusion_from_tiles(index as u64, size as u64, |tile| {
            assert!(needed.contains(&tile));
            tiles.read(tile)
        });
        prop_assert_eq!(from_tiles, prove_inclusion(&leaves(size), index));
    }

    #[test]
    fn a_changed_inclusion_proof_does_not_hold(
        size in 1usize..600, pick in any::<prop::sample::Index>(), bit in 0usize..256, at in any::<prop::sample::Index>(),
    ) {
        let index = pick.index(size);
        let leaves = leaves(size);
        let (number, count, leaf, root) = (index as u64, size as u64, leaves[index], root(&leaves));
        let proof = prove_inclusion(&leaves, index).unwrap();
        prop_assert_eq!(verify_inclusion(number, count, &leaf, &proof, &root), Ok(()));
        prop_assert_eq!(verify_inclusion(number, count, &flipped(&leaf, bit), &proof, &root), Err(ProofError::Root));
        prop_assert_eq!(verify_inclusion(number, count, &leaf, &proof, &flipped(&root, bit)), Err(ProofError::Root));
        prop_assert!(verify_inclusion(number, count * 2 + 1, &leaf, &proof, &root).is_err());
        let mut longer = proof.clone();
        longer.push(leaf);
        prop_assert_eq!(verify_inclusion(number, count, &leaf, &longer, &root), Err(ProofError::Length));
        if !proof.is_empty() {
            let mut bad = proof.clone();
            let at = at.index(bad.len());
            bad[at] = flipped(&bad[at], bit);
            prop_assert_eq!(verify_inclusion(number, count, &leaf, &bad, &root), Err(ProofError::Root));
            let shorter = &proof[1..];
            prop_assert_eq!(verify_inclusion(number, count, &leaf, shorter, &root), Err(ProofError::Length));
            let neighbour = if index % 2 == 0 && index + 1 < size { number + 1 } else { number.saturating_sub(1) };
            prop_assert!(verify_inclusion(neighbour, count, &leaf, &proof, &root).is_err());
        }
    }

    #[test]
    fn a_changed_consistency_proof_does_not_hold(
        old in 1usize..400, added in 1usize..400, bit in 0usize..256, at in any::<prop::sample::Index>(),
    ) {
        let leaves = leaves(old + added);
        let (_, tiles) = Tiles::grow(&[old + added]);
        let (old_head, new_head) = (head(&leaves[..old]), head(&leaves));
        let (old_size, new_size) = (old_head.size, new_head.size);
        let needed = tiles_needed_for_consistency(old_size, new_size).unwrap();
        let proof = consistency_from_tiles(old_size, new_size, |tile| {
            assert!(needed.contains(&tile));
            tiles.read(tile)
        }).unwrap();
        prop_assert_eq!(verify_consistency(&old_head, &new_head, &proof), Ok(()));
        let mut bad = proof.clone();
        let at = at.index(bad.len());
        bad[at] = flipped(&bad[at], bit);
        prop_assert_eq!(verify_consistency(&old_head, &new_head, &bad), Err(ProofError::Root));
        prop_assert_eq!(verify_consistency(&old_head, &new_head, &proof[1..]), Err(ProofError::Length));
        let other_old = TreeHead { root: flipped(&old_head.root, bit), ..old_head };
        prop_assert_eq!(verify_consistency(&other_old, &new_head, &proof), Err(ProofError::Root));
        let other_new = TreeHead { root: flipped(&new_head.root, bit), ..new_head };
        prop_assert_eq!(verify_consistency(&old_head, &other_new, &proof), Err(ProofError::Root));
        let turned = verify_consistency(&new_head, &old_head, &proof);
        prop_assert_eq!(turned, Err(ProofError::Shrunk { old_size: new_size, new_size: old_size }));
    }
}
