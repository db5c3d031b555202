//! Code lists in CSV cells: the code's name without its prefix in lower case, or its German word.

use lotse_core::agreement::words::Language;
use lotse_proto::agency::v1 as agency;
use lotse_proto::record::v1 as record;
use serde_json::Value;

use super::word::fold;
use crate::wording::Wording;

/// The words of one code list.
pub struct CodeList {
    /// What every name begins with.
    prefix: &'static str,
    /// Name of a number.
    name: fn(i32) -> Option<&'static str>,
    /// German words from number 1 on; `|` between words of the same code, the first one to be shown.
    german: &'static [&'static str],
}

/// Reads a purpose in one of the words that files use; else says what there is.
pub fn purpose(word: &str) -> Result<record::Purpose, String> {
    let name = PURPOSE.read(word).map_err(english)?;
    record::Purpose::from_str_name(name).ok_or_else(|| name.to_string())
}

/// Reads a data category in one of the words that files use; else says what there is.
pub fn category(word: &str) -> Result<record::Category, String> {
    let name = CATEGORY.read(word).map_err(english)?;
    record::Category::from_str_name(name).ok_or_else(|| name.to_string())
}

fn english(wording: Wording) -> String {
    wording.text(Language::English).to_string()
}

impl CodeList {
    /// Finds the name that a word means in proto JSON.
    pub(super) fn name_of(&self, word: &str) -> Option<&'static str> {
        let word = fold(word);
        self.codes().find_map(|(name, german)| {
            let english = name.trim_start_matches(self.prefix).to_lowercase();
            let known =
                word == english || word == name.to_lowercase() || german.split('|').any(|german| fold(german) == word);
            known.then_some(name)
        })
    }

    /// Finds the name that a word means in proto JSON; else says what there is.
    pub(super) fn read(&self, word: &str) -> Result<&'static str, Wording> {
        let unknown = || {
            let german = format!("unbekannter Code; es gibt {}", self.german_words());
            (german, format!("unknown code; there are {}", self.allowed())).into()
        };
        self.name_of(word).ok_or_else(unknown)
    }

    /// Returns whether a value of proto JSON, a name or a number, is a code.
    pub(super) fn has_code(&self, value: &Value) -> bool {
        let number = |number: i64| i32::try_from(number).is_ok_and(|number| (self.name)(number).is_some());
        let unspecified = (self.name)(0);
        match value {
            Value::String(name) => unspecified == Some(name) || self.codes().any(|(code, _)| code == name),
            other => other.as_i64().is_some_and(number),
        }
    }

    /// Names all German words.
    fn german_words(&self) -> String {
        let word = |(_, german): (&'static str, &'static str)| german.split('|').next().unwrap_or_default();
        self.codes().map(word).collect::<Vec<_>>().join(", ")
    }

    /// Names all codes as proto JSON writes them.
    pub(super) fn names(&self) -> String {
        self.codes().map(|(name, _)| name).collect::<Vec<_>>().join(", ")
    }

    /// Returns the word of a name in proto JSON.
    pub(super) fn word_of(&self, name: &str) -> String {
        name.trim_start_matches(self.prefix).to_lowercase()
    }

    /// Returns the German word of a name in proto JSON; a name that is not known stays as it is.
    pub(super) fn german_of(&self, name: &str) -> String {
        let found = self.codes().find(|(known, _)| *known == name).and_then(|(_, german)| german.split('|').next());
        found.unwrap_or(name).to_string()
    }

    /// Names all words, German ones in brackets.
    pub(super) fn allowed(&self) -> String {
        let word = |(name, german): (&'static str, &'static str)| {
            let german = german.split('|').next().unwrap_or_default();
            format!("{} ({german})", self.word_of(name))
        };
        self.codes().map(word).collect::<Vec<_>>().join(", ")
    }

    /// Names and German words from number 1 on.
    fn codes(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        (1..).zip(self.german).filter_map(|(number, german)| (self.name)(number).map(|name| (name, *german)))
    }
}

macro_rules! code_list {
    ($list:ident, $type:ty, $prefix:literal, [$($german:literal),* $(,)?]) => {
        pub(super) static $list: CodeList = CodeList {
            prefix: $prefix,
            name: |number| <$type>::try_from(number).ok().map(|code| code.as_str_name()),
            german: &[$($german),*],
        };
    };
}

code_list!(
    PURPOSE,
    record::Purpose,
    "PURPOSE_",
    [
        "Erstorientierung",
        "Teilhabe am Arbeitsleben|Rehabilitation",
        "Übergang Schule–Beruf",
        "Ausbildungsvermittlung",
        "Arbeitsvermittlung",
        "Zuständigkeitswechsel",
    ]
);
code_list!(RECORD_KIND, record::RecordKind, "RECORD_KIND_", ["Zuweisung", "Stelle", "Maßnahme", "Bedarf"]);
code_list!(
    CATEGORY,
    record::Category,
    "CATEGORY_",
    [
        "Identität",
        "Kontakt",
        "Wohnsitz",
        "Aufenthaltstitel",
        "Arbeitserlaubnis",
        "Bildung",
        "Berufserfahrung",
        "Sprachen",
        "Fähigkeiten",
        "Mobilität",
        "Haushalt",
        "Leistungen",
        "Behinderung",
        "Gesundheit",
        "Jugendhilfe",
        "Notiz",
    ]
);
code_list!(FEEDBACK_LEVEL, record::FeedbackLevel, "FEEDBACK_LEVEL_", ["keine", "Stand", "Ergebnis", "voll"]);
code_list!(CONSENT_FORM, record::ConsentForm, "CONSENT_FORM_", ["schriftlich", "elektronisch", "mündlich"]);
code_list!(SUBJECT_KIND, record::SubjectKind, "SUBJECT_KIND_", ["Person", "Arbeitgeber"]);
code_list!(
    GIVEN_BY,
    record::GivenBy,
    "GIVEN_BY_",
    ["selbst", "gesetzliche Vertretung", "Betreuung", "anvertrauende Person",]
);
code_list!(AGE_BAND, record::AgeBand, "AGE_BAND_", ["unter 15", "15 bis 17", "volljährig"]);
code_list!(
    REFERRAL_TYPE,
    record::ReferralType,
    "REFERRAL_TYPE_",
    ["Erstorientierung Geflüchtete", "Jugendfall", "allgemein",]
);
code_list!(URGENCY, record::Urgency, "URGENCY_", ["normal", "bald", "eilig"]);
code_list!(
    SERVICE,
    record::RequestedService,
    "REQUESTED_SERVICE_",
    [
        "Erstorientierung",
        "Berufsberatung",
        "Arbeitsvermittlung",
        "Ausbildungsvermittlung",
        "Weiterbildung",
        "Sprachkurs",
        "Anerkennung",
        "Reha-Beratung",
        "kommunale Eingliederungsleistungen",
        "Jugendsozialarbeit",
        "Leistungen zum Lebensunterhalt",
        "Klärung des Aufenthalts",
    ]
);
code_list!(UNCOVERED, agency::Uncovered, "UNCOVERED_", ["ablehnen", "weglassen"]);
code_list!(SEX, record::Sex, "SEX_", ["weiblich|w", "männlich|m", "divers|d", "ohne Angabe"]);
code_list!(RESIDENCE_KIND, record::ResidenceKind, "RESIDENCE_KIND_", ["gewöhnlich", "tatsächlich"]);
code_list!(
    RESIDENCE_OBLIGATION,
    record::ResidenceObligationKind,
    "RESIDENCE_OBLIGATION_KIND_",
    ["Wohnsitzauflage", "Zuzugssperre",]
);
code_list!(
    RESIDENCE_TITLE,
    record::ResidenceTitleKind,
    "RESIDENCE_TITLE_KIND_",
    [
        "Ankunftsnachweis",
        "Aufenthaltsgestattung",
        "Duldung",
        "Aufenthaltserlaubnis",
        "Niederlassungserlaubnis",
        "Fiktionsbescheinigung",
        "Freizügigkeit",
    ]
);
code_list!(
    WORK_PERMISSION,
    record::WorkPermissionKind,
    "WORK_PERMISSION_KIND_",
    ["keine", "mit Zustimmung der BA", "arbeitgebergebunden", "uneingeschränkt",]
);
code_list!(
    SCHOOL_DEGREE,
    record::SchoolDegree,
    "SCHOOL_DEGREE_",
    ["keiner", "Förderschulabschluss", "Hauptschulabschluss", "Mittlere Reife", "Fachhochschulreife", "Abitur",]
);
code_list!(
    LANGUAGE_LEVEL,
    record::LanguageLevel,
    "LANGUAGE_LEVEL_",
    ["A1", "A2", "B1", "B2", "C1", "C2", "Muttersprache",]
);
code_list!(
    BENEFIT,
    record::BenefitKind,
    "BENEFIT_KIND_",
    ["SGB II", "SGB III", "AsylbLG", "SGB XII", "Ausbildungsförderung",]
);
code_list!(
    DISABILITY,
    record::DisabilityStatusKind,
    "DISABILITY_STATUS_KIND_",
    ["behindert", "gleichgestellt", "schwerbehindert",]
);
code_list!(
    RESTRICTION,
    record::HealthRestriction,
    "HEALTH_RESTRICTION_",
    [
        "kein schweres Heben",
        "kein langes Stehen",
        "keine Schichtarbeit",
        "keine Arbeit in der Höhe",
        "geringe Belastung",
        "barrierefreier Arbeitsplatz",
    ]
);
code_list!(
    YOUTH_HELP,
    record::YouthHelpKind,
    "YOUTH_HELP_KIND_",
    ["Jugendsozialarbeit", "Beratung und Unterstützung", "Heimerziehung", "Hilfe für junge Volljährige",]
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_german_word_and_every_word_one_code() {
        let lists = [
            &PURPOSE,
            &RECORD_KIND,
            &CATEGORY,
            &FEEDBACK_LEVEL,
            &CONSENT_FORM,
            &SUBJECT_KIND,
            &GIVEN_BY,
            &AGE_BAND,
            &REFERRAL_TYPE,
            &URGENCY,
            &SERVICE,
            &UNCOVERED,
            &SEX,
            &RESIDENCE_KIND,
            &RESIDENCE_OBLIGATION,
            &RESIDENCE_TITLE,
            &WORK_PERMISSION,
            &SCHOOL_DEGREE,
            &LANGUAGE_LEVEL,
            &BENEFIT,
            &DISABILITY,
            &RESTRICTION,
            &YOUTH_HELP,
        ];
        for list in lists {
            let count = list.german.len() as i32;
            assert!((list.name)(count).is_some() && (list.name)(count + 1).is_none(), "{}", list.prefix);
            for (name, german) in list.codes() {
                assert!(name.starts_with(list.prefix), "{name}");
                assert_eq!(list.name_of(&list.word_of(name)), Some(name));
                assert_eq!(list.name_of(&list.german_of(name)), Some(name));
                german.split('|').for_each(|word| assert_eq!(list.name_of(word), Some(name), "{word}"));
                assert!(!german.contains(','), "{german}: commas separate the items of a list");
            }
        }
        assert_eq!(SEX.name_of("SEX_FEMALE"), Some("SEX_FEMALE"));
        assert_eq!(SEX.name_of("unspecified"), None);
    }
}
