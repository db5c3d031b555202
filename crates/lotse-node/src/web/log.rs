//! The exchange log: entries, newest first, narrowed by a form, page by page.

use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use lotse_core::time::Timestamp;
use lotse_proto::exchange::v1::LogEntry;
use lotse_store::log::Leaf;
use maud::{Markup, html};
use prost::Message;

use super::filter::{Asked, FilterForm};
use super::foreign::foreign;
use super::frame::{Mood, Section, badge};
use super::moment;
use super::problem::capital;
use super::visit::Visit;
use crate::action::list_entries::{Page, explain_empty, list_entries};
use crate::entry::sentence::{matter, reasons, sentence};
use crate::entry::{Decision, Direction};
use crate::failure::Failure;

/// Entries of a page.
const PAGE: u32 = 50;

/// Reasons that the list explains; the entry explains all.
const REASONS: usize = 2;

/// Shows a page of the log.
pub(super) async fn list(visit: Visit, query: Result<Query<FilterForm>, QueryRejection>) -> Response {
    let form = query.map(|Query(form)| form).unwrap_or_default();
    match form.read() {
        Ok(asked) => {
            let page = page(&visit, &form, asked).await;
            visit.answer(page)
        }
        Err(faults) => {
            let content = form.show(&visit, &faults);
            (StatusCode::BAD_REQUEST, visit.page(Section::Log, title(&visit), content)).into_response()
        }
    }
}

async fn page(visit: &Visit, form: &FilterForm, asked: Asked) -> Result<Markup, Failure> {
    let generation = asked.generation.unwrap_or(visit.node.generation);
    let agency = asked.filter.peer.clone();
    let page = list_entries(&visit.node.store, generation, asked.filter, asked.before, PAGE).await?;
    let unknown = explain_empty(&page, agency.as_ref(), &visit.node.agency, &visit.node.federation.get());
    let content = html! {
        (generations(visit, generation))
        (form.show(visit, &[]))
        @if let Some(unknown) = unknown { p .alarm role="alert" { (capital(unknown.text(visit.reader.language))) } }
        @if page.leaves.is_empty() { (nothing(visit, form, asked.before, page.next)) } @else { (table(visit, &page, generation)) }
        (turn(visit, form, &page, asked.before))
    };
    Ok(visit.page(Section::Log, title(visit), content))
}

fn title(visit: &Visit) -> &'static str {
    visit.say("Austauschprotokoll", "Exchange log")
}

/// After a restore there is more than one log: each is a list of its own.
fn generations(visit: &Visit, shown: u32) -> Markup {
    html! {
        @if visit.node.generation > 1 {
            p {
                (visit.say("Generation: ", "Generation: "))
                @for generation in (1..=visit.node.generation).rev() {
                    @if generation == shown { strong { (generation) } }
                    @else { a href={ "/log?generation=" (generation) } { (generation) } }
                    " "
                }
            }
        }
    }
}

fn table(visit: &Visit, page: &Page, generation: u32) -> Markup {
    let numbers = page.leaves.first().zip(page.leaves.last()).map(|(newest, oldest)| (newest.index, oldest.index));
    html! {
        div .scroll role="region" aria-labelledby="entries" tabindex="0" {
            table {
                caption #entries {
                    (visit.say("Einträge, neueste zuerst: ", "Entries, newest first: ")) (page.leaves.len())
                    @if let Some((newest, oldest)) = numbers {
                        (visit.say(" (Nr. ", " (no. ")) (newest) (visit.say(" bis ", " to ")) (oldest) ")"
                    }
                }
                thead {
                    tr {
                        th scope="col" { (visit.say("Nr.", "No.")) }
                        th scope="col" { (visit.say("Zeit", "Time")) }
                        th scope="col" { (visit.say("Was geschah", "What happened")) }
                        th scope="col" { (visit.say("Gegenstelle", "Peer")) }
                        th scope="col" { (visit.say("Richtung", "Direction")) }
                        th scope="col" { (visit.say("Entscheidung", "Decision")) }
                    }
                }
                tbody { @for leaf in &page.leaves { (row(visit, leaf, generation)) } }
            }
        }
    }
}

fn row(visit: &Visit, leaf: &Leaf, generation: u32) -> Markup {
    let (entry, language) = (LogEntry::decode(leaf.entry.bytes.as_slice()).unwrap_or_default(), visit.reader.language);
    html! {
        tr {
            th scope="row" { a href=(address(visit, leaf.index, generation)) { (leaf.index) } }
            td .time { (moment::both(Timestamp::from_micros(entry.at_us), language)) }
            td {
                (foreign(&sentence(&entry, language)))
                @let matter = matter(&entry, language);
                @if !matter.is_empty() { br; span .small { (capital(&matter)) } }
                @for reason in reasons(&entry).take(REASONS) {
                    br; span .small { (capital(language.choose((reason.german(), reason.sentence())))) "." }
                }
                @if !entry.actor.is_empty() { br; span .id { (foreign(actor(visit, &entry.actor))) } }
            }
            td .peer { (peer(visit, &entry.peer)) }
            td { (direction(visit, &entry)) }
            td { (decision(visit, &entry)) }
        }
    }
}

/// Shortens the identity of somebody of this agency to role and name.
fn actor<'a>(visit: &Visit, identity: &'a str) -> &'a str {
    let own = identity.strip_prefix("spiffe://").and_then(|rest| rest.strip_prefix(visit.node.agency.as_str()));
    own.and_then(|rest| rest.strip_prefix('/')).unwrap_or(identity)
}

/// Returns where an entry is shown.
pub(super) fn address(visit: &Visit, index: u64, generation: u32) -> String {
    if generation == visit.node.generation {
        format!("/log/{index}")
    } else {
        format!("/log/{index}?generation={generation}")
    }
}

/// Shows an agency by the name in its card, and its id.
pub(super) fn peer(visit: &Visit, agency: &str) -> Markup {
    html! {
        @if let Some(name) = visit.name_of(agency) { (foreign(&name)) br; span .id { (agency) } }
        @else { span .id { (foreign(agency)) } }
    }
}

fn direction(visit: &Visit, entry: &LogEntry) -> Markup {
    html! {
        @match entry.direction() {
            Direction::Out => { span aria-hidden="true" { "→ " } (visit.say("hinaus", "out")) }
            Direction::In => { span aria-hidden="true" { "← " } (visit.say("herein", "in")) }
            Direction::Unspecified => {}
        }
    }
}

/// Shows how it was decided; most entries tell of no decision.
pub(super) fn decision(visit: &Visit, entry: &LogEntry) -> Markup {
    html! {
        @match entry.decision() {
            Decision::Permit => (badge(Mood::Good, visit.say("erlaubt", "permitted"))),
            Decision::Refuse => (badge(Mood::Bad, visit.say("abgelehnt", "refused"))),
            Decision::Unspecified => {}
        }
    }
}

fn nothing(visit: &Visit, form: &FilterForm, before: Option<u64>, next: Option<u64>) -> Markup {
    html! {
        p .empty {
            @if let Some(next) = next {
                (visit.say("Bis hinab zu Nr. ", "Down to no. ")) (next)
                (visit.say(" passt kein Eintrag dazu; ältere sind noch nicht durchsucht.", " no entry matches; older ones were not searched yet."))
            } @else if form.narrows() || before.is_some() { (visit.say("Kein Eintrag passt dazu.", "No entry matches.")) }
            @else { (visit.say("Dieses Protokoll hat noch keinen Eintrag.", "This log has no entry yet.")) }
        }
    }
}

fn turn(visit: &Visit, form: &FilterForm, page: &Page, before: Option<u64>) -> Markup {
    html! {
        @if before.is_some() || page.next.is_some() {
            nav .turn aria-label=(visit.say("Blättern", "Turn pages")) {
                @if before.is_some() {
                    a href=(form.address(None)) { (visit.say("Zum neuesten Eintrag", "To the newest entry")) }
                }
                @if let Some(next) = page.next {
                    a rel="next" href=(form.address(Some(next))) { (visit.say("Ältere Einträge", "Older entries")) }
                }
            }
        }
    }
}
