//! The `[[clauses]]` of an agreement's text.

use std::collections::HashSet;

use super::reader::{Field, Section};
use super::{CLAUSES, LEGAL_CHARACTERS, NAME_CHARACTERS, RETENTION_DAYS};
use crate::agency::AgencyKind;
use crate::agreement::{Clause, ConsentRequirement, DatedText};
use crate::category::{Categories, Category};
use crate::feedback::{FeedbackLevel, FeedbackLevels};
use crate::purpose::{Purpose, RecordKind};

/// How many usual bases a clause names at most.
const BASES: usize = 20;

const KEYS: &[&str] = &[
    "id",
    "title",
    "purpose",
    "record_kind",
    "from_kinds",
    "to_kinds",
    "categories",
    "consent_required",
    "feedback_levels",
    "legal_reference",
    "usual_basis",
    "retention_days",
    "register_retention_days",
];

/// Reads all clauses; an id names one.
pub(super) fn clauses(top: &Section<'_>) -> Option<Vec<Clause>> {
    let items = top.need("clauses")?.items(CLAUSES)?;
    let mut seen = HashSet::new();
    let read: Vec<Option<Clause>> = items
        .iter()
        .map(|item| {
            let section = item.section(KEYS)?;
            let clause = clause(&section)?;
            if !seen.insert(clause.id.clone()) {
                section.refuse(format!("the id {:?} names another clause already: choose another", clause.id));
            }
            Some(clause)
        })
        .collect();
    read.into_iter().collect()
}

fn clause(section: &Section<'_>) -> Option<Clause> {
    let id = section.need("id").and_then(|field| field.read(clause_id));
    let title = section.need("title").and_then(|field| field.text(NAME_CHARACTERS));
    let purpose = section.need("purpose").and_then(|field| field.word::<Purpose>());
    let record_kind = section.need("record_kind").and_then(|field| field.word::<RecordKind>());
    let from_kinds = section.need("from_kinds").and_then(|field| kinds(&field));
    let to_kinds = section.need("to_kinds").and_then(|field| kinds(&field));
    let categories = categories(section, record_kind);
    let consent_required = consent_required(section, record_kind, categories);
    let feedback_levels = feedback_levels(section, record_kind);
    let legal_reference = section.need("legal_reference").and_then(|field| field.text(LEGAL_CHARACTERS));
    let usual_basis = usual_basis(section);
    let retention_days = section.need("retention_days").and_then(|field| field.number(RETENTION_DAYS));
    let register = section.need("register_retention_days").and_then(|field| field.number(RETENTION_DAYS));
    Some(Clause {
        id: id?,
        title: title?,
        purpose: purpose?,
        record_kind: record_kind?,
        from_kinds: from_kinds?,
        to_kinds: to_kinds?,
        categories: categories?,
        consent_required: consent_required?,
        feedback_levels: feedback_levels?,
        legal_reference: legal_reference?,
        usual_basis: usual_basis?,
        retention_days: retention_days?,
        register_retention_days: register?,
    })
}

fn clause_id(text: &str) -> Result<String, &'static str> {
    if Clause::is_id(text) {
        Ok(text.to_string())
    } else {
        Err("use 1 to 64 of a-z 0-9 -, such as \"orientation-refugees\"")
    }
}

fn kinds(field: &Field<'_>) -> Option<Vec<AgencyKind>> {
    let kinds = field.words::<AgencyKind>()?;
    if kinds.is_empty() {
        field.refuse("name at least one kind of agency");
    }
    Some(kinds)
}

/// Reads the categories. A referral is nothing without its person; other record kinds may carry no category at all.
fn categories(section: &Section<'_>, kind: Option<RecordKind>) -> Option<Categories> {
    let is_referral = kind == Some(RecordKind::Referral);
    let field = if is_referral { section.need("categories")? } else { return optional_categories(section) };
    let categories: Categories = field.words::<Category>()?.into_iter().collect();
    if !categories.contains(Category::Identity) {
        field.refuse("a referral cannot go without identity: add it");
    }
    Some(categories)
}

fn optional_categories(section: &Section<'_>) -> Option<Categories> {
    match section.find("categories") {
        Some(field) => Some(field.words::<Category>()?.into_iter().collect()),
        None => Some(Categories::NONE),
    }
}

/// Reads which consent is needed: special categories need an explicit one (GDPR Art. 9 para. 2 (a), SGB X § 67b para.
/// 2), vacancies the employer's release and nothing else does.
fn consent_required(
    section: &Section<'_>,
    kind: Option<RecordKind>,
    categories: Option<Categories>,
) -> Option<ConsentRequirement> {
    let field = section.need("consent_required")?;
    let consent: ConsentRequirement = field.word()?;
    let is_release = consent == ConsentRequirement::EmployerRelease;
    match kind {
        Some(RecordKind::Vacancy) if !is_release => field.refuse("a vacancy needs \"employer_release\""),
        Some(RecordKind::Vacancy) | None => {}
        Some(_) if is_release => field.refuse("\"employer_release\" is for vacancies only: use \"consent\""),
        Some(_) => {}
    }
    let special = categories.unwrap_or_default().special();
    if !special.is_empty() && consent != ConsentRequirement::ExplicitConsent {
        field.refuse(format!("special categories ({special}) need \"explicit_consent\", or take them out"));
    }
    Some(consent)
}

/// Reads what may be reported back; records without a person have no feedback.
fn feedback_levels(section: &Section<'_>, kind: Option<RecordKind>) -> Option<FeedbackLevels> {
    let field = match kind {
        Some(RecordKind::Referral) => section.need("feedback_levels")?,
        _ => match section.find("feedback_levels") {
            Some(field) => field,
            None => return Some(FeedbackLevel::None.into()),
        },
    };
    let levels: FeedbackLevels = field.words::<FeedbackLevel>()?.into_iter().collect();
    if levels.is_empty() {
        field.refuse("name at least one level, such as \"none\"");
    }
    Some(levels)
}

fn usual_basis(section: &Section<'_>) -> Option<Vec<DatedText>> {
    let Some(field) = section.find("usual_basis") else {
        return Some(Vec::new());
    };
    let read: Vec<Option<DatedText>> = field.items(0..=BASES)?.iter().map(dated_text).collect();
    read.into_iter().collect()
}

fn dated_text(item: &Field<'_>) -> Option<DatedText> {
    let section = item.section(&["text", "valid_from", "valid_until"])?;
    let text = section.need("text").and_then(|field| field.text(LEGAL_CHARACTERS));
    let valid_from = section.need("valid_from").and_then(|field| field.day());
    let valid_until = match section.find("valid_until") {
        Some(field) => field.day().map(Some),
        None => Some(None),
    };
    let dated = DatedText { text: text?, valid_from: valid_from?, valid_until: valid_until? };
    if dated.valid_until.is_some_and(|last| last < dated.valid_from) {
        section.refuse("the text's last day lies before its first: correct one of them".to_string());
    }
    Some(dated)
}
