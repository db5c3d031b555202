//! Tiles and entry bundles (C2SP tlog-tiles): where hashes and entries lie, what their paths and bytes are.

use std::fmt;
use std::str::FromStr;

use crate::id::Digest;

/// Height of the subtree that a tile holds.
pub const TILE_HEIGHT: u32 = 8;
/// Hashes of a full tile and entries of a full bundle.
pub const TILE_WIDTH: usize = 1 << TILE_HEIGHT;
/// The longest entry, in bytes: its length is written in 16 bits.
pub const MAX_ENTRY_BYTES: usize = u16::MAX as usize;

/// The highest level that a tree of 64-bit size can have.
const TOP_LEVEL: u8 = 7;
/// Bytes of a hash.
const HASH_BYTES: usize = 32;

/// Why a path or byte string is no tile or bundle.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TileError {
    /// The text is no path of tlog-tiles, or not written the one way it is written.
    #[error("not a tile path: use tile/<level>/<index>[.p/<width>] or tile/entries/<index>[.p/<width>]")]
    Path,
    /// The bytes are no sequence of 1 to 256 hashes.
    #[error("a tile holds 1 to 256 hashes of 32 bytes")]
    Hashes,
    /// The bytes are no sequence of length-prefixed entries, or more than 256 of them.
    #[error("a bundle holds 1 to 256 entries, each after its length in 16 bits")]
    Bundle,
    /// An entry is longer than its length can say.
    #[error("a log entry may have 65535 bytes at most")]
    EntryTooLong,
}

/// The coordinates of a tile of hashes, partial or full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tile {
    level: u8,
    index: u64,
    width: u16,
}

impl Tile {
    /// Returns the full tile at a place.
    pub const fn full(level: u8, index: u64) -> Tile {
        Tile { level, index, width: TILE_WIDTH as u16 }
    }

    /// Returns the tile at a place as it stands in a tree of this size; nothing if it holds no hash there.
    pub fn of_tree(level: u8, index: u64, size: u64) -> Option<Tile> {
        let hashes = hashes_at(level, size).checked_sub(index.checked_mul(TILE_WIDTH as u64)?)?;
        let width = hashes.min(TILE_WIDTH as u64) as u16;
        (width > 0).then_some(Tile { level, index, width })
    }

    /// Returns how many levels a tree of this size has.
    pub fn levels(size: u64) -> usize {
        (0..=TOP_LEVEL).take_while(|&level| hashes_at(level, size) > 0).count()
    }

    /// Returns the partial tiles of a tree of this size, lowest level first.
    pub fn right_edge(size: u64) -> Vec<Tile> {
        let last = |level| Tile::of_tree(level, hashes_at(level, size) >> TILE_HEIGHT, size);
        (0..=TOP_LEVEL).filter_map(last).collect()
    }

    /// Returns every tile of a tree of this size, lowest level first.
    pub fn all(size: u64) -> impl Iterator<Item = Tile> {
        let of_level = move |level| (0..).map_while(move |index| Tile::of_tree(level, index, size));
        (0..=TOP_LEVEL).flat_map(of_level)
    }

    /// Returns the level: 0 holds leaf hashes, above it each hash is the root of a full tile below.
    pub const fn level(&self) -> u8 {
        self.level
    }

    /// Returns the place within the level.
    pub const fn index(&self) -> u64 {
        self.index
    }

    /// Returns the number of hashes, 1 to 256.
    pub const fn width(&self) -> usize {
        self.width as usize
    }

    /// Returns the first leaf after those that the full tile at this place covers; a pruned log may drop the tile if that
    /// is not above its minimum index.
    pub fn end_index(&self) -> u64 {
        let end = (u128::from(self.index) + 1) << (TILE_HEIGHT * (u32::from(self.level) + 1));
        u64::try_from(end).unwrap_or(u64::MAX)
    }

    /// Says whether a tile at the right edge has hashes that it had not at the older size.
    pub(super) fn has_grown_since(&self, old_size: u64, new_size: u64) -> bool {
        hashes_at(self.level, old_size) != hashes_at(self.level, new_size)
    }
}

/// Returns how many hashes a tree of this size has at a tile level.
fn hashes_at(level: u8, size: u64) -> u64 {
    size.checked_shr(TILE_HEIGHT * u32::from(level)).unwrap_or(0)
}

impl fmt::Display for Tile {
    /// Writes the path below the log's prefix, for instance `tile/1/x001/x234/067.p/5`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tile/{}/{}", self.level, Place { index: self.index, width: self.width })
    }
}

impl FromStr for Tile {
    type Err = TileError;

    fn from_str(path: &str) -> Result<Tile, TileError> {
        let (level, place) = path.strip_prefix("tile/").and_then(|rest| rest.split_once('/')).ok_or(TileError::Path)?;
        let level = level.parse().ok().filter(|&level| level <= TOP_LEVEL).ok_or(TileError::Path)?;
        let Place { index, width } = place.parse()?;
        let tile = Tile { level, index, width };
        if tile.to_string() == path { Ok(tile) } else { Err(TileError::Path) }
    }
}

/// The coordinates of a bundle of entries, partial or full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bundle {
    index: u64,
    width: u16,
}

impl Bundle {
    /// Returns the bundle at a place as it stands in a tree of this size; nothing if it holds no entry there.
    pub fn of_tree(index: u64, size: u64) -> Option<Bundle> {
        Tile::of_tree(0, index, size).map(|tile| Bundle { index, width: tile.width })
    }

    /// Returns the place: the bundle begins with entry `index * 256`.
    pub const fn index(&self) -> u64 {
        self.index
    }

    /// Returns the number of entries, 1 to 256.
    pub const fn width(&self) -> usize {
        self.width as usize
    }

    /// Returns the first entry after those of the full bundle at this place.
    pub fn end_index(&self) -> u64 {
        Tile::full(0, self.index).end_index()
    }
}

impl fmt::Display for Bundle {
    /// Writes the path below the log's prefix, for instance `tile/entries/x001/067`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tile/entries/{}", Place { index: self.index, width: self.width })
    }
}

impl FromStr for Bundle {
    type Err = TileError;

    fn from_str(path: &str) -> Result<Bundle, TileError> {
        let Place { index, width } = path.strip_prefix("tile/entries/").ok_or(TileError::Path)?.parse()?;
        let bundle = Bundle { index, width };
        if bundle.to_string() == path { Ok(bundle) } else { Err(TileError::Path) }
    }
}

/// The end of a path: the index in groups of three digits, all but the last marked with `x`, and the width if partial.
struct Place {
    index: u64,
    width: u16,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let groups: Vec<u64> =
            std::iter::successors(Some(self.index), |rest| Some(rest / 1000).filter(|&r| r > 0)).collect();
        groups.iter().skip(1).rev().try_for_each(|group| write!(f, "x{:03}/", group % 1000))?;
        write!(f, "{:03}", self.index % 1000)?;
        if usize::from(self.width) < TILE_WIDTH { write!(f, ".p/{}", self.width) } else { Ok(()) }
    }
}

impl FromStr for Place {
    type Err = TileError;

    /// Reads leniently: whoever calls writes the path anew and compares.
    fn from_str(text: &str) -> Result<Place, TileError> {
        let (index, width) = text.split_once(".p/").unwrap_or((text, "256"));
        let digits: String = index.chars().filter(|&c| c != 'x' && c != '/').collect();
        let width = width.parse().ok().filter(|width| (1..=TILE_WIDTH as u16).contains(width));
        Ok(Place { index: digits.parse().map_err(|_| TileError::Path)?, width: width.ok_or(TileError::Path)? })
    }
}

/// Writes a tile's hashes one after another, as it is served.
pub fn encode_hashes(hashes: &[Digest]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| hash.as_bytes()).copied().collect()
}

/// Reads the bytes of a tile, 1 to 256 hashes.
pub fn decode_hashes(bytes: &[u8]) -> Result<Vec<Digest>, TileError> {
    if bytes.is_empty() || bytes.len() > TILE_WIDTH * HASH_BYTES {
        return Err(TileError::Hashes);
    }
    bytes.chunks(HASH_BYTES).map(|chunk| Digest::from_slice(chunk).map_err(|_| TileError::Hashes)).collect()
}

/// Writes a bundle, as it is served: each entry after its length, 16 bits, big-endian.
pub fn encode_entries<'a>(entries: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<u8>, TileError> {
    let mut bytes = Vec::new();
    for entry in entries {
        let length = u16::try_from(entry.len()).map_err(|_| TileError::EntryTooLong)?;
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(entry);
    }
    Ok(bytes)
}

/// Reads the bytes of a bundle, 1 to 256 entries.
pub fn decode_entries(bytes: &[u8]) -> Result<Vec<&[u8]>, TileError> {
    let mut entries = Vec::new();
    let mut rest = bytes;
    while let Some((length, tail)) = rest.split_first_chunk() {
        let (entry, tail) = tail.split_at_checked(u16::from_be_bytes(*length).into()).ok_or(TileError::Bundle)?;
        entries.push(entry);
        rest = tail;
    }
    let complete = rest.is_empty() && (1..=TILE_WIDTH).contains(&entries.len());
    if complete { Ok(entries) } else { Err(TileError::Bundle) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_of_the_specification() {
        assert_eq!(Tile { level: 3, index: 1_234_067, width: 256 }.to_string(), "tile/3/x001/x234/067");
        assert_eq!(Tile { level: 0, index: 0, width: 1 }.to_string(), "tile/0/000.p/1");
        assert_eq!(Tile { level: 0, index: 1000, width: 255 }.to_string(), "tile/0/x001/000.p/255");
        assert_eq!(Bundle { index: 999, width: 256 }.to_string(), "tile/entries/999");
    }

    #[test]
    fn only_the_one_way_to_write_a_path_is_read() {
        for good in ["tile/0/000", "tile/7/x001/x234/067.p/255"] {
            assert_eq!(good.parse::<Tile>().unwrap().to_string(), good);
        }
        assert_eq!("tile/entries/x001/000.p/3".parse::<Bundle>().unwrap().to_string(), "tile/entries/x001/000.p/3");
        let bad = "tile/0/0 tile/0/x000/001 tile/0/001/002 tile/0/x001 tile/00/001 tile/8/001 tile/0/001.p/0 tile/0/001.p/256 \
                   tile/0/001.p/01 tile/0/+01 tile/entries/001 tile/0/ tile/0 0/001 tile/0/001/ tile/0/001.p/ tile/-1/001 \
                   tile/0/x999/x999/x999/x999/x999/x999/999";
        for path in bad.split(' ') {
            assert_eq!(path.parse::<Tile>(), Err(TileError::Path), "{path}");
        }
        for path in ["tile/0/001", "tile/entries/1", "tile/entries/001.p/256", "entries/001"] {
            assert_eq!(path.parse::<Bundle>(), Err(TileError::Path), "{path}");
        }
    }

    #[test]
    fn a_tree_of_70000_has_the_tiles_of_the_specification() {
        let all: Vec<Tile> = Tile::all(70_000).collect();
        let full_at = |level| all.iter().filter(|tile| tile.level == level && tile.width() == TILE_WIDTH).count();
        assert_eq!((full_at(0), full_at(1), full_at(2)), (273, 1, 0));
        let edge: Vec<_> = Tile::right_edge(70_000).iter().map(|tile| (tile.level, tile.index, tile.width)).collect();
        assert_eq!(edge, [(0, 273, 112), (1, 1, 17), (2, 0, 1)]);
        assert_eq!(all.len(), 273 + 1 + edge.len());
        assert_eq!(Tile::right_edge(256), [Tile { level: 1, index: 0, width: 1 }]);
        assert_eq!(Tile::levels(70_000), 3);
        assert_eq!((Tile::levels(0), Tile::all(0).count()), (0, 0));
        assert_eq!(Tile::levels(u64::MAX), 8);
    }

    #[test]
    fn the_end_of_a_tile_is_where_the_next_begins() {
        assert_eq!(Tile::full(0, 0).end_index(), 256);
        assert_eq!(Tile::full(1, 2).end_index(), 3 * 65_536);
        assert_eq!(Tile::full(7, 9).end_index(), u64::MAX);
        assert_eq!(Bundle::of_tree(1, 300).map(|bundle| (bundle.width(), bundle.end_index())), Some((44, 512)));
        assert_eq!(Bundle::of_tree(2, 512), None);
    }

    #[test]
    fn a_tile_of_another_length_is_refused() {
        let hashes = [Digest::of(b"a"), Digest::of(b"b")];
        let bytes = encode_hashes(&hashes);
        assert_eq!(decode_hashes(&bytes), Ok(hashes.to_vec()));
        assert_eq!(decode_hashes(&bytes[..63]), Err(TileError::Hashes));
        assert_eq!(decode_hashes(&[]), Err(TileError::Hashes));
        assert_eq!(decode_hashes(&[0; 257 * 32]), Err(TileError::Hashes));
    }

    #[test]
    fn a_bundle_keeps_every_entry_up_to_65535_bytes() {
        let longest = vec![7; MAX_ENTRY_BYTES];
        let entries: [&[u8]; 3] = [b"", b"abc", &longest];
        let bytes = encode_entries(entries).unwrap();
        assert_eq!(bytes[..7], [0, 0, 0, 3, b'a', b'b', b'c']);
        assert_eq!(decode_entries(&bytes), Ok(entries.to_vec()));
        assert_eq!(decode_entries(&bytes[..bytes.len() - 1]), Err(TileError::Bundle));
        assert_eq!(decode_entries(&bytes[..3]), Err(TileError::Bundle));
        assert_eq!(decode_entries(&[]), Err(TileError::Bundle));
        assert_eq!(decode_entries(&[0; 2 * 257]), Err(TileError::Bundle));
        assert_eq!(encode_entries([&[0; MAX_ENTRY_BYTES + 1][..]]), Err(TileError::EntryTooLong));
    }
}
