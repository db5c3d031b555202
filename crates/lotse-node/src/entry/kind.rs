//! What the kinds of entries are called, for lists to choose from.

use lotse_core::agreement::words::Language;

use super::EntryKind;

/// Number above which no kind is looked for. Kinds are numbered with gaps.
const LAST_NUMBER: i32 = 255;

/// Lists all kinds.
pub fn all() -> impl Iterator<Item = EntryKind> {
    (1..=LAST_NUMBER).filter_map(|number| EntryKind::try_from(number).ok())
}

/// Returns the word for a kind in commands, for instance `submit-refused`.
pub fn code(kind: EntryKind) -> String {
    kind.as_str_name().trim_start_matches("ENTRY_KIND_").replace('_', "-").to_lowercase()
}

/// Names a kind.
pub fn name(kind: EntryKind, language: Language) -> &'static str {
    language.choose(match kind {
        EntryKind::Unspecified => ("ohne Art", "without a kind"),
        EntryKind::LogStarted => ("Protokoll begonnen", "log started"),
        EntryKind::Released => ("Datensatz übermittelt", "record released"),
        EntryKind::ReceiptRecorded => ("Empfang quittiert", "receipt recorded"),
        EntryKind::SubmitRefused => ("Übermittlung abgelehnt", "hand-over refused"),
        EntryKind::ItemEnded => ("Übermittlung ungesendet beendet", "hand-over ended unsent"),
        EntryKind::Taken => ("Datensatz übernommen", "record taken"),
        EntryKind::EnvelopeRefused => ("Datensatz einer Gegenstelle abgelehnt", "record of a peer refused"),
        EntryKind::BatchRefused => ("Stapel einer Gegenstelle abgelehnt", "batch of a peer refused"),
        EntryKind::ConsentRecorded => ("Einwilligung erfasst", "consent recorded"),
        EntryKind::WithdrawalArrived => ("Widerruf eingegangen", "withdrawal arrived"),
        EntryKind::ConsentWithdrawn => ("Widerruf wirksam", "withdrawal effective"),
        EntryKind::ConsentExpired => ("Einwilligung abgelaufen", "consent expired"),
        EntryKind::CardInstalled => ("eigene Karte eingesetzt", "own card installed"),
        EntryKind::PeerAccepted => ("Gegenstelle angenommen", "peer accepted"),
        EntryKind::PeerCardTaken => ("Karte einer Gegenstelle übernommen", "card of a peer taken"),
        EntryKind::PeerCardRefused => ("Karte einer Gegenstelle abgelehnt", "card of a peer refused"),
        EntryKind::PeerSuspended => ("Gegenstelle ausgesetzt", "peer suspended"),
        EntryKind::PeerResumed => ("Gegenstelle wieder zugelassen", "peer resumed"),
        EntryKind::AgreementOffered => ("Vereinbarung angeboten", "agreement offered"),
        EntryKind::AgreementSealed => ("Vereinbarung besiegelt", "agreement sealed"),
        EntryKind::AgreementCompleted => ("Vereinbarung von allen besiegelt", "agreement sealed by all"),
        EntryKind::AgreementSuspended => ("Vereinbarung ausgesetzt", "agreement suspended"),
        EntryKind::AgreementResumed => ("Vereinbarung gilt wieder", "agreement resumed"),
        EntryKind::AgreementRefused => ("Vereinbarung oder Siegel abgelehnt", "agreement or seal refused"),
        EntryKind::Denied => ("Aufruf verweigert", "call denied"),
        EntryKind::OfficerLooked => ("Protokoll eingesehen", "officer looked"),
        EntryKind::AdminActed => ("Administration hat gehandelt", "administrator acted"),
        EntryKind::Alarm => ("Alarm", "alarm"),
        EntryKind::PeerStopped => ("Austausch mit einer Gegenstelle angehalten", "exchange with a peer stopped"),
        EntryKind::Fetched => ("Datensätze abgeholt", "records fetched"),
        EntryKind::ReceiptRefused => ("Empfangsbestätigung abgelehnt", "receipt refused"),
        EntryKind::NodeStarted => ("Knoten gestartet", "node started"),
        EntryKind::GrantChanged => ("Rechte eines Fachverfahrens geändert", "grant of a system changed"),
        EntryKind::CertificateIssued => ("Zertifikat ausgestellt", "certificate issued"),
        EntryKind::CertificateRevoked => ("Zertifikat gesperrt", "certificate revoked"),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_kind_has_a_name_of_its_own_in_both_languages() {
        for language in [Language::German, Language::English] {
            assert!(all().count() > 32);
            assert_eq!(all().map(|kind| name(kind, language)).collect::<BTreeSet<_>>().len(), all().count());
        }
    }
}
