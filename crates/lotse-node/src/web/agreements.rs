//! The agreements, every version with its state, term and seals.

use axum::response::Response;
use lotse_core::agreement::words::Term as _;
use maud::{Markup, html};

use super::foreign::foreign;
use super::frame::{Mood, Section, badge};
use super::moment;
use super::visit::Visit;
use crate::action::list_agreements::{AgreementStanding, ListedAgreement, list_agreements};

/// Shows all versions of all agreements.
pub(super) async fn list(visit: Visit) -> Response {
    let listed = list_agreements(&visit.node.federation.get(), visit.node.now());
    let content = html! {
        @if listed.is_empty() {
            p .empty {
                (visit.say(
                    "Dieser Knoten kennt noch keine Vereinbarung. Ohne Vereinbarung wird nichts übermittelt.",
                    "This node knows no agreement yet. Without one nothing is released.",
                ))
            }
        } @else {
            div .scroll role="region" aria-labelledby="agreements" tabindex="0" {
                table {
                    caption #agreements {
                        (visit.say("Fassungen von Kooperationsvereinbarungen: ", "Versions of cooperation agreements: "))
                        (listed.len())
                    }
                    thead {
                        tr {
                            th scope="col" { (visit.say("Vereinbarung", "Agreement")) }
                            th scope="col" { (visit.say("Fassung", "Version")) }
                            th scope="col" { (visit.say("Stand", "State")) }
                            th scope="col" { (visit.say("Laufzeit", "Term")) }
                            th scope="col" { (visit.say("Siegel", "Seals")) }
                        }
                    }
                    tbody { @for one in &listed { (row(&visit, one)) } }
                }
            }
        }
    };
    let page = visit.page(Section::Agreements, visit.say("Vereinbarungen", "Agreements"), content);
    visit.answer(Ok(page))
}

fn row(visit: &Visit, listed: &ListedAgreement) -> Markup {
    let agreement = &listed.agreement;
    let needed = listed.sealed_by.len() + listed.missing.len();
    html! {
        tr {
            th scope="row" {
                a href={ "/agreements/" (agreement.id) "?version=" (agreement.version) } { (foreign(&agreement.title)) }
                br; span .id { (agreement.id) }
            }
            td { (agreement.version) }
            td { (standing(visit, listed.standing)) }
            td { (term(visit, listed)) }
            td { (listed.sealed_by.len()) (visit.say(" von ", " of ")) (needed) }
        }
    }
}

/// Says on which days a version is in force, the first and the last.
pub(super) fn term(visit: &Visit, listed: &ListedAgreement) -> Markup {
    let (language, agreement) = (visit.reader.language, &listed.agreement);
    let [first, last] = [agreement.first_day(), agreement.last_day()].map(|day| moment::date(day, language));
    html! {
        (first) (visit.say(" bis ", " to ")) (last) " (" (agreement.calendar().term(language)) ")"
    }
}

/// Says where a version stands.
pub(super) fn standing(visit: &Visit, standing: AgreementStanding) -> Markup {
    let (mood, german, english) = match standing {
        AgreementStanding::Offered => (Mood::Waiting, "angeboten, Siegel fehlen", "offered, seals are missing"),
        AgreementStanding::Complete => (Mood::Waiting, "besiegelt, beginnt noch", "sealed, will begin"),
        AgreementStanding::InForce => (Mood::Good, "in Kraft", "in force"),
        AgreementStanding::Superseded => (Mood::Neutral, "durch eine neuere ersetzt", "replaced by a newer one"),
        AgreementStanding::Ended => (Mood::Neutral, "beendet", "ended"),
        AgreementStanding::Suspended => (Mood::Bad, "hier ausgesetzt", "suspended here"),
    };
    badge(mood, visit.say(german, english))
}
