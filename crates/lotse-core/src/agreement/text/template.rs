//! The template: an agreement to start from, commented in German and English.

use std::fmt::Write;

use crate::agreement::Party;
use crate::id::Id;
use crate::time::Date;

const HEAD: &str = include_str!("template_head.toml");
const CLAUSES: &str = include_str!("template_clauses.toml");

/// How long the template's agreement lasts, years.
const TERM_YEARS: i64 = 2;

/// Writes an agreement to start from: these parties, a term of two years from the first day, and example clauses for
/// the first orientation of refugees, youth cases and job placement.
pub fn template(id: Id, first_day: Date, parties: &[Party]) -> String {
    let end = first_day.saturating_add(jiff::Span::new().years(TERM_YEARS));
    let last_day = end.yesterday().unwrap_or(end);
    let mut text = HEAD
        .replace("{id}", &id.to_string())
        .replace("{valid_from}", &first_day.to_string())
        .replace("{valid_until}", &last_day.to_string());
    parties.iter().for_each(|party| write_party(&mut text, party));
    text.push_str(CLAUSES);
    text
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
