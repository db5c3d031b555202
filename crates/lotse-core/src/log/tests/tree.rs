use proptest::prelude::*;

use super::{Tiles, ct, leaves};
use crate::id::Digest;
use crate::log::tile::Tile;
use crate::log::tree::{Frontier, FrontierError, node, root};

/// Section 2.1 of RFC 6962, word for word.
fn root_by_definition(leaves: &[Digest]) -> Digest {
    match leaves {
        [] => Digest::of(b""),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
            Digest::concat(&[&[1], root_by_definition(left).as_bytes(), root_by_definition(right).as_bytes()])
        }
    }
}

#[test]
fn roots_are_those_of_the_definition_and_of_ct_merkle() {
    for count in 0..=300 {
        let leaves = leaves(count);
        assert_eq!(root(&leaves), root_by_definition(&leaves), "{count}");
        if count > 0 {
            assert_eq!(root(&leaves).as_bytes()[..], ct::tree(count).root().as_bytes()[..], "{count}");
        }
    }
}

#[test]
fn a_root_depends_on_every_leaf_on_order_and_on_count() {
    let leaves = leaves(7);
    for at in 0..7 {
        let mut other = leaves.clone();
        other[at] = super::flipped(&other[at], at);
        assert_ne!(root(&other), root(&leaves));
        other.clone_from(&leaves);
        other.swap(at, (at + 1) % 7);
        assert_ne!(root(&other), root(&leaves));
        assert_ne!(root(&leaves[..at]), root(&leaves));
    }
    assert_ne!(node(&leaves[0], &leaves[1]), node(&leaves[1], &leaves[0]));
}

#[test]
fn the_known_roots_of_certificate_transparency_come_out() {
    // Test vectors of the certificate-transparency reference implementation (merkle_tree_test).
    let entries = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
    let leaves: Vec<Digest> = entries.iter().map(|entry| Digest::of_leaf(&hex::decode(entry).unwrap())).collect();
    assert_eq!(root(&[]).to_string(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_eq!(root(&leaves[..3]).to_string(), "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77");
    assert_eq!(root(&leaves[..7]).to_string(), "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c");
    assert_eq!(root(&leaves).to_string(), "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328");
}

#[test]
fn every_tile_of_a_grown_tree_is_what_the_specification_says() {
    let count = 66_500; // beyond one full tile of level 1
    let (frontier, tiles) = Tiles::grow(&[1, 254, 1, 1, 255, 256, 300, 65_000, 432]);
    assert_eq!(frontier.size(), count);
    let leaves = leaves(count as usize);
    assert_eq!(frontier.root(), root(&leaves));
    for tile in Tile::all(count) {
        let stored = tiles.read(tile).unwrap();
        assert_eq!(stored.len(), tile.width(), "{tile}");
        let span = 256usize.pow(tile.level().into());
        for (at, hash) in stored.iter().enumerate() {
            let first = (tile.index() as usize * 256 + at) * span;
            assert_eq!(*hash, root(&leaves[first..first + span]), "{tile} hash {at}");
        }
    }
    assert_eq!(tiles.0.len(), Tile::all(count).count());
}

#[test]
fn exactly_the_tiles_that_tlog_tiles_names_are_written() {
    for (old, new) in [(0, 1), (0, 256), (1, 255), (255, 256), (255, 257), (256, 600), (300, 300), (65_535, 65_537)] {
        let (frontier, _) = Tiles::grow(&[old]);
        let (_, updates) = frontier.append(&leaves(new)[old..]);
        let mut ours: Vec<_> =
            updates.iter().map(|u| (u.tile.level(), u.tile.index(), u.tile.width() as u32)).collect();
        ours.sort_unstable();
        let theirs = tlog_tiles::Tile::new_tiles(8, old as u64, new as u64);
        let mut theirs: Vec<_> = theirs.iter().map(|tile| (tile.level(), tile.level_index(), tile.width())).collect();
        theirs.sort_unstable();
        assert_eq!(ours, theirs, "{old} to {new}");
    }
}

#[test]
fn a_missing_or_short_tile_does_not_continue_a_tree() {
    let (frontier, mut tiles) = Tiles::grow(&[600]);
    assert_eq!(Frontier::load(600, |tile| tiles.read(tile)), Ok(frontier));
    let edge = Tile::right_edge(600)[0];
    tiles.0.get_mut(&(0, 2)).unwrap().pop();
    assert_eq!(Frontier::load(600, |tile| tiles.read(tile)), Err(FrontierError::Tile(edge)));
    tiles.0.remove(&(0, 2));
    assert_eq!(Frontier::load(600, |tile| tiles.read(tile)), Err(FrontierError::Tile(edge)));
}

#[test]
fn another_stored_hash_continues_to_another_root() {
    let (frontier, mut tiles) = Tiles::grow(&[600]);
    let hash = &mut tiles.0.get_mut(&(0, 2)).unwrap()[3];
    *hash = super::flipped(hash, 9);
    let loaded = Frontier::load(600, |tile| tiles.read(tile)).unwrap();
    assert_ne!(loaded.root(), frontier.root());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn batches_of_any_size_lead_to_the_same_tree(batches in prop::collection::vec(0usize..600, 0..8)) {
        let (frontier, tiles) = Tiles::grow(&batches);
        let count: usize = batches.iter().sum();
        let (at_once, tiles_at_once) = Tiles::grow(&[count]);
        prop_assert_eq!(frontier.root(), root(&leaves(count)));
        prop_assert_eq!(&frontier, &at_once);
        prop_assert_eq!(&tiles.0, &tiles_at_once.0);
        prop_assert_eq!(Frontier::load(count as u64, |tile| tiles.read(tile)), Ok(frontier));
    }

    #[test]
    fn an_older_tree_is_still_in_the_tiles(old in 0usize..1500, added in 0usize..1500) {
        let (older, _) = Tiles::grow(&[old]);
        let (_, tiles) = Tiles::grow(&[old, added]);
        prop_assert_eq!(older.root(), root(&leaves(old)));
        let loaded = Frontier::load(old as u64, |tile| tiles.read(tile));
        prop_assert_eq!(loaded, Ok(older));
    }
}
