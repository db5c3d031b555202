//! The first page: how the node is, and where to look on.

use axum::response::Response;
use maud::{Markup, html};

use super::frame::{Mood, Section, badge};
use super::moment;
use super::visit::Visit;
use crate::action::get_status::{NodeStatus, get_status};
use crate::action::list_agreements::{AgreementStanding, list_agreements};
use crate::entry::{Decision, EntryKind};
use crate::failure::Failure;

/// Shows the overview.
pub(super) async fn show(visit: Visit) -> Response {
    let page = page(&visit).await;
    visit.answer(page)
}

async fn page(visit: &Visit) -> Result<Markup, Failure> {
    let status = get_status(&visit.node).await?;
    let of_kind = |kind: EntryKind| format!("/log?kind={}", kind as i32);
    let refused = format!("/log?decision={}", Decision::Refuse as i32);
    let questions = [
        (of_kind(EntryKind::Released), "Was wurde übermittelt?", "What was released?"),
        (refused, "Was wurde abgelehnt, und weshalb?", "What was refused, and why?"),
        (of_kind(EntryKind::OfficerLooked), "Wer hat dieses Protokoll eingesehen?", "Who read this log?"),
        (of_kind(EntryKind::Denied), "Wem wurde etwas verweigert?", "Who was denied something?"),
    ];
    let content = html! {
        (alarms(visit, &status))
        div .cards { (log(visit, &status)) (traffic(visit, &status)) (basis(visit, &status)) }
        h2 { (visit.say("Häufige Fragen", "Frequent questions")) }
        ul {
            @for (address, german, english) in questions {
                li { a href=(address) { (visit.say(german, english)) } }
            }
        }
    };
    Ok(visit.page(Section::Overview, visit.say("Übersicht", "Overview"), content))
}

fn alarms(visit: &Visit, status: &NodeStatus) -> Markup {
    html! {
        @if !status.alarms.is_empty() {
            section .alarm aria-labelledby="alarms" {
                h2 #alarms { (visit.say("Braucht einen Menschen", "Needs a human")) }
                ul lang="en" { @for alarm in &status.alarms { li { (super::foreign::foreign(alarm)) } } }
            }
        }
    }
}

fn log(visit: &Visit, status: &NodeStatus) -> Markup {
    let state = match status.log_hold {
        Some(_) => badge(Mood::Bad, visit.say("gesperrt", "on hold")),
        None => badge(Mood::Good, visit.say("wird signiert", "is signed")),
    };
    html! {
        section .card aria-labelledby="log" {
            h2 #log { a href="/log" { (visit.say("Austauschprotokoll", "Exchange log")) } }
            p { (state) }
            dl {
                dt { (visit.say("Einträge", "Entries")) } dd { (status.log_size) }
                dt { (visit.say("davon unter dem letzten Kontrollpunkt", "of these under the last checkpoint")) }
                dd { (status.checkpoint_size) }
                dt { (visit.say("Generation", "Generation")) } dd { (visit.node.generation) }
            }
        }
    }
}

fn traffic(visit: &Visit, status: &NodeStatus) -> Markup {
    let due: u64 = status.waiting.values().map(|waiting| waiting.due).sum();
    let in_doubt: u64 = status.waiting.values().map(|waiting| waiting.in_doubt).sum();
    let peers = visit.node.federation.get().peers.len();
    html! {
        section .card aria-labelledby="traffic" {
            h2 #traffic { a href="/peers" { (visit.say("Gegenstellen", "Peers")) } }
            p {
                @if in_doubt > 0 { (badge(Mood::Waiting, visit.say("etwas ist ungeklärt", "something is in doubt"))) }
                @else { (badge(Mood::Good, visit.say("nichts ist ungeklärt", "nothing is in doubt"))) }
            }
            dl {
                dt { (visit.say("angenommen", "accepted")) } dd { (peers) }
                dt { (visit.say("warten auf Übermittlung", "wait to be released")) } dd { (due) }
                dt { (visit.say("übermittelt, noch ohne Quittung", "released, no receipt yet")) } dd { (in_doubt) }
            }
        }
    }
}

fn basis(visit: &Visit, status: &NodeStatus) -> Markup {
    let agreements = list_agreements(&visit.node.federation.get(), visit.node.now());
    let in_force = agreements.iter().filter(|listed| listed.standing == AgreementStanding::InForce).count();
    html! {
        section .card aria-labelledby="basis" {
            h2 #basis { a href="/agreements" { (visit.say("Vereinbarungen", "Agreements")) } }
            p {
                @if in_force > 0 { (badge(Mood::Good, visit.say("Austausch ist erlaubt", "exchange is allowed"))) }
                @else { (badge(Mood::Waiting, visit.say("keine in Kraft", "none in force"))) }
            }
            dl {
                dt { (visit.say("in Kraft", "in force")) } dd { (in_force) }
                dt { (visit.say("eigene Karte gilt bis", "own card valid until")) }
                dd {
                    @match status.card {
                        Some((_, until)) => (moment::day(until, visit.reader.language)),
                        None => (visit.say("keine eingesetzt", "none installed")),
                    }
                }
            }
        }
    }
}
