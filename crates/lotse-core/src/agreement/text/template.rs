//! The template: an agreement to start from, commented in German and English.

use std::fmt::Write;

use crate::agency::AgencyKind;
use crate::agreement::Party;
use crate::agreement::words::{Language, Term};
use crate::id::Id;
use crate::time::Date;

const HEAD: &str = include_str!("template_head.toml");
const CLAUSES: &str = include_str!("template_clauses.toml");

/// The line before each clause of the template, with what is said about it.
const CUT: &str = "#####\n";

/// What the lines with a clause's kinds begin with.
const FROM: &str = "from_kinds = ";
const TO: &str = "to_kinds = ";

/// Begins a usual basis inside a clause.
const BASIS: &str = "[[clauses.usual_basis]]\n";

/// Begins the line of a usual basis that names the one kind of sender it is about. The line is not written.
const ABOUT: &str = "#from ";

/// How long the template's agreement lasts, years.
const TERM_YEARS: i64 = 2;

/// Writes an agreement to start from: these parties, a term of two years from the first day, and of the example clauses (first
/// orientation of refugees, youth cases, job placement) those that two of the parties can use, with the kinds they have.
pub fn template(id: Id, first_day: Date, parties: &[Party]) -> String {
    let end = first_day.saturating_add(jiff::Span::new().years(TERM_YEARS));
    let last_day = end.yesterday().unwrap_or(end);
    let mut text = HEAD
        .replace("{id}", &id.to_string())
        .replace("{title}", &quoted(&title(parties)))
        .replace("{valid_from}", &first_day.to_string())
        .replace("{valid_until}", &last_day.to_string());
    parties.iter().for_each(|party| write_party(&mut text, party));
    let mut parts = CLAUSES.split(CUT);
    text.push_str(parts.next().unwrap_or_default());
    parts.filter_map(|clause| clause_between(clause, parties)).for_each(|clause| text.push_str(&clause));
    text
}

/// Names the kinds of the parties, without what stands behind them in brackets.
fn title(parties: &[Party]) -> String {
    let mut kinds: Vec<&str> = Vec::new();
    for party in parties {
        let kind = party.kind.term(Language::German);
        let kind = kind.split_once(" (").map_or(kind, |(short, _)| short);
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    match kinds.split_last() {
        None => "Zusammenarbeit".to_owned(),
        Some((only, [])) => format!("Zusammenarbeit der Stellen der Art {only}"),
        Some((last, others)) => format!("Zusammenarbeit von {} und {last}", others.join(", ")),
    }
}

/// Takes out of a clause the kinds that no party has, and the usual bases of such senders. Returns none if no two parties can use
/// the rest.
fn clause_between(clause: &str, parties: &[Party]) -> Option<String> {
    let of = |kind: AgencyKind| parties.iter().filter(move |party| party.kind == kind);
    let kinds = |key: &str| -> Option<Vec<AgencyKind>> {
        let line = clause.lines().find(|line| line.starts_with(key))?;
        Some(
            AgencyKind::ALL
                .into_iter()
                .filter(|kind| line.contains(&quoted(kind.name())) && of(*kind).next().is_some())
                .collect(),
        )
    };
    let (from, to) = (kinds(FROM)?, kinds(TO)?);
    let pair = |one: &Party| to.iter().any(|&kind| of(kind).any(|other| other.agency != one.agency));
    from.iter().any(|&kind| of(kind).any(pair)).then(|| {
        let line = |line: &str| match line {
            line if line.starts_with(FROM) => format!("{FROM}[{}]\n", names(&from)),
            line if line.starts_with(TO) => format!("{TO}[{}]\n", names(&to)),
            line => format!("{line}\n"),
        };
        let (text, bases) = clause.split_once(BASIS).unwrap_or((clause, ""));
        let mut clause: String = text.lines().map(line).collect();
        bases.split(BASIS).filter(|basis| !basis.is_empty()).filter_map(|basis| basis_of(basis, &from)).for_each(
            |basis| {
                clause.push_str(BASIS);
                clause.push_str(basis);
            },
        );
        clause
    })
}

/// Returns a usual basis without the line that names its sender; none if no such sender is a party.
fn basis_of<'a>(basis: &'a str, from: &[AgencyKind]) -> Option<&'a str> {
    let Some((sender, rest)) = basis.strip_prefix(ABOUT).and_then(|marked| marked.split_once('\n')) else {
        return Some(basis);
    };
    from.iter().any(|kind| kind.name() == sender).then_some(rest)
}

fn names(kinds: &[AgencyKind]) -> String {
    kinds.iter().map(|kind| quoted(kind.name())).collect::<Vec<_>>().join(", ")
}

fn write_party(text: &mut String, party: &Party) {
    let mut line = |key: &str, value: &dyn std::fmt::Display| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{key} = {value}");
    };
    line("\n[[parties]]\nagency", &quoted(party.agency.as_str()));
    line("root_fingerprint", &quoted(&party.root_fingerprint.to_string()));
    line("name", &quoted(&party.name));
    line("kind", &quoted(party.kind.name()));
    line("regions", &format!("[{}]", party.regions.iter().map(|region| quoted(region)).collect::<Vec<_>>().join(", ")));
    if !party.supervisory_authority.is_empty() {
        line("supervisory_authority", &quoted(&party.supervisory_authority));
    }
    if let Some(day) = party.ended_on {
        line("ended_on", &day);
    }
    if let Some(successor) = &party.succeeded_by {
        line("succeeded_by", &quoted(successor.as_str()));
    }
}

/// Writes a TOML string.
fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}
