//! What the closed lists are called in German and English: one table for agreements, officers' pages and reports.

use super::{ConsentRequirement, OnEnd};
use crate::agency::AgencyKind;
use crate::category::Category;
use crate::feedback::FeedbackLevel;
use crate::purpose::{Purpose, RecordKind};
use crate::referral::ReferralState;
use crate::time::Calendar;

/// A language in which Lotse speaks to people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// German.
    German,
    /// English.
    English,
}

impl Language {
    /// Chooses between the German and the English text.
    pub fn choose<T>(self, (german, english): (T, T)) -> T {
        match self {
            Language::German => german,
            Language::English => english,
        }
    }
}

/// A value of a closed list that has a name for people.
pub trait Term: Copy {
    /// Returns the name in German and English, to be used in a list or as a label (nominative, no article).
    fn both(self) -> (&'static str, &'static str);

    /// Returns the name in a language.
    fn term(self, language: Language) -> &'static str {
        language.choose(self.both())
    }
}

impl Term for Calendar {
    fn both(self) -> (&'static str, &'static str) {
        match self {
            Calendar::Utc => ("Weltzeit UTC", "UTC"),
            Calendar::Germany => ("deutsche Zeit", "German time"),
        }
    }
}

impl Term for ReferralState {
    fn both(self) -> (&'static str, &'static str) {
        let german = match self {
            ReferralState::Offered => "unterwegs",
            ReferralState::Received => "eingegangen",
            ReferralState::Refused => "vom Knoten abgelehnt",
            ReferralState::Accepted => "angenommen",
            ReferralState::Declined => "nicht angenommen",
            ReferralState::InProgress => "in Bearbeitung",
            ReferralState::Completed => "abgeschlossen",
            ReferralState::Recalled => "zurückgerufen",
            ReferralState::Expired => "nicht rechtzeitig zugestellt",
            ReferralState::Cancelled => "storniert",
            ReferralState::NotTaken => "nie übernommen",
        };
        (german, self.name())
    }
}

impl Term for AgencyKind {
    fn both(self) -> (&'static str, &'static str) {
        match self {
            AgencyKind::JobcenterGe => ("Jobcenter (gemeinsame Einrichtung)", "Jobcenter (joint institution)"),
            AgencyKind::JobcenterZkt => ("Jobcenter (kommunaler Träger)", "Jobcenter (municipal carrier)"),
            AgencyKind::EmploymentAgency => ("Agentur für Arbeit", "employment agency"),
            AgencyKind::YouthOffice => ("Jugendamt", "youth office"),
            AgencyKind::ImmigrationOffice => ("Ausländerbehörde", "immigration office"),
            AgencyKind::AsylblgAuthority => {
                ("Behörde nach dem Asylbewerberleistungsgesetz", "authority for asylum seekers' benefits")
            }
            AgencyKind::RehabilitationCarrier => ("Rehabilitationsträger", "rehabilitation carrier"),
            AgencyKind::SocialOffice => ("Sozialamt", "social office"),
            AgencyKind::IntegrationOffice => ("Integrationsamt", "integration office"),
            AgencyKind::TrainingProvider => ("Bildungsträger", "training provider"),
        }
    }
}

impl Term for Purpose {
    fn both(self) -> (&'static str, &'static str) {
        match self {
            Purpose::Orientation => {
                ("erste Orientierung und Weg zur zuständigen Stelle", "first orientation towards the competent office")
            }
            Purpose::Rehabilitation => ("Teilhabe am Arbeitsleben", "participation in working life"),
            Purpose::YouthTransition => {
                ("gemeinsame Fallarbeit am Übergang von der Schule in den Beruf", "joint case work from school to work")
            }
            Purpose::TrainingPlacement => ("Vermittlung in Ausbildung", "placement into vocational training"),
            Purpose::JobPlacement => ("Vermittlung in Arbeit", "placement into work"),
            Purpose::CompetenceHandover => ("Übergabe bei Wechsel der Zuständigkeit", "handover of competence"),
        }
    }
}

impl Term for RecordKind {
    fn both(self) -> (&'static str, &'static str) {
        match self {
            RecordKind::Referral => ("Überleitung einer Person", "referral of a person"),
            RecordKind::Vacancy => ("Stellenangebot", "vacancy"),
            RecordKind::Measure => ("Maßnahme", "measure"),
            RecordKind::Demand => ("Bedarf an Plätzen", "demand for places"),
        }
    }
}

impl Term for Category {
    fn both(self) -> (&'static str, &'static str) {
        match self {
            Category::Identity => {
                ("Personalien (Name, Geburtsdatum, Geschlecht)", "identity (name, date of birth, sex)")
            }
            Category::Contact => ("Kontakt (Anschrift, Telefon, E-Mail)", "contact (address, telephone, e-mail)"),
            Category::Residence => ("Wohnort", "place of residence"),
            Category::ResidenceTitle => ("Aufenthaltstitel", "residence title"),
            Category::WorkPermission => ("Arbeitserlaubnis", "work permission"),
            Category::Education => ("Schul- und Berufsbildung", "education"),
            Category::WorkHistory => ("bisherige Arbeit", "work history"),
            Category::Languages => ("Sprachen", "languages"),
            Category::Skills => ("Fähigkeiten und Zielberufe", "skills and target occupations"),
            Category::Mobility => ("Mobilität", "mobility"),
            Category::Household => ("Haushalt und Sorgepflichten", "household and care duties"),
            Category::Benefits => ("bezogene Leistungen", "benefits received"),
            Category::DisabilityStatus => ("Status einer Behinderung", "disability status"),
            Category::Health => ("gesundheitliche Einschränkungen", "health restrictions"),
            Category::YouthHelp => ("Hilfe nach dem SGB VIII", "help under SGB VIII"),
            Category::Note => ("Freitext", "free text"),
        }
    }
}

impl Term for FeedbackLevel {
    fn both(self) -> (&'static str, &'static str) {
        match self {
            FeedbackLevel::None => ("nichts", "nothing"),
            FeedbackLevel::Status => ("Stand mit Datum", "state and date"),
            FeedbackLevel::Outcome => ("Stand und Ergebnis mit Datum", "state, outcome and date"),
            FeedbackLevel::Full => {
                ("Stand, Ergebnis, Freitext und benannte Kategorien", "state, outcome, free text and named categories")
            }
        }
    }
}

impl Term for ConsentRequirement {
    fn both(self) -> (&'static str, &'static str) {
        match self {
            ConsentRequirement::Consent => ("Einwilligung der betroffenen Person", "consent of the person concerned"),
            ConsentRequirement::ExplicitConsent => (
                "ausdrückliche Einwilligung der betroffenen Person, schriftlich oder elektronisch, die die besonderen \
                 Kategorien einzeln nennt",
                "explicit consent of the person concerned, in writing or electronic form, that names each special \
                 category",
            ),
            ConsentRequirement::EmployerRelease => ("Freigabe des Arbeitgebers", "release by the employer"),
        }
    }
}

impl Term for OnEnd {
    fn both(self) -> (&'static str, &'static str) {
        match self {
            OnEnd::KeepUntilLease => ("Kopien bleiben bis zu ihrer Frist", "copies stay until their time is over"),
            OnEnd::Purge => ("Kopien werden gelöscht", "copies are deleted"),
        }
    }
}
