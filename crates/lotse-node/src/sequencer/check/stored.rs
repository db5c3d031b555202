//! Reads a stored log on one snapshot and hands it to the checks.

use lotse_core::id::AgencyId;
use lotse_core::key::PublicKey;
use lotse_core::log::checkpoint::Origin;
use lotse_core::log::tile::{TILE_WIDTH, Tile};
use lotse_store::counter::{self, Counter};
use lotse_store::{StoreError, Tx, log, meta};

use super::generation::{Ends, GenerationCheck};
use super::{Place, Report};
use crate::entry::LogStart;
use crate::head_store::Head;
use crate::sequencer::growth::grow;
use crate::sequencer::{Doubt, empty_tree};

/// Entries checked at once: whole bundles.
const CHUNK: u64 = 16 * TILE_WIDTH as u64;
/// Checkpoints and tiles read at once.
const PAGE: u32 = 512;
/// Rows outside of the log that are listed.
const OUTSIDE: u32 = 20;

/// The node that writes a log, while somebody else verifies it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writer {
    /// It runs, and may have signed more than a snapshot shows.
    Running,
    /// Nothing comes while the log is verified.
    Stopped,
}

/// Verifies everything that the database has of the agency's log. `head` was read before the snapshot began; a running node may
/// have signed more since.
pub async fn verify_stored(
    tx: &mut Tx,
    agency: &AgencyId,
    keys: &[PublicKey],
    head: Option<&Head>,
    writer: Writer,
) -> Result<Report, StoreError> {
    let mut report = Report::default();
    let present = meta::generation(tx).await?.unwrap_or(0);
    let stored = log::generations(tx).await?;
    let mut next_start: Option<LogStart> = None;
    for generation in stored.into_iter().rev() {
        let known = u32::try_from(generation).ok().filter(|generation| (1..=present).contains(generation));
        let Some(known) = known else {
            report.find(generation, Place::Log, format!("the node is in generation {present} and never had this one"));
            continue;
        };
        let origin = Origin { agency: agency.clone(), generation: known };
        let ends = if known == present {
            let checkpoints =
                head.filter(|head| head.origin == origin && writer == Writer::Stopped).map(|head| head.checkpoints);
            Ends { written: counter::read(tx, &Counter::Leaf).await?, checkpoints }
        } else {
            check_link(&mut report, &origin, &next_start.take().unwrap_or_default());
            let written = log::newest_checkpoint(tx, known).await?.map_or(0, |newest| newest.head.size);
            Ends { written, checkpoints: meta::closed_checkpoints(tx, known).await? }
        };
        let head = head.filter(|_| known == present);
        next_start = check_generation(tx, origin, keys, &mut report, &ends, head, writer).await?;
    }
    if present == 0 {
        report.notes.push("the log has not begun".to_owned());
    }
    report.verified.reverse();
    Ok(report)
}

/// The first entry of a generation must name the one before, or one after it of which nothing is left.
fn check_link(report: &mut Report, origin: &Origin, next: &LogStart) {
    let previous = next.previous_origin.parse::<Origin>().ok().filter(|previous| previous.agency == origin.agency);
    if previous.is_none_or(|previous| previous.generation < origin.generation) {
        report.find(origin.generation, Place::Log, "the generation after it does not name it as the one before");
    }
    if next.lost_entries > 0 {
        let (lost, previous) = (next.lost_entries, &next.previous_origin);
        report.notes.push(format!("{lost} entries of {previous} were lost, as the log after it says"));
    }
}

async fn check_generation(
    tx: &mut Tx,
    origin: Origin,
    keys: &[PublicKey],
    report: &mut Report,
    ends: &Ends,
    head: Option<&Head>,
    writer: Writer,
) -> Result<Option<LogStart>, StoreError> {
    let generation = origin.generation;
    let mut check = GenerationCheck::new(origin.clone(), keys, report);
    let mut after = None;
    loop {
        let page = log::checkpoints(tx, generation, after, PAGE).await?;
        let Some((last, _)) = page.last() else { break };
        after = Some(*last);
        page.into_iter().for_each(|(size, row)| check.checkpoint(size, row));
    }
    check_entries(tx, &mut check, generation, ends).await?;
    let mut after = None;
    loop {
        let page = log::stored_tiles(tx, generation, after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = Some((last.level, last.index));
        page.iter().for_each(|tile| check.tile(tile));
    }
    let mut ahead = 0;
    match head {
        Some(head) => ahead = check_head(tx, &mut check, &origin, head, writer).await?,
        None if check.signed_size() > 0 && ends.checkpoints.is_none() && writer == Writer::Stopped => {
            // The present generation has no head; a closed one has none in the head store.
            check.find(Place::Head, "there is no signed head of this log in the head store");
        }
        None => {}
    }
    let ends = Ends { written: ends.written, checkpoints: ends.checkpoints.map(|count| count - ahead.min(count)) };
    Ok(check.finish(&ends))
}

async fn check_entries(
    tx: &mut Tx,
    check: &mut GenerationCheck<'_>,
    generation: u32,
    ends: &Ends,
) -> Result<(), StoreError> {
    let signed = check.signed_size();
    let mut first = 0;
    while first < signed {
        let end = signed.min(first + CHUNK);
        let rows = log::read_unchecked(tx, generation, first, end).await?;
        let bundles = first / TILE_WIDTH as u64..end.div_ceil(TILE_WIDTH as u64);
        let wanted: Vec<Tile> = bundles.filter_map(|index| Tile::of_tree(0, index, signed)).collect();
        let tiles = log::read_tiles(tx, generation, &wanted).await?;
        check.chunk(first, end, &rows, &tiles);
        first = end;
    }
    let mut next = signed;
    let end = signed.max(ends.written);
    loop {
        let rows = log::read_unchecked(tx, generation, next, end).await?;
        if rows.is_empty() {
            break;
        }
        next = check.unsequenced(next, &rows);
    }
    for index in log::outside(tx, generation, end, OUTSIDE).await? {
        check.find(Place::Entry(index), format!("stands outside of a log of {end} entries"));
    }
    Ok(())
}

/// Compares the head store with the checkpoints. Returns how many signed heads have no row yet: one, after a crash between the two.
async fn check_head(
    tx: &mut Tx,
    check: &mut GenerationCheck<'_>,
    origin: &Origin,
    head: &Head,
    writer: Writer,
) -> Result<u64, StoreError> {
    let newest = check.head_of(check.signed_size()).unwrap_or(empty_tree());
    if head.origin != *origin {
        check.find(Place::Head, format!("it is of the log {}", head.origin));
        return Ok(0);
    }
    if head.tree.size <= newest.size {
        let same = check.head_of(head.tree.size).unwrap_or(empty_tree()) == head.tree;
        if !same || (head.tree.size < newest.size && writer == Writer::Stopped) {
            check.find(Place::Head, "its head is not the newest signed one of the database");
        }
        return Ok(0);
    }
    let reached = grow(tx, origin.generation, newest, head.tree.size).await?;
    match reached {
        Ok(growth) if growth.head == head.tree => return Ok(1),
        Ok(_) | Err(Doubt::EntryMissing { .. }) => {
            check.find(Place::Head, format!("the stored entries do not reach its head of {} entries", head.tree.size));
        }
        Err(doubt) => check.find(Place::Head, doubt.to_string()),
    }
    Ok(0)
}
