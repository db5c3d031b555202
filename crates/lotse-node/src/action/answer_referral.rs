//! Answers a received referral: what became of it goes back to its owner, within the feedback level of the consent.

use std::sync::Arc;

use lotse_core::agreement;
use lotse_core::answer::{self, AnswerBasis};
use lotse_core::category::{Categories, Category};
use lotse_core::custody::USUAL_LIFE;
use lotse_core::id::{AgencyId, Digest, Id};
use lotse_core::reason::Reason;
use lotse_core::referral::ReferralState;
use lotse_core::time::Timestamp;
use lotse_store::counter::{self, Counter};
use lotse_store::custody::{self, Held};
use lotse_store::outbox::{self, ItemKind, NewItem};
use lotse_store::{Readable, StoreError, Tx, log};

use crate::action::content_digest::ContentDigest;
use crate::action::guard;
use crate::action::outgoing::place;
use crate::action::thread_state;
use crate::entry::{Decision, Direction, Draft, EntryKind};
use crate::failure::{ErrorKind, Failure};
use crate::federation::{self, Federation};
use crate::node::Node;
use crate::telemetry::HandedOver;
use crate::telemetry::trace::Place;
use crate::wire::referral::Answer;
use crate::wire::request::{AnswerAsk, Ask, Request};

/// An answer that a system hands over.
#[derive(Clone)]
pub struct AnswerSubmission {
    /// Name of the system.
    pub system: String,
    /// Identity of the system, for the log.
    pub actor: String,
    /// Key chosen by the system.
    pub idempotency_key: String,
    /// Referral that is answered.
    pub referral_id: Id,
    /// The answer.
    pub answer: Answer,
    /// Opaque staff reference.
    pub on_behalf_of: String,
    /// Trace towards the recipient, 16 bytes or empty.
    pub trace_id: Vec<u8>,
    /// The call in which it was handed over, in its caller's trace: nothing of it crosses.
    pub caller: Option<Place>,
}

/// What was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// Record id of the answer.
    pub answer_id: Id,
    /// Where the referral stands now at this agency.
    pub state: ReferralState,
    /// Whether the key was accepted before.
    pub repeated: bool,
}

/// Answers a referral. The same key with the same answer has one effect.
///
/// # Errors
/// `NOT_FOUND` (also past its holding time), `IDEMPOTENCY_KEY_REUSED`, `TRANSITION_NOT_ALLOWED`, `FEEDBACK_NOT_ALLOWED`,
/// `NO_AGREEMENT`, `AGREEMENT_SUSPENDED`, `NO_CLAUSE`; what stops every release to its owner now: `PEER_UNKNOWN`, `PEER_SUSPENDED`,
/// `PEER_CARD_EXPIRED`, `OWN_CARD_EXPIRED`, `LOG_HOLD`, `CLOCK_STEPPED_BACK`,
/// `CLOCK_JUMPED_AHEAD`, `CLOCK_SKEW`.
pub async fn answer_referral(node: &Arc<Node>, submission: AnswerSubmission) -> Result<Answered, Failure> {
    let begun = node.telemetry.begin();
    let job = Arc::new((node.clone(), submission));
    let shared = job.clone();
    let AnswerEffect { result, owner, federation } = node
        .store
        .transact("answer", move |tx| {
            let job = shared.clone();
            Box::pin(async move { run(&job.0, &job.1, tx).await })
        })
        .await?;
    node.signals.log.notify_one();
    federation.iter().for_each(|federation| node.federation.keep(federation));
    match (&result, begun.zip(owner.as_ref())) {
        (Ok(answered), Some((begun, owner))) => {
            let AnswerSubmission { trace_id, caller, .. } = &job.1;
            let (result, repeated) = (Ok(answered.answer_id), answered.repeated);
            let handed_over = HandedOver { trace_id, caller: *caller, result, repeated };
            node.telemetry.handed_over(begun, owner, std::iter::once(handed_over));
        }
        (Err(failure), _) => node.telemetry.submission_refused(failure.reason()),
        (Ok(_), None) => {}
    }
    owner.iter().for_each(|owner| node.signals.due(owner).notify_one());
    result
}

/// The result of a transaction about an answer.
struct AnswerEffect {
    result: Result<Answered, Failure>,
    /// Owner to whom something is due.
    owner: Option<AgencyId>,
    /// The federation by which it was decided.
    federation: Option<Arc<Federation>>,
}

impl AnswerEffect {
    /// Makes the answer to a call about which nothing was decided.
    fn undecided(result: Result<Answered, Failure>) -> AnswerEffect {
        AnswerEffect { result, owner: None, federation: None }
    }
}

async fn run(node: &Node, submission: &AnswerSubmission, tx: &mut Tx) -> Result<AnswerEffect, StoreError> {
    let at = node.now();
    let Some(referral) = custody::find(tx, &[submission.referral_id]).await?.pop() else {
        return Ok(AnswerEffect::undecided(Err(Failure::not_found())));
    };
    if referral.kind != ItemKind::Referral || referral.hold_until <= at {
        return Ok(AnswerEffect::undecided(Err(Failure::not_found())));
    }
    let (answer_id, earlier_id) = ids(node, submission, &referral);
    let digest = content_digest(node, submission, &answer_id);
    let known = outbox::known(tx, &[answer_id, earlier_id]).await?;
    if !known.broken.is_empty() {
        return Ok(AnswerEffect::undecided(Err(Failure::unreadable())));
    }
    for (known_id, known) in known.rows {
        if known.kind == ItemKind::Answer {
            let digest = content_digest(node, submission, &known_id);
            return Ok(AnswerEffect::undecided(repeated(known_id, digest, &known, &referral)));
        }
    }
    let federation = federation::stored(tx, node).await?;
    let Readable { rows: answers, broken } = outbox::answers(tx, referral.record_id).await?;
    if !broken.is_empty() {
        // The state of the referral and the number of the next answer depend on each answer.
        return Ok(AnswerEffect::undecided(Err(Failure::unreadable())));
    }
    let stands = thread_state::from_answers(&answers).unwrap_or(referral.referral_state);
    match decide(node, &federation, submission, &referral, stands, at) {
        Ok(state) => {
            let sequence = answers.len() as u64 + 1;
            let item = new_item(node, submission, &referral, (answer_id, digest, sequence), at)?;
            outbox::insert(tx, vec![item]).await?;
            custody::set_referral_state(tx, referral.record_id, state).await?;
            let result = Ok(Answered { answer_id, state, repeated: false });
            Ok(AnswerEffect { result, owner: Some(referral.owner), federation: Some(federation) })
        }
        Err(failure) => {
            let counters = counter::take(tx, &[(Counter::Leaf, 1)]).await?;
            let entry = refusal_entry(node, submission, &referral, &failure, at);
            log::append(tx, node.generation, counters.first(&Counter::Leaf, 1), vec![entry]).await?;
            Ok(AnswerEffect { result: Err(failure), owner: None, federation: Some(federation) })
        }
    }
}

/// Derives the id of an answer, and the one that the same answer got from earlier versions, whose answers shared the keys of referrals.
fn ids(node: &Node, submission: &AnswerSubmission, referral: &Held) -> (Id, Id) {
    let (id_key, system, key) = (node.vault.id_key(), &submission.system, &submission.idempotency_key);
    (Id::of_answer(id_key, system, key, &referral.owner), Id::of_record(id_key, system, key, &referral.owner))
}

fn content_digest(node: &Node, submission: &AnswerSubmission, answer_id: &Id) -> ContentDigest {
    let plain = Digest::concat(&[submission.referral_id.as_bytes(), &submission.answer.bytes]);
    ContentDigest::new(node.vault.id_key(), answer_id, plain)
}

fn repeated(answer_id: Id, digest: ContentDigest, known: &outbox::Known, referral: &Held) -> Result<Answered, Failure> {
    if digest.is_stored_as(known.content_digest) {
        return Ok(Answered { answer_id, state: referral.referral_state, repeated: true });
    }
    Err(Failure::new(
        ErrorKind::Refused,
        Reason::IdempotencyKeyReused,
        "the idempotency key was used before with other content: repeat the same content, or choose a new key",
    ))
}

fn decide(
    node: &Node,
    federation: &Federation,
    submission: &AnswerSubmission,
    referral: &Held,
    stands: ReferralState,
    at: Timestamp,
) -> Result<ReferralState, Failure> {
    let state = stands
        .after(submission.answer.event)
        .map_err(|error| Failure::new(ErrorKind::Refused, Reason::TransitionNotAllowed, error.to_string()))?;
    guard::releasable(node, federation, &referral.owner, at).map_err(Failure::refused)?;
    let basis = AnswerBasis {
        owner: &referral.owner,
        holder: &node.agency,
        agreement: referral.agreement_id,
        clause_id: &referral.clause_id,
        feedback: referral.feedback,
        covers_note: referral.covered.contains(Category::Note),
        hold_until: referral.hold_until,
    };
    answer::decide(&basis, submission.answer.content, &federation.agreements, at).map_err(Failure::refused)?;
    let current = agreement::current(&federation.agreements, referral.agreement_id, at);
    current.map(|_| state).ok_or_else(|| Failure::refused(Reason::NoAgreement))
}

fn new_item(
    node: &Node,
    submission: &AnswerSubmission,
    referral: &Held,
    (answer_id, digest, sequence): (Id, ContentDigest, u64),
    at: Timestamp,
) -> Result<NewItem, StoreError> {
    let ask = AnswerAsk {
        agreement_id: referral.agreement_id,
        clause_id: referral.clause_id.clone(),
        consent_ref: referral.consent_ref,
        epoch: referral.epoch,
        hold_until: referral.hold_until,
        feedback: referral.feedback,
        covers_note: referral.covered.contains(Category::Note),
        content: submission.answer.content,
        event: Some(submission.answer.event),
    };
    let request = Request {
        actor: submission.actor.clone(),
        on_behalf_of: submission.on_behalf_of.clone(),
        trace_id: submission.trace_id.clone(),
        thread_sequence: sequence,
        ask: Ask::Answer(ask),
    };
    Ok(NewItem {
        record_id: answer_id,
        kind: ItemKind::Answer,
        recipient: referral.owner.clone(),
        thread_id: referral.record_id,
        system: submission.system.clone(),
        idempotency_key: submission.idempotency_key.clone(),
        content_digest: digest.to_store(),
        subject: None,
        purpose: referral.purpose,
        present: Categories::NONE,
        left_out: Categories::NONE,
        request: request.encode().into(),
        submitted_at: at,
        expires_at: at.plus(USUAL_LIFE),
        content: node.vault.seal(&*node.random, place(&answer_id), &submission.answer.bytes)?,
        release: None,
    })
}

fn refusal_entry(
    node: &Node,
    submission: &AnswerSubmission,
    referral: &Held,
    failure: &Failure,
    at: Timestamp,
) -> log::Entry {
    Draft {
        direction: Direction::Out,
        peer: Some(referral.owner.clone()),
        agreement_id: Some(referral.agreement_id),
        clause_id: referral.clause_id.clone(),
        consent_ref: Some(referral.consent_ref),
        purpose: Some(referral.purpose),
        record_id: Some(referral.record_id),
        actor: submission.actor.clone(),
        on_behalf_of: submission.on_behalf_of.clone(),
        decision: Decision::Refuse,
        reasons: failure.causes.iter().map(|cause| cause.reason).collect(),
        trace_id: submission.trace_id.clone(),
        ..Draft::default()
    }
    .entry(EntryKind::SubmitRefused, at, &*node.random)
}

#[cfg(test)]
mod tests {
    use lotse_core::answer::AnswerContent;
    use lotse_core::referral::ReferralEvent;

    use super::*;
    use crate::action::delivery_tests::pair::Pair;

    /// A referral that the holder has, and an answer to it.
    async fn answerable() -> (Pair, AnswerSubmission) {
        let pair = Pair::new().await;
        pair.consent("person-1").await;
        let referral_id = pair.delivered("key-1", "person-1").await;
        let submission = AnswerSubmission {
            system: "akte".into(),
            actor: "spiffe://aa.example/system/akte".into(),
            idempotency_key: "case-17".into(),
            referral_id,
            answer: Answer {
                bytes: vec![1],
                content: AnswerContent { outcome: false, note: false },
                event: ReferralEvent::Accepted,
            },
            on_behalf_of: String::new(),
            trace_id: vec![],
            caller: None,
        };
        (pair, submission)
    }

    /// Stores what the holder handed over under the id that keys of referrals and answers once shared.
    async fn store_under_shared_id(pair: &Pair, submission: &AnswerSubmission, kind: ItemKind) -> Id {
        let referral = pair.held(submission.referral_id).await.unwrap();
        let (_, shared_id) = ids(&pair.holder, submission, &referral);
        let digest = content_digest(&pair.holder, submission, &shared_id);
        let item = new_item(&pair.holder, submission, &referral, (shared_id, digest, 1), pair.holder.now()).unwrap();
        let item = NewItem { kind, ..item };
        let stored = pair.holder.store.transact("test_item", move |tx| {
            let item = item.clone();
            Box::pin(async move { outbox::insert(tx, vec![item]).await })
        });
        stored.await.unwrap();
        shared_id
    }

    #[tokio::test]
    async fn a_key_of_a_referral_is_free_for_an_answer_to_the_same_agency() {
        let (pair, submission) = answerable().await;
        let referral_id = store_under_shared_id(&pair, &submission, ItemKind::Referral).await;
        let answered = answer_referral(&pair.holder, submission.clone()).await.unwrap();
        assert!(!answered.repeated && answered.answer_id != referral_id);
        assert!(answer_referral(&pair.holder, submission).await.unwrap().repeated);
    }

    #[tokio::test]
    async fn an_answer_of_an_earlier_version_is_recognised_when_it_is_repeated() {
        let (pair, mut submission) = answerable().await;
        let answer_id = store_under_shared_id(&pair, &submission, ItemKind::Answer).await;
        let repeated = answer_referral(&pair.holder, submission.clone()).await.unwrap();
        assert!(repeated.repeated && repeated.answer_id == answer_id);
        submission.answer.bytes = vec![2];
        let other = answer_referral(&pair.holder, submission).await.unwrap_err();
        assert_eq!(other.reason(), Reason::IdempotencyKeyReused);
    }

    #[tokio::test]
    async fn an_answer_reads_the_federation_only_when_it_has_changed() {
        let (pair, submission) = answerable().await;
        let statements = || pair.holder.store.counters().work("answer").statements;
        answer_referral(&pair.holder, submission).await.unwrap();
        // One is the version of the federation. To read all of it takes six.
        assert_eq!(statements(), 8);
    }
}
