//! The things that an agreement's check can find, as sentences.

use super::Weight;
use crate::agency::AgencyKind;
use crate::agreement::words::{Language, Term};

/// What can be the matter with a party or a clause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Concern {
    /// Jobcenter and Agentur für Arbeit may exchange what is necessary anyway.
    StatutoryBetweenPlacementAgencies,
    /// Bodies of SGB I § 35 may exchange what is necessary anyway.
    StatutoryBetweenSocialAgencies,
    /// The authority for asylum seekers' benefits may get what is necessary anyway.
    StatutoryToAsylblgAuthority,
    /// Health data would go to an immigration office.
    HealthToImmigrationOffice,
    /// Free text would go to an immigration office.
    FreeTextToImmigrationOffice,
    /// A youth office sends data on help under SGB VIII.
    YouthHelp,
    /// A youth office sends other data.
    YouthOfficeSends,
    /// The residence title goes where the work permission would do.
    ResidenceTitle,
    /// The recipient is not bound by social secrecy itself.
    OutsideSocialSecrecy,
    /// The recipient may hold the record for very long.
    LongRetention {
        /// For how many days.
        days: u32,
    },
    /// The register entry goes before the copy.
    RegisterEndsBeforeLease,
    /// The clause names no usual basis.
    NoUsualBasis,
    /// All usual bases ended before the agreement begins.
    UsualBasisEnded,
    /// Full feedback is allowed, and no clause leads back.
    FullFeedbackWithoutWayBack,
    /// The clause lists only levels above the one that a consent has if it names none.
    NoFeedbackUnderUsualConsent,
    /// No party is of this kind.
    NobodyOfKind(AgencyKind),
    /// No two parties can use the clause.
    Unusable,
    /// The party names no supervisory authority.
    NoSupervisoryAuthority,
    /// The party ended before the agreement begins.
    PartyEnded,
    /// The party's successor is no party.
    SuccessorNoParty,
}

impl Concern {
    /// Returns how much it matters.
    pub fn weight(self) -> Weight {
        match self {
            Concern::HealthToImmigrationOffice
            | Concern::RegisterEndsBeforeLease
            | Concern::Unusable
            | Concern::PartyEnded => Weight::Serious,
            _ => Weight::Advice,
        }
    }

    /// Returns it as a sentence with its norm.
    pub fn sentence(self, language: Language) -> String {
        match self {
            Concern::LongRetention { days } => language.choose((
                format!(
                    "Der Empfänger darf die Daten {days} Tage halten; länger als nötig ist nicht erlaubt (DSGVO Art. 5 \
                     Abs. 1 Buchst. e, SGB X § 84)."
                ),
                format!(
                    "The recipient may hold the data for {days} days; longer than necessary is not allowed (GDPR Art. \
                     5 para. 1 (e), SGB X § 84)."
                ),
            )),
            Concern::NobodyOfKind(kind) => language.choose((
                format!("Keine Partei ist von der Art „{}“: streichen oder die Partei ergänzen.", kind.both().0),
                format!("No party is of the kind \"{}\": take it out or add the party.", kind.both().1),
            )),
            other => language.choose(other.fixed()).to_string(),
        }
    }

    /// The sentences without numbers and names: one table, so that a concern without a sentence does not compile.
    fn fixed(self) -> (&'static str, &'static str) {
        match self {
            Concern::StatutoryBetweenPlacementAgencies => (
                "Zwischen Jobcentern und Agenturen für Arbeit erlaubt das Gesetz das Erforderliche schon ohne \
                 Einwilligung (SGB II § 50 Abs. 1, SGB III § 9a, SGB X § 69 Abs. 1 Nr. 1). Die Klausel verlangt sie \
                 zusätzlich; wer sie verweigert, darf dadurch keinen Nachteil haben, und gesetzliche Pflichten \
                 bleiben.",
                "Between Jobcenter and employment agencies the law permits what is necessary without consent (SGB II \
                 § 50 para. 1, SGB III § 9a, SGB X § 69 para. 1 no. 1). The clause asks for it on top; who refuses \
                 must have no disadvantage, and statutory duties remain.",
            ),
            Concern::StatutoryBetweenSocialAgencies => (
                "Zwischen diesen Stellen erlaubt das Gesetz das Erforderliche schon ohne Einwilligung (SGB X § 69 \
                 Abs. 1 Nr. 1; bei Leistungen zur Teilhabe auch SGB IX §§ 14, 15). Gesetzliche Pflichten und Fristen \
                 bleiben.",
                "Between these bodies the law permits what is necessary without consent (SGB X § 69 para. 1 no. 1; for \
                 participation benefits also SGB IX §§ 14, 15). Statutory duties and clocks remain.",
            ),
            Concern::StatutoryToAsylblgAuthority => (
                "An die Behörde nach dem Asylbewerberleistungsgesetz erlaubt das Gesetz das Erforderliche schon ohne \
                 Einwilligung (SGB X § 71 Abs. 2a).",
                "The law permits to send the authority for asylum seekers' benefits what is necessary without consent \
                 (SGB X § 71 para. 2a).",
            ),
            Concern::HealthToImmigrationOffice => (
                "Gesundheitsdaten gingen an eine Ausländerbehörde; das Gesetz nimmt sie von dieser Übermittlung aus, \
                 von zwei engen Fällen abgesehen (SGB X § 71 Abs. 2 Satz 2). Die Kategorien streichen.",
                "Health data would go to an immigration office; the law excludes them from this transfer but for two \
                 narrow cases (SGB X § 71 para. 2 sentence 2). Take the categories out.",
            ),
            Concern::FreeTextToImmigrationOffice => (
                "Freitext an eine Ausländerbehörde kann Gesundheitsdaten enthalten, die dorthin nicht gehören (SGB X \
                 § 71 Abs. 2 Satz 2). Besser streichen.",
                "Free text to an immigration office can contain health data, which do not belong there (SGB X § 71 \
                 para. 2 sentence 2). Better take it out.",
            ),
            Concern::YouthHelp => (
                "Das Jugendamt übermittelt Daten über Hilfen: Anvertrautes nur mit Einwilligung der Person, die es \
                 anvertraut hat (SGB VIII § 65 Abs. 1 Nr. 1), und nur, wenn der Erfolg der Hilfe nicht gefährdet wird \
                 (SGB VIII § 64 Abs. 2).",
                "The youth office sends data on help: entrusted data only with the consent of the person who \
                 entrusted them (SGB VIII § 65 para. 1 no. 1), and only if the help is not endangered (SGB VIII § 64 \
                 para. 2).",
            ),
            Concern::YouthOfficeSends => (
                "Das Jugendamt darf nur übermitteln, wenn der Erfolg der Hilfe nicht gefährdet wird (SGB VIII § 64 \
                 Abs. 2); Anvertrautes folgt SGB VIII § 65.",
                "The youth office may send only if the help is not endangered (SGB VIII § 64 para. 2); entrusted data \
                 follow SGB VIII § 65.",
            ),
            Concern::ResidenceTitle => (
                "Für diesen Zweck genügt meist die Arbeitserlaubnis; der Aufenthaltstitel verrät den Schutzgrund \
                 (DSGVO Art. 5 Abs. 1 Buchst. c, Art. 9). Besser work_permission statt residence_title.",
                "For this purpose the work permission mostly does; the residence title tells the ground of protection \
                 (GDPR Art. 5 para. 1 (c), Art. 9). Better work_permission than residence_title.",
            ),
            Concern::OutsideSocialSecrecy => (
                "Ein Empfänger ist keine Stelle nach SGB I § 35: Er ist an den Zweck gebunden und darauf hinzuweisen, \
                 nicht öffentliche Stellen haben sich vorher zu verpflichten (SGB X § 78).",
                "A recipient is no body of SGB I § 35: it is bound to the purpose and has to be told so, private \
                 bodies have to commit themselves before (SGB X § 78).",
            ),
            Concern::RegisterEndsBeforeLease => (
                "Das Verzeichnis des Absenders endet, bevor der Empfänger löschen muss: Auskunft und Nachweis wären \
                 nicht mehr möglich (DSGVO Art. 5 Abs. 2, Art. 15, Art. 19). register_retention_days erhöhen.",
                "The sender's register ends before the recipient has to delete: access and proof would no longer be \
                 possible (GDPR Art. 5 para. 2, Art. 15, Art. 19). Raise register_retention_days.",
            ),
            Concern::NoUsualBasis => (
                "Die übliche Rechtsgrundlage fehlt (usual_basis): Wer die Klausel liest, soll sehen, worauf sich die \
                 Übermittlung sonst stützt (DSGVO Art. 5 Abs. 2).",
                "The usual legal basis is missing (usual_basis): who reads the clause should see on what the transfer \
                 usually rests (GDPR Art. 5 para. 2).",
            ),
            Concern::UsualBasisEnded => (
                "Jede genannte Rechtsgrundlage endet vor dem Beginn der Vereinbarung: den heutigen Stand ergänzen \
                 (DSGVO Art. 5 Abs. 2).",
                "Every legal basis that is named ends before the agreement begins: add how the law stands now (GDPR \
                 Art. 5 para. 2).",
            ),
            Concern::FullFeedbackWithoutWayBack => (
                "\"full\" braucht für jede Richtung eine Klausel zurück mit demselben Zweck; ohne sie geht kein \
                 Freitext zurück (DSGVO Art. 5 Abs. 1 Buchst. b).",
                "\"full\" needs a clause back with the same purpose for each direction; without it no free text goes \
                 back (GDPR Art. 5 para. 1 (b)).",
            ),
            Concern::NoFeedbackUnderUsualConsent => (
                "feedback_levels nennt nur Stufen über \"status\". Eine Einwilligung, die keine Stufe nennt, hat \"status\": \
                 Dann wird nichts zurückgemeldet. \"status\" ergänzen.",
                "feedback_levels lists only levels above \"status\". A consent that names no level has \"status\": then \
                 nothing is reported back. Add \"status\".",
            ),
            Concern::Unusable => (
                "Keine zwei Parteien können die Klausel nutzen: die Arten der Stellen prüfen oder sie streichen.",
                "No two parties can use the clause: check the kinds of agencies or take the clause out.",
            ),
            Concern::NoSupervisoryAuthority => (
                "Die Datenschutzaufsicht fehlt (supervisory_authority): Betroffene müssen wissen, wo sie sich \
                 beschweren können (DSGVO Art. 13 Abs. 2 Buchst. d, Art. 77).",
                "The supervisory authority is missing (supervisory_authority): people must know where to complain \
                 (GDPR Art. 13 para. 2 (d), Art. 77).",
            ),
            Concern::PartyEnded => (
                "Die Stelle endete, bevor die Vereinbarung beginnt: streichen und die Nachfolgerin aufnehmen.",
                "The agency ended before the agreement begins: take it out and add its successor.",
            ),
            Concern::SuccessorNoParty => (
                "Die Nachfolgerin ist keine Partei: Übermittlungen an sie deckt die Vereinbarung nicht.",
                "The successor is no party: the agreement does not cover what is sent to it.",
            ),
            Concern::LongRetention { .. } | Concern::NobodyOfKind(_) => ("", ""),
        }
    }
}
