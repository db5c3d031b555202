//! The answer to a referral: may its holder report this back? Both ends ask.

use crate::agreement::{self, Clause, KnownAgreement, OnEnd};
use crate::category::Category;
use crate::consent::{Consent, ConsentState, Withdrawn};
use crate::feedback::FeedbackLevel;
use crate::id::{AgencyId, Id};
use crate::purpose::Purpose;
use crate::reason::Reason;
use crate::time::Timestamp;

/// What an answer carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnswerContent {
    /// Whether it carries an outcome code.
    pub outcome: bool,
    /// Whether it carries a note.
    pub note: bool,
}

/// The basis on which the referral came: an answer rests on the same.
#[derive(Clone, Debug)]
pub struct AnswerBasis<'a> {
    /// Agency that owns the referral.
    pub owner: &'a AgencyId,
    /// Agency that holds it and answers.
    pub holder: &'a AgencyId,
    /// Agreement of the referral.
    pub agreement: Id,
    /// Clause of the referral.
    pub clause_id: &'a str,
    /// Feedback level of the excerpt.
    pub feedback: FeedbackLevel,
    /// Whether the excerpt covers the category note.
    pub covers_note: bool,
    /// Until when the answer may be held.
    pub hold_until: Timestamp,
}

/// Decides whether an answer may be released: the referral's agreement must still be in force, neither party ended, and the excerpt's feedback
/// level must allow what the answer carries. A note needs a clause in the answer's direction too.
pub fn decide(
    basis: &AnswerBasis<'_>,
    content: AnswerContent,
    known: &[KnownAgreement],
    at: Timestamp,
) -> Result<(), Reason> {
    let current = agreement::current(known, basis.agreement, at).ok_or(Reason::NoAgreement)?;
    if current.suspended {
        return Err(Reason::AgreementSuspended);
    }
    if !current.agreement.covers(at) {
        return Err(Reason::NoAgreement);
    }
    let party = |agency| {
        current.agreement.party(agency).ok_or(Reason::NoAgreement)?;
        current.agreement.active_party(agency, at).ok_or(Reason::PartyEnded)
    };
    let (owner, holder) = (party(basis.owner)?, party(basis.holder)?);
    if basis.hold_until <= at {
        return Err(Reason::ConsentExpired);
    }
    let clause = current.agreement.clause(basis.clause_id).ok_or(Reason::NoClause)?;
    let back = |c: &Clause| c.allows(clause.purpose, clause.record_kind, holder.kind, owner.kind);
    let note_goes_back = || {
        basis.covers_note && current.agreement.clauses.iter().any(|c| back(c) && c.categories.contains(Category::Note))
    };
    let allowed = clause.permits_feedback(basis.feedback)
        && basis.feedback >= needed(content)
        && (!content.note || note_goes_back());
    if allowed { Ok(()) } else { Err(Reason::FeedbackNotAllowed) }
}

/// Returns until when the owner holds an answer: no longer than its holder says, than the clause and the consent of the referral
/// allow, and than the agreement lasts if copies go with it.
pub fn hold_until(
    basis: &AnswerBasis<'_>,
    consent_expires_at: Timestamp,
    known: &[KnownAgreement],
    at: Timestamp,
) -> Timestamp {
    let longest = basis.hold_until.min(consent_expires_at);
    let Some(current) = agreement::current(known, basis.agreement, at) else { return longest };
    let clause = current.agreement.clause(basis.clause_id);
    let longest = clause.map_or(longest, |clause| longest.min(at.plus(clause.retention())));
    if current.agreement.on_end == OnEnd::Purge { longest.min(current.agreement.valid_until) } else { longest }
}

/// Says why the owner refuses what an answer carries beside its state, as the consent of the referral stands when it arrives; none if
/// it may be held. A state says nothing that the owner must not keep: it is taken after a withdrawal too. Replacing a consent is no
/// withdrawal, and what ends with time ends with the lease.
pub fn objection(content: AnswerContent, purpose: Purpose, consent: Option<&Consent>) -> Option<Reason> {
    if !content.outcome && !content.note {
        return None;
    }
    let Some(consent) = consent else { return Some(Reason::ConsentUnknown) };
    let Withdrawn { whole, purposes, categories } = consent.withdrawn;
    let all = whole || purposes.contains(purpose) || consent.state == ConsentState::Withdrawn;
    let is_withdrawn = all || (content.note && categories.contains(Category::Note));
    is_withdrawn.then_some(Reason::ConsentWithdrawn)
}

/// Returns the feedback level that an answer needs.
fn needed(content: AnswerContent) -> FeedbackLevel {
    match content {
        AnswerContent { note: true, .. } => FeedbackLevel::Full,
        AnswerContent { outcome: true, .. } => FeedbackLevel::Outcome,
        _ => FeedbackLevel::Status,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agency::AgencyKind;
    use crate::agreement::tests::{agency, agreement, at, clause, known};
    use crate::agreement::{Agreement, Clause};
    use crate::category::Categories;
    use crate::release::tests::consent;

    const STATUS: AnswerContent = AnswerContent { outcome: false, note: false };
    const OUTCOME: AnswerContent = AnswerContent { outcome: true, note: false };
    const NOTE: AnswerContent = AnswerContent { outcome: false, note: true };

    fn ask(agreement: Agreement, feedback: FeedbackLevel, content: AnswerContent) -> Result<(), Reason> {
        let (owner, holder) = (agency("jc.example"), agency("aa.example"));
        let basis = AnswerBasis {
            owner: &owner,
            holder: &holder,
            agreement: agreement.id,
            clause_id: "orientation",
            feedback,
            covers_note: true,
            hold_until: at(30),
        };
        decide(&basis, content, &[known(agreement)], at(5))
    }

    #[test]
    fn no_answer_carries_more_than_its_feedback_level() {
        use FeedbackLevel::*;
        for (feedback, content, allowed) in [
            (None, STATUS, false),
            (Status, STATUS, true),
            (Status, OUTCOME, false),
            (Outcome, OUTCOME, true),
            (Outcome, NOTE, false),
        ] {
            assert_eq!(ask(agreement(1, 1), feedback, content).is_ok(), allowed, "{feedback:?} {content:?}");
        }
    }

    #[test]
    fn what_would_be_deleted_at_once_does_not_go() {
        let (owner, holder) = (agency("jc.example"), agency("aa.example"));
        let known = [known(agreement(1, 1))];
        let basis = |hold_until| AnswerBasis {
            owner: &owner,
            holder: &holder,
            agreement: known[0].agreement.id,
            clause_id: "orientation",
            feedback: FeedbackLevel::Status,
            covers_note: false,
            hold_until,
        };
        let decided = |hold_until| decide(&basis(hold_until), STATUS, &known, at(5));
        assert_eq!((decided(at(6)), decided(at(5))), (Ok(()), Err(Reason::ConsentExpired)));
        let held = |asked, consent_ends| hold_until(&basis(asked), consent_ends, &known, at(5));
        assert_eq!(held(at(30), at(200)), at(30), "as long as the holder says");
        assert_eq!(held(at(300), at(200)), at(95), "never longer than the clause says");
        assert_eq!(held(at(300), at(20)), at(20), "nor than the consent lasts");
        let purged = Agreement { on_end: OnEnd::Purge, valid_until: at(40), ..agreement(1, 1) };
        assert_eq!(hold_until(&basis(at(300)), at(200), &[crate::agreement::tests::known(purged)], at(5)), at(40));
    }

    #[test]
    fn after_a_withdrawal_the_owner_takes_states_only() {
        let given = consent(1);
        let standing = |change: fn(&mut Consent)| {
            let mut consent = given.clone();
            change(&mut consent);
            [STATUS, OUTCOME, NOTE].map(|content| objection(content, Purpose::Orientation, Some(&consent)))
        };
        let withdrawn = Some(Reason::ConsentWithdrawn);
        let states_only = [None, withdrawn, withdrawn];
        assert_eq!(standing(|_| ()), [None; 3]);
        assert_eq!(standing(|consent| consent.withdrawn.whole = true), states_only);
        assert_eq!(standing(|consent| consent.state = ConsentState::Withdrawn), states_only);
        assert_eq!(standing(|consent| consent.withdrawn.purposes = Purpose::Orientation.into()), states_only);
        assert_eq!(standing(|consent| consent.withdrawn.purposes = Purpose::JobPlacement.into()), [None; 3]);
        assert_eq!(standing(|consent| consent.withdrawn.categories = Category::Note.into()), [None, None, withdrawn]);
        assert_eq!(
            standing(|consent| consent.state = ConsentState::Superseded),
            [None; 3],
            "replacing is no withdrawal"
        );
        let unknown = Some(Reason::ConsentUnknown);
        assert_eq!(
            [STATUS, OUTCOME, NOTE].map(|content| objection(content, Purpose::Orientation, None)),
            [None, unknown, unknown]
        );
    }

    #[test]
    fn a_note_needs_a_clause_in_its_direction() {
        assert_eq!(ask(agreement(1, 1), FeedbackLevel::Full, NOTE), Err(Reason::FeedbackNotAllowed));
        let mut both_ways = agreement(1, 1);
        both_ways.clauses.push(Clause {
            from_kinds: vec![AgencyKind::EmploymentAgency],
            to_kinds: vec![AgencyKind::JobcenterGe],
            categories: Categories::from(Category::Note),
            ..clause("back")
        });
        assert_eq!(ask(both_ways, FeedbackLevel::Full, NOTE), Ok(()));
    }

    #[test]
    fn an_answer_needs_the_referrals_agreement_in_force() {
        let ended = Agreement { valid_until: at(4), ..agreement(1, 1) };
        assert_eq!(ask(ended, FeedbackLevel::Status, STATUS), Err(Reason::NoAgreement));
        for ended in 0..2 {
            let mut left = agreement(1, 1);
            left.parties[ended].ended_on = Some("2026-01-05".parse().unwrap());
            assert_eq!(ask(left, FeedbackLevel::Status, STATUS), Err(Reason::PartyEnded));
        }
        let without = Agreement { clauses: vec![clause("other")], ..agreement(1, 1) };
        assert_eq!(ask(without, FeedbackLevel::Status, STATUS), Err(Reason::NoClause));
    }
}
