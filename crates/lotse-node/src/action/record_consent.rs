//! Records consents, many at once: one result each, a handful of statements whatever their number.
//!
//! Twice the same consent is one; the same id with other content is refused. What each recipient will know consent and subject
//! by is drawn here, once for ever, so that two recipients cannot join what they hold.

mod hints;
mod replacing;

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use aws_lc_rs::hmac;
use lotse_core::consent::ConsentState;
use lotse_core::id::{AgencyId, Digest, Id};
use lotse_core::keyed::Kind;
use lotse_core::reason::Reason;
use lotse_core::time::Timestamp;
use lotse_store::consent::{self, Known, NewConsent, NewRecipient};
use lotse_store::subject::{self, NewAlias, NewSubject};
use lotse_store::vault::{Place, Vault};
use lotse_store::{StoreError, Tx};

use crate::action::subject::SubjectIds;
use crate::entry::{self, Draft, EntryKind};
use crate::failure::Failure;
use crate::node::Node;
use crate::telemetry::trace::TraceId;
use crate::wire::consent::RecordableConsent;

pub use self::hints::hints;
use self::replacing::Replacement;

/// Consents that one transaction records at most.
pub const MAX_AT_ONCE: usize = 256;

/// Length of the secret from which the commitments to a consent's form are made; stored before the consent, encrypted with it.
pub(super) const SECRET_BYTES: usize = 32;

/// A consent that is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Where it stands.
    pub state: ConsentState,
    /// Whether it was recorded before; then nothing new happened.
    pub repeated: bool,
}

/// Records up to [`MAX_AT_ONCE`] consents that the caller named by `actor` hands over, in whose trace the log names them. Each has
/// its own result: a refusal takes no other with it. Where one replaces another, it answers when nothing of the old coverage is on its
/// way any more, and what the new consent lacks is gone as after a withdrawal.
pub async fn record_consents(
    node: &Arc<Node>,
    actor: &str,
    consents: Vec<RecordableConsent>,
    trace: Option<TraceId>,
) -> Result<Vec<Result<Recorded, Failure>>, Failure> {
    let at = node.now();
    let items = Arc::new(prepare(node, &Draft { actor: actor.into(), ..Draft::of(trace) }, consents, at)?);
    let shared = node.clone();
    let (results, replaced) = node
        .store
        .transact("record_consents", move |tx| {
            let (node, items) = (shared.clone(), items.clone());
            Box::pin(async move { record(tx, &node, &items).await })
        })
        .await?;
    node.signals.log.notify_one();
    replaced.take_effect(node).await?;
    Ok(results.into_iter().map(|result| result.map_err(Failure::refused)).collect())
}

/// Where the content of a consent is stored.
pub(super) fn place(consent_id: &Id) -> Place<'_> {
    Place { table: "consent", id: consent_id.as_bytes() }
}

/// A consent with all that is drawn and encrypted for it before the transaction, which may run twice.
#[derive(Clone)]
struct Item {
    consent: NewConsent,
    /// Digest of the consent with its texts as they were given, where composing them changed one.
    digest_as_given: Option<Digest>,
    subject: NewSubject,
    /// The ids that its subject may have.
    subject_ids: SubjectIds,
    recipients: Vec<Drawn>,
    supersedes: Option<Id>,
    /// Names the withdrawal of what it lacks of the consent that it supersedes.
    withdrawal_id: Id,
    draft: Draft,
}

/// What is drawn for one recipient.
#[derive(Clone)]
struct Drawn {
    recipient: AgencyId,
    consent_ref: Id,
    subject_ref: Id,
    form_commitment: Vec<u8>,
}

fn prepare(
    node: &Node,
    call: &Draft,
    consents: Vec<RecordableConsent>,
    at: Timestamp,
) -> Result<Vec<Item>, StoreError> {
    consents.into_iter().take(MAX_AT_ONCE).map(|consent| prepare_one(node, call, consent, at)).collect()
}

/// `call` is what all entries of the call have in common.
fn prepare_one(node: &Node, call: &Draft, consent: RecordableConsent, at: Timestamp) -> Result<Item, StoreError> {
    let random = node.random.as_ref();
    let secret: [u8; SECRET_BYTES] = lotse_core::random::bytes(random);
    let content = [secret.as_slice(), &consent.bytes].concat();
    let subject = new_subject(node, &consent.subject_reference)?;
    let drawn = |recipient: &AgencyId| Drawn {
        recipient: recipient.clone(),
        consent_ref: Id::random(random),
        subject_ref: Id::random(random),
        form_commitment: consent.form_digest.map_or(Vec::new(), |form| commitment(&secret, recipient, form)),
    };
    let digest = |bytes: &Vec<u8>| Digest::keyed(node.vault.id_key(), Kind::Consent, &[bytes]);
    Ok(Item {
        recipients: consent.recipients.iter().map(drawn).collect(),
        digest_as_given: consent.bytes_as_given.as_ref().map(digest),
        subject_ids: SubjectIds::new(&node.vault, &consent.subject_reference),
        supersedes: consent.supersedes,
        withdrawal_id: Id::new(at, random),
        draft: draft(call, &consent),
        consent: NewConsent {
            consent_id: consent.id,
            subject: subject.subject,
            state: consent.state,
            given_by: consent.given_by,
            form: consent.form,
            purposes: consent.purposes,
            record_kinds: consent.record_kinds,
            categories: consent.categories,
            explicit: consent.explicit,
            feedback: consent.feedback,
            given_at: consent.given_at,
            expires_at: consent.expires_at,
            releases_from_secrecy: consent.releases_from_secrecy,
            content_digest: digest(&consent.bytes),
            recorded_at: at,
            content: node.vault.seal(random, place(&consent.id), &content)?,
        },
        subject,
    })
}

fn new_subject(node: &Node, reference: &str) -> Result<NewSubject, StoreError> {
    let random = node.random.as_ref();
    let id = subject::id(&node.vault, reference);
    let (key, wrapped) = node.vault.new_subject_key(random, subject::place(&id))?;
    let sealed = Vault::seal_under_many(random, &[(&key, subject::place(&id), reference.as_bytes())])?;
    Ok(NewSubject { subject: id, key: wrapped, reference: sealed.into_iter().next().unwrap_or_default() })
}

/// Commits to the signed form towards one recipient: HMAC-SHA-256 of its hash with a key that is HMAC-SHA-256(secret of the
/// consent; recipient). The key can be shown to prove the form, and tells nothing about other recipients'.
fn commitment(secret: &[u8; SECRET_BYTES], recipient: &AgencyId, form: Digest) -> Vec<u8> {
    let secret = hmac::Key::new(hmac::HMAC_SHA256, secret);
    let key = hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&secret, recipient.as_str().as_bytes()).as_ref());
    hmac::sign(&key, form.as_bytes()).as_ref().to_vec()
}

fn draft(call: &Draft, consent: &RecordableConsent) -> Draft {
    let reasons = if consent.state == ConsentState::Refused { vec![Reason::ConsentRefused] } else { vec![] };
    Draft {
        categories: consent.categories,
        record_id: Some(consent.id),
        on_behalf_of: consent.recorded_by.clone(),
        reasons,
        ..call.clone()
    }
}

async fn record(
    tx: &mut Tx,
    node: &Node,
    items: &[Item],
) -> Result<(Vec<Result<Recorded, Reason>>, Replacement), StoreError> {
    let ids: HashSet<Id> =
        items.iter().flat_map(|item| [item.consent.consent_id].into_iter().chain(item.supersedes)).collect();
    let known = consent::known(tx, ids.into_iter().collect()).await?;
    let items = &with_known_subjects(tx, items).await?[..];
    let results = judge(items, known, node.withdrawn_and_lost.get());
    let is_new = |result: &Result<Recorded, Reason>| result.is_ok_and(|recorded| !recorded.repeated);
    let new: Vec<&Item> =
        items.iter().zip(&results).filter(|(_, result)| is_new(result)).map(|(item, _)| item).collect();
    if !new.is_empty() {
        write(tx, node, &new).await?;
    }
    let recorded = items.iter().zip(&results).filter(|(_, result)| result.is_ok());
    let superseded: Vec<Id> = recorded.filter_map(|(item, _)| item.supersedes).collect();
    Ok((results, Replacement::find(tx, &superseded).await?))
}

/// Puts consents to the subjects that are known, also under an id from before references were composed.
async fn with_known_subjects<'a>(tx: &mut Tx, items: &'a [Item]) -> Result<Cow<'a, [Item]>, StoreError> {
    let may_be_older = |item: &&Item| item.subject_ids.decomposed.is_some();
    let ids: Vec<Id> = items.iter().filter(may_be_older).flat_map(|item| item.subject_ids.all()).collect();
    if ids.is_empty() {
        return Ok(Cow::Borrowed(items));
    }
    let known = subject::known(tx, &ids).await?;
    let mut items = items.to_vec();
    for item in &mut items {
        item.consent.subject = item.subject_ids.known_among(&known);
    }
    Ok(Cow::Owned(items))
}

/// Decides in the order of the items, so that one can repeat or supersede another of the same batch.
///
/// What was withdrawn before a restore of the database is not recorded again: a file that is imported once more must not revive it.
fn judge(
    items: &[Item],
    mut known: HashMap<Id, Known>,
    withdrawn_and_lost: Option<&HashSet<Id>>,
) -> Vec<Result<Recorded, Reason>> {
    let judge_one = |item: &Item| {
        let consent = &item.consent;
        if let Some(known) = known.get(&consent.consent_id) {
            let digests = [Some(consent.content_digest), item.digest_as_given];
            let same = digests.contains(&Some(known.content_digest));
            return if same {
                Ok(Recorded { state: known.state, repeated: true })
            } else {
                Err(Reason::ConsentIdReused)
            };
        }
        if withdrawn_and_lost.is_some_and(|lost| lost.contains(&consent.consent_id)) {
            return Err(Reason::ConsentWithdrawn);
        }
        if let Some(superseded) = item.supersedes {
            let is_lost = withdrawn_and_lost.is_some_and(|lost| lost.contains(&superseded));
            match known.get(&superseded) {
                Some(superseded) if superseded.subject != consent.subject => return Err(Reason::ConsentOtherSubject),
                None if !is_lost => return Err(Reason::ConsentUnknown),
                _ => {}
            }
        }
        let Item { consent: NewConsent { consent_id, subject, content_digest, state, .. }, .. } = *item;
        known.insert(consent_id, Known { subject, content_digest, state });
        Ok(Recorded { state, repeated: false })
    };
    items.iter().map(judge_one).collect()
}

async fn write(tx: &mut Tx, node: &Node, items: &[&Item]) -> Result<(), StoreError> {
    let is_own = |item: &&&Item| item.consent.subject == item.subject.subject; // else it is known under its older id
    subject::insert(tx, items.iter().filter(is_own).map(|item| item.subject.clone()).collect()).await?;
    consent::insert(tx, items.iter().map(|item| item.consent.clone()).collect()).await?;
    let recipients: Vec<(&Item, &Drawn)> =
        items.iter().flat_map(|item| item.recipients.iter().map(move |drawn| (*item, drawn))).collect();
    if !recipients.is_empty() {
        write_recipients(tx, node.generation, &recipients).await?;
    }
    let mut drafts: Vec<_> = items.iter().map(|item| (EntryKind::ConsentRecorded, item.draft.clone())).collect();
    drafts.extend(replacing::supersede(tx, items).await?);
    entry::append(tx, node, drafts).await
}

async fn write_recipients(tx: &mut Tx, generation: u32, recipients: &[(&Item, &Drawn)]) -> Result<(), StoreError> {
    let alias = |(item, drawn): &(&Item, &Drawn)| NewAlias {
        subject: item.consent.subject,
        recipient: drawn.recipient.clone(),
        subject_ref: drawn.subject_ref,
    };
    subject::insert_aliases(tx, recipients.iter().map(alias).collect()).await?;
    let epochs = consent::draw_epochs(tx, generation, recipients.iter().map(|(_, drawn)| &drawn.recipient)).await?;
    let new = |(&(item, drawn), epoch): (&(&Item, &Drawn), _)| NewRecipient {
        consent_id: item.consent.consent_id,
        recipient: drawn.recipient.clone(),
        consent_ref: drawn.consent_ref,
        form_commitment: drawn.form_commitment.clone(),
        epoch,
    };
    consent::insert_recipients(tx, recipients.iter().zip(epochs).map(new).collect()).await
}

#[cfg(test)]
pub(crate) mod tests;
