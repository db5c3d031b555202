//! The own card, and the peers with the state of their cards and connections.

use axum::response::Response;
use lotse_core::card::Card;
use lotse_core::time::{ENDS_SOON, Timestamp};
use lotse_store::outbox::Waiting;
use maud::{Markup, html};

use super::foreign::foreign;
use super::frame::{Mood, Section, badge};
use super::moment;
use super::visit::Visit;
use crate::action::get_status::waiting;
use crate::failure::Failure;
use crate::federation::Peer;

/// Shows the peers.
pub(super) async fn list(visit: Visit) -> Response {
    let page = page(&visit).await;
    visit.answer(page)
}

async fn page(visit: &Visit) -> Result<Markup, Failure> {
    let waiting = waiting(&visit.node).await?;
    let federation = visit.node.federation.get();
    let content = html! {
        @if federation.peers.is_empty() {
            p .empty {
                (visit.say(
                    "Noch keine Gegenstelle ist angenommen. Die Administration vergleicht Fingerabdrücke und nimmt Karten an: lotse peer accept.",
                    "No peer is accepted yet. The administrators compare fingerprints and accept cards: lotse peer accept.",
                ))
            }
        } @else {
            div .scroll role="region" aria-labelledby="peers" tabindex="0" {
                table {
                    caption #peers { (visit.say("Angenommene Gegenstellen: ", "Accepted peers: ")) (federation.peers.len()) }
                    thead {
                        tr {
                            th scope="col" { (visit.say("Stelle", "Agency")) }
                            th scope="col" { (visit.say("Austausch", "Exchange")) }
                            th scope="col" { (visit.say("Verbindung", "Connection")) }
                            th scope="col" { (visit.say("Karte", "Card")) }
                            th scope="col" { (visit.say("Offen", "Open")) }
                            th scope="col" { (visit.say("Fingerabdruck", "Fingerprint")) }
                        }
                    }
                    tbody { @for (agency, peer) in &federation.peers { (row(visit, peer, waiting.get(agency))) } }
                }
            }
        }
        (own(visit, federation.own.as_ref().map(|own| &own.card)))
    };
    Ok(visit.page(Section::Peers, visit.say("Gegenstellen", "Peers"), content))
}

fn row(visit: &Visit, peer: &Peer, waiting: Option<&Waiting>) -> Markup {
    let card = &peer.card.card;
    html! {
        tr {
            th scope="row" {
                (foreign(&card.name)) br;
                a .id href={ "/log?peer=" (card.agency) } { (card.agency) }
            }
            td {
                @if peer.suspended { (badge(Mood::Bad, visit.say("ausgesetzt", "suspended"))) }
                @else { (badge(Mood::Good, visit.say("zugelassen", "admitted"))) }
            }
            td { (connection(visit, peer, waiting.map_or(0, |waiting| waiting.due + waiting.in_doubt))) }
            td { "v" (card.version) ", " (validity(visit, card)) }
            td {
                @let (due, in_doubt) = waiting.map_or((0, 0), |waiting| (waiting.due, waiting.in_doubt));
                (due) (visit.say(" warten, ", " waiting, ")) (in_doubt) (visit.say(" ungeklärt", " in doubt"))
            }
            td .digits { (card.root.fingerprint()) }
        }
    }
}

fn connection(visit: &Visit, peer: &Peer, waiting: u64) -> Markup {
    let link = visit.node.links.get(&peer.card.card.agency);
    html! {
        @if link.connected { (badge(Mood::Good, visit.say("verbunden", "connected"))) }
        @else { (badge(Mood::Neutral, visit.say("nicht verbunden", "not connected"))) }
        @if let Some(seen) = link.last_seen {
            br; span .small { (visit.say("zuletzt ", "last seen ")) (moment::utc(seen, visit.reader.language)) }
        }
        @if let Some(problem) = visit.node.links.problem(&peer.card.card.agency, waiting) { br; span .small lang="en" { (foreign(&problem)) } }
    }
}

/// Says until when a card is valid, and whether it is now.
fn validity(visit: &Visit, card: &Card) -> Markup {
    let now: Timestamp = visit.node.now();
    let until = moment::day(card.valid_until, visit.reader.language);
    html! {
        (visit.say("gültig bis ", "valid until ")) (until) br;
        @if card.valid_until <= now { (badge(Mood::Bad, visit.say("abgelaufen", "expired"))) }
        @else if card.valid_from > now { (badge(Mood::Waiting, visit.say("gilt noch nicht", "not valid yet"))) }
        @else if card.valid_until < now.plus(ENDS_SOON) { (badge(Mood::Waiting, visit.say("läuft bald ab", "ends soon"))) }
        @else { (badge(Mood::Good, visit.say("gültig", "valid"))) }
    }
}

fn own(visit: &Visit, card: Option<&Card>) -> Markup {
    html! {
        section aria-labelledby="own" {
            h2 #own { (visit.say("Eigene Karte", "Own card")) }
            @match card {
                None => p .empty { (visit.say("Es ist keine eingesetzt.", "None is installed.")) },
                Some(card) => dl .facts {
                    dt { (visit.say("Stelle", "Agency")) } dd { (card.name) " (" (card.agency) ")" }
                    dt { (visit.say("Version", "Version")) } dd { (card.version) }
                    dt { (visit.say("Gültigkeit", "Validity")) } dd { (validity(visit, card)) }
                    dt { (visit.say("Fingerabdruck des Wurzelschlüssels", "Fingerprint of the root key")) }
                    dd .digits { (card.root.fingerprint()) }
                    dt { (visit.say("Adressen für andere Stellen", "Addresses for other agencies")) }
                    dd { (card.endpoints.join(", ")) }
                },
            }
        }
    }
}
