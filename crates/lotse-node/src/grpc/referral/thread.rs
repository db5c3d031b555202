//! Referrals and their threads as messages.

use lotse_core::agreement::words::{Language, Term as _};
use lotse_core::category::Category;
use lotse_core::delivery::DeliveryState;
use lotse_core::reason::Reason;
use lotse_proto::agency::v1 as agency;
use lotse_proto::record::v1::ReferralAnswer;
use lotse_store::custody::Held;
use lotse_store::outbox::Item;
use prost::Message;

use crate::action::get_referral::ThreadAnswer;
use crate::action::submit_referrals::Submitted;
use crate::wire::category;
use crate::wire::decision;
use crate::wire::time;

/// Says in a language what to do where a key was used before for a referral that came to nothing, or where another one of the same
/// person is open; empty where neither is so.
pub(super) fn hint(submitted: &Submitted, language: Language) -> String {
    if let Some(open) = submitted.open_referral {
        return language.choose((
            format!(
                "eine weitere Zuweisung dieser Person an diese Stelle ist offen ({open}): wird sie hier korrigiert, jene stornieren, \
                 solange sie wartet, oder mit der Stelle klären, welche der beiden gilt"
            ),
            format!(
                "another referral of this person to this recipient is open ({open}): if this one corrects it, cancel that one while it \
                 waits, or agree with the recipient which of the two counts"
            ),
        ));
    }
    if !submitted.repeated || !submitted.state.is_failed() {
        return String::new();
    }
    let state = submitted.state.term(language);
    let (first_german, first_english) = match submitted.reasons.iter().any(|&reason| is_lack_of_consent(reason)) {
        true => {
            ("zuerst eine Einwilligung erfassen, die sie deckt, und ", "first record a consent that covers it, and ")
        }
        false => ("", ""),
    };
    language.choose((
        format!(
            "nichts wurde übergeben: dieser Schlüssel wurde schon verwendet, und aus jener Zuweisung wurde nichts ({state}); soll sie \
             noch einmal übergeben werden, {first_german}ihr einen eigenen Schlüssel geben (in Tabellen die Spalte Schlüssel)"
        ),
        format!(
            "nothing was handed over: this key was used before, and that referral is {state}; to hand it over once more, \
             {first_english}give it an idempotency key of its own (in tables the column Schlüssel)"
        ),
    ))
}

/// Returns whether another key alone cannot help, because no consent covers the referral any more.
fn is_lack_of_consent(reason: Reason) -> bool {
    matches!(reason, Reason::NoConsent | Reason::ConsentWithdrawn | Reason::ConsentExpired | Reason::ConsentSuperseded)
}

/// Writes a referral that this agency sent.
pub(super) fn sent(item: &Item) -> agency::ReferralSummary {
    agency::ReferralSummary {
        referral_id: item.record_id.to_string(),
        side: agency::Side::Sent as i32,
        peer: item.recipient.to_string(),
        state: item.referral_state.number(),
        delivery: item.delivery.number(),
        categories: category::numbers(item.categories),
        left_out: category::numbers(item.left_out),
        idempotency_key: item.idempotency_key.clone(),
        at: Some(time::message(item.submitted_at)),
        hold_until: item.hold_until.map(time::message),
        reasons: item.reasons.iter().map(|&reason| decision::reason(reason)).collect(),
        subject_ref: String::new(),
        purpose: item.purpose.number(),
        feedback_level: item.feedback.map_or(0, |level| level.number()),
    }
}

/// Writes a referral that this agency received.
pub(super) fn received(held: &Held) -> agency::ReferralSummary {
    agency::ReferralSummary {
        referral_id: held.record_id.to_string(),
        side: agency::Side::Received as i32,
        peer: held.owner.to_string(),
        state: held.referral_state.number(),
        delivery: 0,
        categories: held.present.iter().map(Category::number).collect(),
        left_out: Vec::new(),
        idempotency_key: String::new(),
        at: Some(time::message(held.taken_at)),
        hold_until: Some(time::message(held.hold_until)),
        reasons: Vec::new(),
        subject_ref: held.subject_ref.map(|id| id.to_string()).unwrap_or_default(),
        purpose: held.purpose.number(),
        feedback_level: held.feedback.number(),
    }
}

/// Writes an answer of a thread.
pub(super) fn event(answer: &ThreadAnswer) -> agency::ThreadEvent {
    agency::ThreadEvent {
        answer_id: answer.answer_id.to_string(),
        own: answer.own,
        sequence: answer.sequence,
        at: Some(time::message(answer.at)),
        answer: (!answer.content.is_empty()).then(|| ReferralAnswer::decode(answer.content.as_slice()).ok()).flatten(),
        delivery: answer.delivery.map_or(0, DeliveryState::number),
    }
}

#[cfg(test)]
mod tests {
    use lotse_core::category::Categories;
    use lotse_core::id::Id;
    use lotse_core::referral::ReferralState;

    use super::*;

    fn submitted(state: ReferralState, repeated: bool) -> Submitted {
        let (record_id, delivery) = (Id::from_bytes([1; 16]), DeliveryState::Ended);
        let (reasons, left_out, open_referral) = (Vec::new(), Categories::default(), None);
        Submitted { record_id, delivery, state, reasons, left_out, repeated, open_referral }
    }

    #[test]
    fn a_repeated_key_that_came_to_nothing_has_a_hint_and_no_other_has() {
        let hint = |submitted: &Submitted| hint(submitted, Language::English);
        for state in (1..).map_while(ReferralState::from_number) {
            assert_eq!(hint(&submitted(state, true)).is_empty(), !state.is_failed(), "{state:?}");
            assert!(hint(&submitted(state, false)).is_empty());
        }
        let open =
            Submitted { open_referral: Some(Id::from_bytes([2; 16])), ..submitted(ReferralState::Offered, false) };
        assert!(hint(&open).contains(&Id::from_bytes([2; 16]).to_string()), "{}", hint(&open));
        let told = hint(&submitted(ReferralState::Declined, true));
        assert!(told.contains("is declined") && told.contains("column Schlüssel"), "{told}");
        assert!(!told.contains("consent"), "{told}");
        let reasons = vec![Reason::ConsentWithdrawn];
        let withdrawn = Submitted { reasons, ..submitted(ReferralState::Cancelled, true) };
        assert!(hint(&withdrawn).contains("first record a consent that covers it"), "{}", hint(&withdrawn));
    }

    #[test]
    fn a_hint_is_in_the_language_of_the_caller() {
        let open = Submitted { open_referral: Some(Id::NIL), ..submitted(ReferralState::Offered, false) };
        let ended = submitted(ReferralState::Cancelled, true);
        let in_german = [open, ended].map(|submitted| hint(&submitted, Language::German));
        assert!(in_german[0].starts_with("eine weitere Zuweisung dieser Person"), "{}", in_german[0]);
        assert!(in_german[1].contains("wurde nichts (storniert)"), "{}", in_german[1]);
    }
}
