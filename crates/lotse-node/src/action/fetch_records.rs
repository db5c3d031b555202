//! Hands received records to a system: each with a token, and one log entry for all of them, committed before the content leaves
//! the node.

use std::sync::Arc;

use lotse_core::id::Id;
use lotse_core::purpose::Purposes;
use lotse_core::time::Timestamp;
use lotse_store::custody::{self, Held};
use lotse_store::import::{self, Fetched};
use lotse_store::outbox::ItemKind;
use lotse_store::{Readable, StoreError, Tx};

use crate::action::take_batch;
use crate::entry::{self, BatchSummary, Detail, Draft, EntryKind};
use crate::failure::Failure;
use crate::identity::{Role, SpiffeId};
use crate::node::Node;

/// Most records of one fetch.
pub const MAX_FETCH: usize = 256;

/// Bytes of one fetch, at most: with everything that stands around the contents, one message holds them.
const MAX_FETCH_BYTES: usize = 3 * 1024 * 1024 + 512 * 1024;

/// What an answer says of a record besides its content, at most.
const AROUND_BYTES: usize = 1024;

/// What was found.
pub struct Found {
    /// Records, as many as one message holds and at least one.
    pub records: Vec<FetchedRecord>,
    /// Ids of those that did not fit.
    pub left: Vec<Id>,
    /// Ids of those that are here and cannot be read.
    pub unreadable: Vec<Id>,
}

/// A record that was found.
pub struct FetchedRecord {
    /// What is held.
    pub held: Held,
    /// Token of this fetch.
    pub token: Id,
    /// Exact bytes of the envelope.
    pub envelope: Vec<u8>,
    /// Other open referrals of the same person from the same owner, newest first.
    pub same_person: Vec<Id>,
}

/// Fetches records. What is past its holding time, unknown or not granted is left out: the caller sees no difference. What cannot be
/// read holds up no other.
pub async fn fetch_records(
    node: &Arc<Node>,
    system: &str,
    purposes: Purposes,
    record_ids: Vec<Id>,
) -> Result<Found, Failure> {
    let job = Arc::new((node.clone(), system.to_string(), record_ids));
    let found = node
        .store
        .transact("fetch", move |tx| {
            let job = job.clone();
            Box::pin(async move { run(tx, &job.0, &job.1, purposes, &job.2).await })
        })
        .await?;
    if !found.records.is_empty() {
        node.signals.log.notify_one();
    }
    Ok(found)
}

async fn run(
    tx: &mut Tx,
    node: &Node,
    system: &str,
    purposes: Purposes,
    record_ids: &[Id],
) -> Result<Found, StoreError> {
    let at = node.now();
    let (mut records, mut left, mut bytes) = (Vec::new(), Vec::new(), 0);
    let Readable { rows: copies, broken } = custody::find_readable(tx, record_ids).await?;
    let mut unreadable = granted(tx, broken, purposes, at).await?;
    for held in copies {
        let readable = purposes.contains(held.purpose) && at < held.hold_until;
        let Some(sealed) = held.content.as_ref().filter(|_| readable) else { continue };
        bytes += sealed.ciphertext.len() + AROUND_BYTES;
        if bytes > MAX_FETCH_BYTES && !records.is_empty() {
            left.push(held.record_id);
            continue;
        }
        let envelope = match node.vault.open(take_batch::place(&held.envelope_id), sealed) {
            Ok(envelope) => envelope,
            Err(error) => {
                let record_id = held.record_id;
                tracing::error!(%error, %record_id, "a received record cannot be read, and is left out");
                unreadable.push(record_id);
                continue;
            }
        };
        records.push(FetchedRecord { token: Id::random(&*node.random), envelope, held, same_person: Vec::new() });
    }
    let fetched: Vec<Fetched> = records
        .iter()
        .map(|record: &FetchedRecord| Fetched {
            token: record.token,
            record_id: record.held.record_id,
            revision: record.held.revision,
            system: system.to_string(),
            at,
        })
        .collect();
    if !fetched.is_empty() {
        import::insert(tx, &fetched).await?;
        entry::append(tx, node, vec![(EntryKind::Fetched, draft(node, system, &records))]).await?;
    }
    name_same_person(tx, node, purposes, &mut records).await?;
    Ok(Found { records, left, unreadable })
}

/// Returns those broken records of which each copy shows that the system may know of it: of the others it hears nothing.
async fn granted(tx: &mut Tx, broken: Vec<Id>, purposes: Purposes, at: Timestamp) -> Result<Vec<Id>, StoreError> {
    if broken.is_empty() {
        return Ok(broken);
    }
    let Readable { rows: known, broken: unknown } = custody::usable(tx, &broken).await?;
    let is_granted = |id: &Id| {
        let copies: Vec<_> = known.iter().filter(|copy| copy.record_id == *id).collect();
        let may_see = |copy: &&custody::UsableCopy| purposes.contains(copy.purpose) && at < copy.hold_until;
        !copies.is_empty() && copies.iter().all(may_see) && !unknown.contains(id)
    };
    Ok(broken.into_iter().filter(is_granted).collect())
}

/// Makes the entry: the system, how many records, and the owner and purpose where all of them have the same.
fn draft(node: &Node, system: &str, records: &[FetchedRecord]) -> Draft {
    let actor = SpiffeId::new(node.agency.clone(), Role::System, system);
    let first = records.first().map(|record| &record.held);
    let owner = first.map(|held| &held.owner).filter(|owner| records.iter().all(|record| record.held.owner == **owner));
    let purpose = first.map(|held| held.purpose).filter(|purpose| records.iter().all(|it| it.held.purpose == *purpose));
    let only = first.filter(|_| records.len() == 1);
    Draft {
        peer: owner.cloned(),
        purpose,
        record_id: only.map(|held| held.record_id),
        actor: actor.map(|actor| actor.to_string()).unwrap_or_default(),
        detail: Some(Detail::Batch(BatchSummary { taken: records.len() as u32, ..BatchSummary::default() })),
        ..Draft::default()
    }
}

/// Names beside each referral the other open ones of its person: a corrected referral comes as a second one.
async fn name_same_person(
    tx: &mut Tx,
    node: &Node,
    purposes: Purposes,
    records: &mut [FetchedRecord],
) -> Result<(), StoreError> {
    let person = |held: &Held| held.subject_ref.filter(|_| held.kind == ItemKind::Referral);
    for record in records.iter() {
        person(&record.held).into_iter().for_each(|person| {
            node.latest_held.note(person, &record.held.owner, record.held.record_id);
        });
    }
    let latest = |held: &Held| person(held).map(|person| node.latest_held.all(person, &held.owner)).unwrap_or_default();
    let mut asked: Vec<Id> = records
        .iter()
        .flat_map(|record| latest(&record.held).into_iter().filter(|id| *id != record.held.record_id))
        .collect();
    if asked.is_empty() {
        return Ok(());
    }
    asked.sort_unstable();
    asked.dedup();
    let now = node.now();
    let found = custody::standing(tx, &asked).await?;
    for record in records {
        let held = &record.held;
        let is_same = |id: &Id| {
            *id != held.record_id
                && found.iter().any(|other| {
                    other.record_id == *id
                        && other.owner == held.owner
                        && other.subject_ref == held.subject_ref
                        && other.state.is_open()
                        && purposes.contains(other.purpose)
                        && now < other.hold_until
                })
        };
        record.same_person = latest(held).into_iter().filter(is_same).collect();
    }
    Ok(())
}
