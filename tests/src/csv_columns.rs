//! The columns of CSV files as a document, written from the tables by which they are read and the checks that their lines must pass.

use lotse_core::agreement::words::{Language, Term};
use lotse_core::id::AgencyId;
use lotse_core::reason::Reason;
use lotse_core::referral::ReferralType;
use lotse_core::time::Timestamp;
use lotse_node::failure::Failure;
use lotse_node::record_file::{CONSENT, Column, REFERRAL, columns_of};
use lotse_node::wire;
use lotse_proto::agency::v1::ReferralHandover;
use lotse_proto::record::v1 as record;

const HEAD: &str = "# CSV files

What `lotse consent import` and `lotse referral send` read. The README says how (\"Files\"). Written from the code: do not edit.

The first line has the headings, German or English, in any order; those that are not needed are left out. Case, umlauts (`Straße`,
`Strasse`) and the kind of separator (`_`, space, `-`) make no difference. `#` stands for the number of an item, from 1:
`Arbeit_1_Beruf`, `Arbeit_2_Beruf`. Codes are given by their English or German word. An empty cell is not given.
";

/// Writes the document.
pub fn render() -> anyhow::Result<String> {
    let mut text = HEAD.to_string();
    section(&mut text, "Consents", &needed_of_consents()?, CONSENT);
    section(&mut text, "Referrals", &needed_of_referrals()?, REFERRAL);
    Ok(text)
}

fn section(text: &mut String, title: &str, needed: &str, columns: &[Column]) {
    text.push_str(&format!(
        "\n## {title}\n\n{needed}\n| German | English | field | what stands in a cell |\n| --- | --- | --- | --- |\n"
    ));
    for column in columns {
        let names = [column.german].iter().chain(column.synonyms).map(|name| format!("`{name}`")).collect::<Vec<_>>();
        let paths = [Some(column.path), column.partial_path].into_iter().flatten().map(|path| format!("`{path}`"));
        let (german, english, paths) = (names.join(", "), column.english, paths.collect::<Vec<_>>().join(", "));
        text.push_str(&format!("| {german} | `{english}` | {paths} | {} |\n", column.allowed()));
    }
}

/// Lists what a line of consents needs: what the check reports of consents that have nothing.
fn needed_of_consents() -> anyhow::Result<String> {
    let own: AgencyId = "jc.example".parse()?;
    let now: Timestamp = "2026-11-02T08:00:00Z".parse()?;
    let missing = |change: fn(&mut record::Consent)| {
        let mut consent = record::Consent {
            subject_kind: record::SubjectKind::Person as i32,
            form: record::ConsentForm::Written as i32,
            capacity: Some(record::Capacity { age_band: record::AgeBand::Adult as i32, ..Default::default() }),
            ..record::Consent::default()
        };
        change(&mut consent);
        names(CONSENT, wire::consent::parse(Some(&consent), &own, now).err())
    };
    let always = missing(|_| {});
    let unset = missing(|consent| {
        (consent.subject_kind, consent.form, consent.capacity) = (0, 0, Some(record::Capacity::default()));
    });
    let minor = missing(|consent| {
        let capacity = record::Capacity { age_band: record::AgeBand::AgeBand15To17 as i32, ..Default::default() };
        consent.capacity = Some(capacity);
    });
    let oral = missing(|consent| consent.form = record::ConsentForm::Oral as i32);
    let all: Vec<String> =
        unset.iter().chain(&always).filter(|name| oral.contains(name) || unset.contains(name)).cloned().collect();
    let all = in_order(CONSENT, &all);
    let minor: Vec<String> = minor.into_iter().filter(|name| !all.contains(name)).collect();
    let not_oral: Vec<String> = always.into_iter().filter(|name| !oral.contains(name)).collect();
    let all: Vec<String> = all.into_iter().filter(|name| !not_oral.contains(name)).collect();
    Ok(format!(
        "Needed in every line: {}. Needed unless the consent is oral or refused: {}. Needed below 18: {}.\n",
        all.join(", "),
        not_oral.join(", "),
        minor.join(", ")
    ))
}

/// Lists what a line of referrals needs: what the check reports of referrals that have nothing, and the sections of each type.
fn needed_of_referrals() -> anyhow::Result<String> {
    let referral = record::Referral { identity: Some(record::Identity::default()), ..record::Referral::default() };
    let handover = ReferralHandover { referral: Some(referral), ..ReferralHandover::default() };
    let now: Timestamp = "2026-11-02T08:00:00Z".parse()?;
    let missing = names(REFERRAL, wire::referral::parse_handover(handover, now).err());
    let made_by_the_command = columns_of(REFERRAL, "idempotency_key").map(quoted).collect::<Vec<_>>();
    let missing: Vec<String> = missing.into_iter().filter(|name| !made_by_the_command.contains(name)).collect();
    let mut text = format!(
        "Needed in every line: {} (of a person with one name `Vornamen` in place of `Familienname`; `Empfänger` unless `--to` \
         gives it).\n\nNeeded besides, by type (`Art`), at least one column of each section:\n\n",
        missing.join(", ")
    );
    for number in 1.. {
        let Some(kind) = ReferralType::from_number(number) else { break };
        let Ok(code) = record::ReferralType::try_from(number) else { break };
        let section = |category: lotse_core::category::Category| {
            let field = format!("referral.{}", category.name());
            let columns = columns_of(REFERRAL, &field).map(quoted).collect::<Vec<_>>();
            format!("{} ({})", category.term(Language::English), columns.join(", "))
        };
        let sections = kind.required().iter().map(section).collect::<Vec<_>>();
        let name = code.as_str_name().trim_start_matches("REFERRAL_TYPE_").to_lowercase();
        text.push_str(&format!("- {name}: {}\n", sections.join("; ")));
    }
    Ok(text)
}

/// Names the columns of what a check says is missing.
fn names(columns: &'static [Column], failure: Option<Failure>) -> Vec<String> {
    let causes = failure.map(|failure| failure.causes).unwrap_or_default();
    let missing = causes.into_iter().filter(|cause| cause.reason == Reason::FieldMissing);
    missing
        .filter_map(|cause| cause.field)
        .flat_map(|field| columns_of(columns, &field).map(quoted).collect::<Vec<_>>())
        .collect()
}

/// Puts names into the order of the columns, each once.
fn in_order(columns: &'static [Column], names: &[String]) -> Vec<String> {
    columns.iter().map(quoted).filter(|name| names.contains(name)).collect()
}

fn quoted(column: &Column) -> String {
    format!("`{}`", column.german)
}
