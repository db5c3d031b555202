//! What an owner's database confirms to somebody who has no keys and guesses a content exactly: nothing.

use lotse_core::id::{Digest, Id};
use lotse_core::reason::Reason;
use lotse_core::referral::ReferralEvent;
use lotse_proto::exchange::v1::Envelope;
use lotse_store::outbox;
use lotse_store::testing::tamper;
use prost::Message;

use super::pair::Pair;
use crate::action::content_digest::ContentDigest;
use crate::action::submit_referrals::Timing;
use crate::testing::TestNode;
use crate::wire::envelope::{BodyKind, answer_bytes, join};

/// Tells whether bytes stand in a node's database as they are, in the write-ahead log too.
fn database_has(node: &TestNode, bytes: &[u8]) -> bool {
    let folder = node.database.folder().unwrap();
    let files = ["lotse.db", "lotse.db-wal"].map(|name| std::fs::read(folder.join(name)).unwrap());
    files.iter().any(|file| file.windows(bytes.len()).any(|window| window == bytes))
}

async fn content_digest(node: &TestNode, record_id: Id) -> Digest {
    let known = node.store.read("known", move |tx| Box::pin(async move { outbox::known(tx, &[record_id]).await }));
    known.await.unwrap().rows.remove(0).1.content_digest
}

#[tokio::test]
async fn a_nonce_is_in_no_database_and_the_digest_needs_it() {
    let pair = Pair::new().await;
    pair.consent("person-1").await;
    let referral = pair.delivered("key-1", "person-1").await;
    pair.answer("answer-1", referral, ReferralEvent::Accepted, false).await.unwrap();
    let answer = pair.claimed_answers().await.envelopes.remove(0);
    for envelope in [pair.held_bytes(referral).await, answer.to_vec()] {
        let nonce = Envelope::decode(&*envelope).unwrap().nonce;
        assert_eq!(nonce.len(), 32);
        assert!(!database_has(&pair.owner, &nonce) && !database_has(&pair.holder, &nonce));
    }
    let (sent, body) = (pair.sent(referral).await, pair.handover("key-1", "person-1").content);
    let head = sent.head.unwrap();
    assert!(database_has(&pair.owner, &head), "what is stored is found");
    let with = |nonce| Some(Digest::of_leaf(&join(nonce, &head, BodyKind::Referral, &body)));
    let exact = Envelope::decode(&*pair.held_bytes(referral).await).unwrap();
    assert_eq!(with(exact.nonce.first_chunk().unwrap()), sent.envelope_digest);
    assert_ne!(with(&[0; 32]), sent.envelope_digest);
}

#[tokio::test]
async fn the_digest_by_which_a_repeated_key_is_compared_has_a_key_and_belongs_to_one_record() {
    let pair = Pair::new().await;
    pair.consent("person-1").await;
    let (one, other) = (pair.delivered("key-1", "person-1").await, pair.delivered("key-2", "person-1").await);
    let plain = pair.handover("key-1", "person-1").digest();
    let key = pair.owner.vault.id_key();
    let stored = content_digest(&pair.owner, one).await;
    assert_eq!(stored, ContentDigest::new(key, &one, plain).to_store());
    assert_ne!(stored, plain);
    assert_ne!(stored, ContentDigest::new(pair.holder.vault.id_key(), &one, plain).to_store());
    assert_ne!(stored, content_digest(&pair.owner, other).await, "that two have the same content is not shown");

    let answer = pair.answer("answer-1", one, ReferralEvent::Accepted, false).await.unwrap().answer_id;
    assert!(pair.answer("answer-1", one, ReferralEvent::Accepted, false).await.unwrap().repeated);
    let envelope = pair.claimed_answers().await.envelopes.remove(0);
    let plain = Digest::concat(&[one.as_bytes(), &answer_bytes(&envelope).unwrap()]);
    let stored = content_digest(&pair.holder, answer).await;
    assert_eq!(stored, ContentDigest::new(pair.holder.vault.id_key(), &answer, plain).to_store());
    assert_ne!(stored, plain);
}

#[tokio::test]
async fn a_key_of_before_digests_had_keys_is_still_recognised() {
    let pair = Pair::new().await;
    pair.consent("person-1").await;
    let referral = pair.delivered("key-1", "person-1").await;
    let handover = pair.handover("key-1", "person-1");
    tamper::replace_content_digest(pair.owner.database.url(), &referral, &handover.digest());
    let again = pair.submit(&[handover], Timing::AtOnce).await.results.remove(0).unwrap();
    assert!(again.repeated && again.record_id == referral);
    let other = pair.submit(&[pair.handover("key-1", "person-2")], Timing::AtOnce).await.results.remove(0);
    assert_eq!(other.unwrap_err().reason(), Reason::IdempotencyKeyReused);

    let answer = pair.answer("answer-1", referral, ReferralEvent::Accepted, false).await.unwrap().answer_id;
    let envelope = pair.claimed_answers().await.envelopes.remove(0);
    let plain = Digest::concat(&[referral.as_bytes(), &answer_bytes(&envelope).unwrap()]);
    tamper::replace_content_digest(pair.holder.database.url(), &answer, &plain);
    let again = pair.answer("answer-1", referral, ReferralEvent::Accepted, false).await.unwrap();
    assert!(again.repeated && again.answer_id == answer);
    let other = pair.answer("answer-1", referral, ReferralEvent::InProgress, false).await;
    assert_eq!(other.unwrap_err().reason(), Reason::IdempotencyKeyReused);
}
