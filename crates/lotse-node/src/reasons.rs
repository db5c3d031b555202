//! Every reason of level 1 is told by something that a node does: a story for each. A new reason without a story does not
//! compile.

mod agreements;
mod cards;
mod consents;
mod envelopes;
mod peers;
mod requests;

use std::ops::RangeInclusive;

use lotse_core::reason::Reason;

use crate::action::delivery_tests::pair::Pair;
use crate::action::submit_referrals::Timing;
use crate::failure::Failure;
use crate::wire::referral::Handover;

/// Plays the story of a reason and returns the reasons that came out of it; none for what only level 2 tells.
async fn told(reason: Reason) -> Option<Vec<Reason>> {
    use Reason::*;
    Some(match reason {
        NoAgreement => agreements::none().await,
        AgreementSuspended => agreements::suspended().await,
        NoClause => agreements::no_clause().await,
        AgreementUnknown => agreements::seals_of_an_unknown_text().await,
        AgreementSuperseded => agreements::a_lower_version().await,
        AgreementNotInForce => agreements::unsealed().await,
        AgreementSealInvalid => agreements::a_seal_by_a_key_it_brings().await,
        AgreementPartyUnknown => agreements::a_stranger_as_party().await,
        AgreementConflict => agreements::another_text_than_was_read().await,
        AgreementTooSoon => agreements::a_version_for_tomorrow().await,
        AgreementInvalid => agreements::no_agreement_at_all().await,
        NoConsent => consents::none().await,
        ConsentUnknown => consents::unknown().await,
        ConsentExpired => consents::expired().await,
        ConsentWithdrawn => consents::withdrawn().await,
        ConsentRefused => consents::refused_by_the_person().await,
        ConsentSuperseded => consents::superseded().await,
        ConsentOtherRecipient => consents::for_another_recipient().await,
        ConsentOtherPurpose => consents::for_another_purpose().await,
        ConsentOtherRecordKind => consents::for_another_record_kind().await,
        ConsentOtherSubject => consents::of_another_subject().await,
        ConsentIdReused => consents::the_same_id_again().await,
        ConsentNotExplicit => consents::oral_for_a_clause_that_needs_explicit_consent().await,
        CategoryNotInClause => consents::a_category_outside_the_clause().await,
        CategoryNotInConsent => consents::a_category_outside_the_consent().await,
        CategoryNotExplicit => consents::a_special_category_that_is_not_named_explicitly().await,
        SectionRequired => consents::a_required_section_left_out().await,
        NothingLeft => consents::everything_left_out().await,
        FeedbackNotAllowed => consents::an_outcome_where_only_the_state_may_go_back().await,
        SecrecyNotReleased => consents::health_data_under_secrecy().await,
        EntrustedData => consents::entrusted_data().await,
        PartyEnded => agreements::an_ended_party().await,
        PeerUnknown => peers::unknown().await,
        PeerSuspended => peers::suspended().await,
        PeerCardExpired => peers::card_expired().await,
        ClockSkew => peers::clocks_apart().await,
        ClockSteppedBack => peers::clock_stepped_back().await,
        ClockJumpedAhead => peers::clock_jumped_ahead().await,
        NodeStateInDoubt => peers::numbers_later_than_known().await,
        LogHold => peers::log_on_hold().await,
        OwnCardExpired => peers::own_card_expired().await,
        SealInvalid => envelopes::a_changed_seal().await,
        BatchReused => envelopes::a_batch_id_again().await,
        IdReused => envelopes::an_envelope_id_again().await,
        EnvelopeInvalid => envelopes::changed(|envelope| envelope.nonce.clear()).await,
        SenderMismatch => envelopes::changed(|envelope| envelope.sender = "zz.example".into()).await,
        RecipientMismatch => envelopes::changed(|envelope| envelope.recipient = "zz.example".into()).await,
        BatchInvalid => envelopes::changed_under_its_seal().await,
        CreatedInFuture => envelopes::changed(|envelope| envelope.created_at_us += 121_000_000).await,
        LifeTooLong => envelopes::changed(|envelope| envelope.expires_at_us += 8 * 86_400_000_000).await,
        EnvelopeExpired => envelopes::late().await,
        ThreadUnknown => envelopes::an_answer_to_nothing().await,
        BasisMismatch => envelopes::changed(envelopes::other_agreement_text).await,
        RevisionStale => envelopes::the_same_revision_again().await,
        SchemaTooNew => envelopes::with_an_unknown_field().await,
        GenerationMismatch => envelopes::changed(|envelope| envelope.recipient_generation += 1).await,
        ReceiptInvalid => envelopes::a_receipt_without_its_items().await,
        FieldInvalid | FieldMissing => requests::a_malformed_handover(),
        IdempotencyKeyReused => requests::a_key_with_other_content().await,
        TransitionNotAllowed => requests::an_answer_out_of_order().await,
        NotFound => requests::a_referral_that_is_not_there().await,
        TooLarge => envelopes::changed(envelopes::too_large).await,
        Overloaded => requests::a_call_too_many().await,
        RoleNotAllowed => requests::an_officer_at_the_desk().await,
        Unavailable => requests::a_closed_database().await,
        NotGranted => requests::a_system_without_grant().await,
        CardSealInvalid => cards::unsigned().await,
        CardVersionLower => cards::an_older_one().await,
        CardRootChanged => cards::another_root().await,
        CardConflict => cards::another_text_of_the_same_version().await,
        CardExpired => cards::expired().await,
        CardInvalid => cards::another_generation().await,
        FingerprintMismatch => cards::another_fingerprint().await,
        ItemCancelled => requests::a_cancelled_item().await,
        ItemExpired => requests::an_item_whose_time_is_over().await,
        ConsentUnconfirmedAfterRestore | PeerTooOld | EpochStale | CatchingUp => return None,
    })
}

async fn all_are_told(numbers: RangeInclusive<i32>) {
    for &reason in Reason::ALL.iter().filter(|reason| numbers.contains(&reason.number())) {
        match Box::pin(told(reason)).await {
            Some(told) => assert!(reason.level() == 1 && told.contains(&reason), "{reason}: {told:?} came out"),
            None => assert!(reason.level() > 1, "{reason} is of level 1 and nothing tells it"),
        }
    }
}

#[tokio::test]
async fn every_reason_about_agreements_is_told() {
    all_are_told(1..=19).await;
}

#[tokio::test]
async fn every_reason_about_consents_and_categories_is_told() {
    all_are_told(20..=59).await;
}

#[tokio::test]
async fn every_reason_about_peers_and_the_own_state_is_told() {
    all_are_told(60..=79).await;
}

#[tokio::test]
async fn every_reason_about_envelopes_is_told() {
    all_are_told(80..=99).await;
}

#[tokio::test]
async fn every_reason_about_requests_is_told() {
    all_are_told(100..=119).await;
}

#[tokio::test]
async fn every_reason_about_cards_and_items_is_told() {
    all_are_told(120..=199).await;
}

#[test]
fn no_reason_is_left_out_of_these() {
    assert!(Reason::ALL.iter().all(|reason| (1..=199).contains(&reason.number())));
}

/// Submits one referral and returns why it is refused.
async fn refused(pair: &Pair, handover: Handover) -> Vec<Reason> {
    let outcome = pair.submit(&[handover], Timing::AtOnce).await;
    assert!(outcome.shipment.is_none(), "what is refused does not leave");
    causes(&outcome.results[0].clone().unwrap_err())
}

fn causes(failure: &Failure) -> Vec<Reason> {
    failure.causes.iter().map(|cause| cause.reason).collect()
}
