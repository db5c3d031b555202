//! One entry: what it tells, how it was decided and why, and the proof that it is in the log.

use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, rejection::PathRejection};
use axum::response::Response;
use lotse_core::agreement::Agreement;
use lotse_core::id::Id;
use lotse_core::time::Timestamp;
use lotse_proto::exchange::v1::LogEntry;
use maud::{Markup, html};
use prost::Message;
use serde::Deserialize;

use super::foreign::foreign;
use super::frame::Section;
use super::problem::capital;
use super::visit::Visit;
use super::{log, moment, proof};
use crate::action::get_entry::get_entry;
use crate::entry::sentence::{facts, reasons, sentence};
use crate::entry::{Decision, kind};
use crate::failure::{Failure, STATUTORY_HINT, STATUTORY_HINT_GERMAN, wants_consent};

/// Of which generation.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Of {
    generation: Option<u32>,
}

/// Which entry is asked for. What is no place of the log is a place where nothing is.
pub(super) fn place(
    visit: &Visit,
    index: Result<Path<u64>, PathRejection>,
    of: Result<Query<Of>, QueryRejection>,
) -> Result<(u32, u64), Failure> {
    let (Ok(Path(index)), Ok(Query(of))) = (index, of) else { return Err(Failure::not_found()) };
    Ok((of.generation.unwrap_or(visit.node.generation), index))
}

/// Shows an entry.
pub(super) async fn show(
    visit: Visit,
    index: Result<Path<u64>, PathRejection>,
    of: Result<Query<Of>, QueryRejection>,
) -> Response {
    let page = match place(&visit, index, of) {
        Ok((generation, index)) => page(&visit, generation, index).await,
        Err(failure) => Err(failure),
    };
    visit.answer(page)
}

async fn page(visit: &Visit, generation: u32, index: u64) -> Result<Markup, Failure> {
    let language = visit.reader.language;
    let proven = get_entry(&visit.node.store, generation, index).await?;
    let entry = LogEntry::decode(proven.leaf.entry.bytes.as_slice()).unwrap_or_default();
    let title = format!("{} {index}", visit.say("Eintrag", "Entry"));
    let content = html! {
        p .lead { (foreign(&sentence(&entry, language))) }
        (decided(visit, &entry))
        section aria-labelledby="facts" {
            h2 #facts { (visit.say("Was im Eintrag steht", "What the entry says")) }
            dl .facts {
                dt { (visit.say("Zeit", "Time")) }
                dd { (moment::both(Timestamp::from_micros(entry.at_us), language)) }
                dt { (visit.say("Art", "Kind")) }
                dd { (kind::name(entry.kind(), language)) }
                @for fact in facts(&entry, language) { dt { (fact.name) } dd { (foreign(&fact.value)) } }
            }
            (same_record(visit, &entry))
        }
        (proof::section(visit, generation, &proven))
        nav .turn aria-label=(visit.say("Blättern", "Turn pages")) {
            @if let Some(before) = index.checked_sub(1) {
                a rel="prev" href=(log::address(visit, before, generation)) { (visit.say("Eintrag davor", "Entry before")) }
            }
            a href=(log_of(visit, generation)) { (visit.say("Alle Einträge", "All entries")) }
            a rel="next" href=(log::address(visit, index + 1, generation)) { (visit.say("Eintrag danach", "Entry after")) }
        }
    };
    Ok(visit.page(Section::Log, &title, content))
}

fn log_of(visit: &Visit, generation: u32) -> String {
    if generation == visit.node.generation { "/log".into() } else { format!("/log?generation={generation}") }
}

/// Explains the decision: the rule that allowed it, or every reason against it.
fn decided(visit: &Visit, entry: &LogEntry) -> Markup {
    let decision = entry.decision();
    html! {
        @if decision != Decision::Unspecified || !entry.reasons.is_empty() {
            section .decision aria-labelledby="decision" {
                h2 #decision { (visit.say("Entscheidung", "Decision")) " " (log::decision(visit, entry)) }
                @if decision == Decision::Permit { (basis(visit, entry)) }
                @if !entry.reasons.is_empty() { (because(visit, entry)) }
            }
        }
    }
}

fn because(visit: &Visit, entry: &LogEntry) -> Markup {
    let language = visit.reader.language;
    html! {
        p { (visit.say("Gründe, der wichtigste zuerst:", "Reasons, the most important first:")) }
        ol .reasons {
            @for reason in reasons(entry) {
                li {
                    (capital(language.choose((reason.german(), reason.sentence())))) ". "
                    code { (reason.code()) } " · "
                    @if reason.is_retryable() {
                        (visit.say("kann später ohne Änderung gelingen", "may pass later without a change"))
                    } @else {
                        (visit.say("endgültig", "final"))
                    }
                }
            }
        }
        @if reasons(entry).any(wants_consent) {
            p .hint { (capital(language.choose((STATUTORY_HINT_GERMAN, STATUTORY_HINT)))) "." }
        }
    }
}

/// Says on what a permission rests.
fn basis(visit: &Visit, entry: &LogEntry) -> Markup {
    let agreement = agreement_of(visit, entry);
    html! {
        @if let Some(agreement) = &agreement {
            p {
                (visit.say("Sie beruht auf der Vereinbarung ", "It rests on the agreement "))
                a href={ "/agreements/" (agreement.id) "?version=" (agreement.version) } { (foreign(&agreement.title)) }
                (visit.say(", Fassung ", ", version ")) (agreement.version)
                @if let Some(clause) = agreement.clause(&entry.clause_id) {
                    (visit.say(", Klausel ", ", clause ")) (foreign(&clause.id)) " (" (foreign(&clause.title)) ")"
                }
                @if !entry.consent_ref.is_empty() {
                    (visit.say(
                        ", und auf einer Einwilligung, die zu dieser Zeit galt",
                        ", and on a consent that was in force at that time",
                    ))
                }
                "."
            }
        }
        @if !entry.categories.is_empty() {
            p {
                (visit.say(
                    "Nur die genannten Datenkategorien waren dabei: jede steht in der Klausel und in der Einwilligung.",
                    "Only the named data categories were in it: each stands in the clause and in the consent.",
                ))
                @if !entry.left_out.is_empty() {
                    " " (visit.say(
                        "Was weggelassen wurde, deckten nicht beide.",
                        "What was left out was not covered by both.",
                    ))
                }
            }
        }
    }
}

fn agreement_of(visit: &Visit, entry: &LogEntry) -> Option<std::sync::Arc<Agreement>> {
    let id = Id::from_slice(&entry.agreement_id).ok()?;
    let version = u32::try_from(entry.version).ok()?;
    visit.node.federation.get().version_of(id, version).map(|known| known.agreement.clone())
}

fn same_record(visit: &Visit, entry: &LogEntry) -> Markup {
    html! {
        @if let Ok(record) = Id::from_slice(&entry.record_id) {
            p {
                a href={ "/log?record=" (record) } {
                    (visit.say("Alles zu diesem Datensatz", "Everything about this record"))
                }
            }
        }
    }
}
