//! Cuts envelopes: what a claim freezes, seals, registers and logs for the items of one batch. Every byte that leaves was made
//! here, inside the transaction that releases it.

use std::sync::Arc;

use bytes::Bytes;
use lotse_core::agreement::Agreement;
use lotse_core::category::Categories;
use lotse_core::id::{AgencyId, Digest, Id, Sequence};
use lotse_core::log::tree;
use lotse_core::purpose::Purpose;
use lotse_core::random::Random;
use lotse_core::release::Permit;
use lotse_core::time::{DAY, Timestamp};
use lotse_proto::exchange::v1 as proto;
use lotse_store::batch::{BatchItem, NewBatch};
use lotse_store::consent::Towards;
use lotse_store::log::Entry;
use lotse_store::outbox::Release;
use lotse_store::register::Disclosure;
use lotse_store::vault::{Place, SubjectKey, Vault, VaultError};
use lotse_store::{StoreError, Tx, batch, register};
use prost::Message;
use tokio::time::Instant;

use crate::action::outgoing::Outgoing;
use crate::entry::{Decision, Direction, Draft, EntryKind};
use crate::node::Node;
use crate::shipment::Shipment;
use crate::wire::batch::{BatchStatement, seal_batch};
use crate::wire::disclosure::DisclosureContent;
use crate::wire::envelope::{self, Basis, BodyKind, Excerpt, Head};
use crate::wire::request::AnswerAsk;

/// The batch that is cut.
pub struct Frame<'a> {
    /// Recipient.
    pub peer: &'a AgencyId,
    /// Generation of the recipient.
    pub peer_generation: u32,
    /// Batch.
    pub batch_id: Id,
    /// First revision number, counting from 1.
    pub first_revision: u64,
    /// Now.
    pub at: Timestamp,
}

/// One item that was permitted.
pub struct Candidate<'a> {
    /// Record.
    pub record_id: Id,
    /// Thread.
    pub thread_id: Id,
    /// Place in the thread.
    pub thread_sequence: u64,
    /// What it may be used for.
    pub purpose: Purpose,
    /// When to give up.
    pub expires_at: Timestamp,
    /// Body of the envelope, without what is left out.
    pub content: &'a Outgoing,
    /// On what it rests.
    pub ground: Ground<'a>,
    /// Identity of the system that handed it over.
    pub actor: &'a str,
    /// Opaque staff reference.
    pub on_behalf_of: &'a str,
    /// Trace.
    pub trace_id: &'a [u8],
}

/// On what an item rests.
#[derive(Clone, Copy)]
pub enum Ground<'a> {
    /// A clause and a consent, with the key of its subject.
    Referral(&'a Permit, &'a Towards, &'a SubjectKey),
    /// The basis of the referral that it answers.
    Answer(&'a Arc<Agreement>, &'a AnswerAsk),
}

/// What a claim writes and sends.
pub struct Cut {
    /// What is written into each item, in the order of the candidates.
    pub releases: Vec<(Id, Release)>,
    /// Exact bytes of the envelopes.
    pub envelopes: Vec<Bytes>,
    /// Log entries.
    pub entries: Vec<Entry>,
    /// Register entries.
    pub disclosures: Vec<Disclosure>,
}

impl Cut {
    /// Seals the envelopes and writes their batch and their register entries; its caller writes the releases into the items, and the
    /// log entries, of which these become some.
    pub async fn ship(
        self,
        tx: &mut Tx,
        node: &Node,
        frame: &Frame<'_>,
        lease_until: Instant,
        entries: &mut Vec<Entry>,
    ) -> Result<(Shipment, Vec<(Id, Release)>), StoreError> {
        let item =
            |(record_id, release): &(Id, Release)| BatchItem { record_id: *record_id, digest: release.envelope_digest };
        let items = self.releases.iter().map(item).collect();
        let (seal, mut batch) = seal(node, frame.peer, frame.batch_id, frame.at, items, 0);
        batch.content_until = self.releases.iter().map(|(_, release)| release.hold_until).min();
        batch::insert(tx, &batch).await?;
        if !self.disclosures.is_empty() {
            register::insert(tx, self.disclosures).await?;
        }
        entries.extend(self.entries);
        Ok((Shipment::new(batch, seal, self.envelopes, lease_until), self.releases))
    }
}

/// Cuts the envelopes of a batch.
pub fn cut(node: &Node, frame: &Frame<'_>, candidates: &[Candidate<'_>]) -> Result<Cut, VaultError> {
    let mut drawn = vec![Drawn::ZERO; candidates.len()];
    node.random.fill(drawn.as_flattened_mut());
    let mut cut = Cut {
        releases: Vec::with_capacity(candidates.len()),
        envelopes: Vec::with_capacity(candidates.len()),
        entries: Vec::with_capacity(candidates.len()),
        disclosures: Vec::new(),
    };
    for (place, (candidate, drawn)) in candidates.iter().zip(&drawn).enumerate() {
        let parts = Drawn::split(drawn);
        let head = head(node, frame, candidate, place, parts.envelope_id);
        let head_bytes = envelope::encode_head(&head);
        let nonce = candidate.content.key.envelope_nonce(&head.envelope_id)?;
        let bytes = envelope::join(&nonce, &head_bytes, body_kind(candidate), &candidate.content.bytes);
        let digest = Digest::of_leaf(&bytes);
        cut.entries.push(draft(&head, candidate, digest).entry_with(EntryKind::Released, frame.at, parts.entry));
        cut.releases.push((candidate.record_id, release(frame, &head, head_bytes, candidate, digest)));
        cut.envelopes.push(bytes.into());
    }
    cut.disclosures = disclosures(node, frame, candidates, &cut.releases)?;
    Ok(cut)
}

/// Seals a batch over envelopes that are cut or were frozen before. Those cut for it say when their content goes.
pub fn seal(
    node: &Node,
    peer: &AgencyId,
    batch_id: Id,
    at: Timestamp,
    items: Vec<BatchItem>,
    attempts: u32,
) -> (proto::Seal, NewBatch) {
    let digests: Vec<Digest> = items.iter().map(|item| item.digest).collect();
    let statement = BatchStatement {
        batch_id,
        sender: node.agency.clone(),
        recipient: peer.clone(),
        created_at: at,
        count: items.len() as u32,
        root: tree::root(&digests),
    };
    let seal = seal_batch(&statement, &node.keys.sealing);
    let batch = NewBatch {
        batch_id,
        peer: peer.clone(),
        created_at: at,
        root: statement.root,
        seal: seal.encode_to_vec(),
        items,
        attempts,
        content_until: None,
    };
    (seal, batch)
}

/// The random bytes of one envelope: tail of its id, blind and id of its log entry.
struct Drawn<'a> {
    envelope_id: [u8; 10],
    entry: &'a [u8; 42],
}

impl Drawn<'_> {
    const ZERO: [u8; 52] = [0; 52];

    #[expect(clippy::unwrap_used, reason = "the two parts are 52 bytes together")]
    fn split(bytes: &[u8; 52]) -> Drawn<'_> {
        let (envelope_id, entry) = bytes.split_first_chunk::<10>().unwrap();
        Drawn { envelope_id: *envelope_id, entry: entry.first_chunk::<42>().unwrap() }
    }
}

fn body_kind(candidate: &Candidate<'_>) -> BodyKind {
    match candidate.ground {
        Ground::Referral(..) => BodyKind::Referral,
        Ground::Answer(..) => BodyKind::Answer,
    }
}

fn head(node: &Node, frame: &Frame<'_>, candidate: &Candidate<'_>, place: usize, id: [u8; 10]) -> Head {
    Head {
        envelope_id: Id::v7(frame.at, id),
        sender: node.agency.clone(),
        recipient: frame.peer.clone(),
        sender_generation: node.generation,
        recipient_generation: frame.peer_generation,
        created_at: frame.at,
        expires_at: candidate.expires_at,
        hold_until: hold_until(candidate),
        record_id: candidate.record_id,
        revision: Sequence::new(node.generation, (frame.first_revision + place as u64) as u32),
        thread_id: candidate.thread_id,
        thread_sequence: candidate.thread_sequence,
        trace_id: candidate.trace_id.to_vec(),
        basis: basis(candidate),
    }
}

fn hold_until(candidate: &Candidate<'_>) -> Timestamp {
    match candidate.ground {
        Ground::Referral(permit, ..) => permit.hold_until,
        Ground::Answer(_, ask) => ask.hold_until,
    }
}

fn basis(candidate: &Candidate<'_>) -> Basis {
    let on = |agreement: &Agreement, clause_id: &str, consent_ref: Id, epoch, excerpt| Basis {
        agreement_id: agreement.id,
        agreement_version: agreement.version,
        agreement_digest: agreement.digest,
        clause_id: clause_id.to_string(),
        purpose: candidate.purpose,
        consent_ref,
        epoch,
        excerpt,
    };
    match &candidate.ground {
        Ground::Referral(permit, towards, _) => {
            let excerpt = Excerpt {
                subject_ref: towards.subject_ref.unwrap_or(NO_REF),
                categories: permit.covered,
                given_at: towards.consent.given_at,
                expires_at: towards.consent.expires_at,
                form: towards.consent.form,
                feedback: permit.feedback,
                form_commitment: towards.form_commitment.clone(),
            };
            let consent_ref = towards.consent_ref.unwrap_or(NO_REF);
            on(&permit.agreement, &permit.clause_id, consent_ref, towards.epoch, Some(excerpt))
        }
        Ground::Answer(agreement, ask) => on(agreement, &ask.clause_id, ask.consent_ref, ask.epoch, None),
    }
}

/// A consent that names the recipient always has references for it; the decision has seen to that.
const NO_REF: Id = Id::from_bytes([0; 16]);

fn release(frame: &Frame<'_>, head: &Head, bytes: Vec<u8>, candidate: &Candidate<'_>, digest: Digest) -> Release {
    let (consent_id, sent, left_out, feedback) = match &candidate.ground {
        Ground::Referral(permit, ..) => (Some(permit.consent), permit.categories, permit.left_out, permit.feedback),
        Ground::Answer(_, ask) => (None, Categories::NONE, Categories::NONE, ask.feedback),
    };
    Release {
        batch_id: frame.batch_id,
        envelope_id: head.envelope_id,
        envelope_digest: digest,
        consent_id,
        sent,
        left_out,
        hold_until: head.hold_until,
        feedback,
        head: bytes.into(),
    }
}

fn draft(head: &Head, candidate: &Candidate<'_>, digest: Digest) -> Draft {
    let (categories, left_out) = match &candidate.ground {
        Ground::Referral(permit, ..) => (permit.categories, permit.left_out),
        Ground::Answer(..) => (Categories::NONE, Categories::NONE),
    };
    Draft {
        direction: Direction::Out,
        peer: Some(head.recipient.clone()),
        agreement_id: Some(head.basis.agreement_id),
        version: u64::from(head.basis.agreement_version),
        clause_id: head.basis.clause_id.clone(),
        consent_ref: Some(head.basis.consent_ref),
        purpose: Some(candidate.purpose),
        categories,
        left_out,
        record_id: Some(candidate.record_id),
        digest: Some(digest),
        actor: candidate.actor.to_string(),
        on_behalf_of: candidate.on_behalf_of.to_string(),
        decision: Decision::Permit,
        trace_id: candidate.trace_id.to_vec(),
        ..Draft::default()
    }
}

/// Register entries of the referrals among the candidates. Answers are about somebody else's record: their owner registers it.
fn disclosures(
    node: &Node,
    frame: &Frame<'_>,
    candidates: &[Candidate<'_>],
    releases: &[(Id, Release)],
) -> Result<Vec<Disclosure>, VaultError> {
    let mut keys: Vec<&SubjectKey> = Vec::new();
    let mut contents: Vec<Vec<u8>> = Vec::new();
    let mut disclosures = Vec::new();
    for (candidate, (_, release)) in candidates.iter().zip(releases) {
        let Ground::Referral(permit, towards, key) = &candidate.ground else { continue };
        keys.push(key);
        contents.push(disclosure_content(candidate.purpose, permit));
        disclosures.push(Disclosure {
            subject: towards.consent.subject,
            recipient: frame.peer.clone(),
            record_id: candidate.record_id,
            envelope_digest: release.envelope_digest,
            batch_id: frame.batch_id,
            consent_ref: towards.consent_ref.unwrap_or(NO_REF),
            released_at: frame.at,
            // The row stays at least as long as the recipient may hold the record, also under a clause with a shorter time.
            keep_until: frame.at.plus(register_retention(permit)).max(permit.hold_until),
            content: Vec::new(),
        });
    }
    let random: &dyn Random = &*node.random;
    let entries: Vec<_> = (disclosures.iter().zip(keys).zip(&contents))
        .map(|((entry, key), content)| (key, register_place(&entry.envelope_digest), content.as_slice()))
        .collect();
    let sealed = Vault::seal_under_many(random, &entries)?;
    for (entry, content) in disclosures.iter_mut().zip(sealed) {
        entry.content = content;
    }
    Ok(disclosures)
}

/// Where a register entry is stored.
pub fn register_place(digest: &Digest) -> Place<'_> {
    Place { table: "register", id: digest.as_bytes() }
}

fn register_retention(permit: &Permit) -> std::time::Duration {
    permit.agreement.clause(&permit.clause_id).map_or(DAY, |clause| DAY * clause.register_retention_days)
}

fn disclosure_content(purpose: Purpose, permit: &Permit) -> Vec<u8> {
    DisclosureContent {
        agreement_id: permit.agreement.id.to_vec(),
        agreement_version: permit.agreement.version,
        clause_id: permit.clause_id.clone(),
        hold_until: permit.hold_until.micros(),
        ..DisclosureContent::new(purpose, permit.consent, permit.categories, permit.left_out)
    }
    .encode_to_vec()
}
