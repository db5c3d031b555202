//! German words for the codes of an event, for tables that people read.

use lotse_core::agreement::words::{Language, Term as _};
use lotse_core::reason::Reason;
use lotse_core::referral;
use lotse_proto::agency::v1::{DeliveryState, ReferralState};
use lotse_proto::record::v1::{DeclineReason, Outcome};

/// Returns the German word of a `ReferralState` of proto JSON; a code that is not known here stays as it is.
pub(super) fn state(code: &str) -> String {
    let state = ReferralState::from_str_name(code).and_then(|state| referral::ReferralState::from_number(state as i32));
    state.map_or(code, |state| state.term(Language::German)).to_owned()
}

/// Returns the German word of a `DeliveryState`.
pub(super) fn delivery(code: &str) -> String {
    use DeliveryState::*;
    let word = DeliveryState::from_str_name(code).map(|state| match state {
        Unspecified => "",
        Due => "wartet",
        InDoubt => "ungeklärt",
        Taken => "übernommen",
        Refused => "abgelehnt",
        Ended => "beendet",
    });
    word.unwrap_or(code).to_owned()
}

/// Returns the German word of a `DeclineReason`.
pub(super) fn decline_reason(code: &str) -> String {
    use DeclineReason::*;
    let word = DeclineReason::from_str_name(code).map(|reason| match reason {
        Unspecified => "",
        NotCompetentLocal => "örtlich nicht zuständig",
        NotCompetentMaterial => "sachlich nicht zuständig",
        NotEligibleAge => "Alter passt nicht",
        NotEligibleStatus => "rechtlicher Status passt nicht",
        NoCapacity => "kein freier Platz",
        Duplicate => "schon in Bearbeitung",
        InsufficientData => "Angaben reichen nicht",
        PersonUnreachable => "Person nicht erreichbar",
        PersonDeclined => "Person möchte nicht",
        AlreadyServed => "wird schon betreut",
    });
    word.unwrap_or(code).to_owned()
}

/// Returns the German word of an `Outcome`.
pub(super) fn outcome(code: &str) -> String {
    use Outcome::*;
    let word = Outcome::from_str_name(code).map(|outcome| match outcome {
        Unspecified => "",
        EmploymentSubjectToSocialInsurance => "sozialversicherungspflichtige Beschäftigung",
        EmploymentMinor => "geringfügige Beschäftigung",
        SelfEmployment => "Selbstständigkeit",
        Apprenticeship => "Ausbildung",
        DualStudy => "duales Studium",
        School => "Schule",
        MeasureStarted => "Maßnahme begonnen",
        MeasureCompleted => "Maßnahme abgeschlossen",
        MeasureDropped => "Maßnahme abgebrochen",
        LanguageCourseStarted => "Sprachkurs begonnen",
        VoucherIssued => "Gutschein ausgestellt",
        VoucherRefused => "Gutschein abgelehnt",
        CounsellingDone => "beraten",
        ReferredElsewhere => "an andere Stelle verwiesen",
        BenefitGranted => "Leistung bewilligt",
        BenefitRefused => "Leistung abgelehnt",
        MovedAway => "verzogen",
        NotReached => "nicht erreicht",
        NoShowFinal => "endgültig nicht erschienen",
        Withdrew => "von der Person beendet",
        Unknown => "unbekannt",
    });
    word.unwrap_or(code).to_owned()
}

/// Returns what a reason means in German, with its code, by which guides and support name it.
pub(super) fn reason(code: &str) -> String {
    let code = code.trim_start_matches("REASON_");
    let known = Reason::ALL.iter().find(|reason| reason.code() == code);
    known.map_or_else(|| code.to_owned(), |reason| format!("{} [{code}]", reason.german()))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// Checks that numbers from 1 on have words of their own, of which none is the code.
    fn check(name: impl Fn(i32) -> Option<&'static str>, word: impl Fn(&str) -> String) {
        let names: Vec<&str> = (1..).map_while(name).collect();
        let words: HashSet<String> = names.iter().map(|name| word(name)).collect();
        assert_eq!(words.len(), names.len());
        assert!(words.iter().all(|word| !word.is_empty() && !word.contains('_')), "{words:?}");
    }

    #[test]
    fn every_code_has_a_german_word_of_its_own() {
        check(|number| ReferralState::try_from(number).ok().map(|code| code.as_str_name()), state);
        check(|number| DeliveryState::try_from(number).ok().map(|code| code.as_str_name()), delivery);
        check(|number| DeclineReason::try_from(number).ok().map(|code| code.as_str_name()), decline_reason);
        check(|number| Outcome::try_from(number).ok().map(|code| code.as_str_name()), outcome);
        assert_eq!(reason("REASON_CONSENT_WITHDRAWN"), "die Einwilligung wurde widerrufen [CONSENT_WITHDRAWN]");
    }

    #[test]
    fn a_code_of_a_newer_node_stays_as_it_is() {
        assert_eq!(state("REFERRAL_STATE_NEW"), "REFERRAL_STATE_NEW");
        assert_eq!(reason("REASON_NEW"), "NEW");
    }
}
