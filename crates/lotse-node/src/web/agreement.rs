//! One version of an agreement: state, seals, and what it says in sentences.

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query};
use axum::response::Response;
use lotse_core::agreement::show::show as in_sentences;
use lotse_core::id::AgencyId;
use maud::{Markup, html};
use serde::Deserialize;

use super::agreements::{standing, term};
use super::foreign::foreign;
use super::frame::{Mood, Section, badge};
use super::visit::Visit;
use crate::action::list_agreements::{ListedAgreement, find_agreement};
use crate::failure::Failure;
use crate::foreign::visible;

/// Which version; the highest unless one is given.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Of {
    version: Option<u32>,
}

/// Shows a version.
pub(super) async fn show(
    visit: Visit,
    id: Result<Path<String>, PathRejection>,
    of: Result<Query<Of>, QueryRejection>,
) -> Response {
    let page = find(&visit, id, of).map(|found| page(&visit, &found));
    visit.answer(page)
}

fn find(
    visit: &Visit,
    id: Result<Path<String>, PathRejection>,
    of: Result<Query<Of>, QueryRejection>,
) -> Result<ListedAgreement, Failure> {
    let id = id.ok().and_then(|Path(id)| id.parse().ok()).ok_or_else(Failure::not_found)?;
    let Query(of) = of.map_err(|_| Failure::not_found())?;
    find_agreement(&visit.node.federation.get(), id, of.version.unwrap_or_default(), visit.node.now())
}

fn page(visit: &Visit, found: &ListedAgreement) -> Markup {
    let agreement = &found.agreement;
    let title = format!("{} {}", visit.say("Vereinbarung", "Agreement"), visible(&agreement.title));
    let content = html! {
        dl .facts {
            dt { (visit.say("Stand", "State")) } dd { (standing(visit, found.standing)) }
            dt { (visit.say("Laufzeit", "Term")) } dd { (term(visit, found)) }
            dt { (visit.say("Fassung", "Version")) } dd { (agreement.version) }
            dt { (visit.say("Kennung", "Identifier")) } dd { code { (agreement.id) } }
            dt { (visit.say("Prüfsumme der besiegelten Bytes", "Digest of the sealed bytes")) }
            dd { code { (agreement.digest) } }
        }
        (seals(visit, found))
        section aria-labelledby="text" {
            h2 #text { (visit.say("Was sie sagt", "What it says")) }
            pre .prose tabindex="0" aria-labelledby="text" { (visible(&in_sentences(agreement, visit.reader.language))) }
        }
    };
    visit.page(Section::Agreements, &title, content)
}

fn seals(visit: &Visit, found: &ListedAgreement) -> Markup {
    html! {
        div .scroll role="region" aria-labelledby="seals" tabindex="0" {
            table {
                caption #seals { (visit.say("Siegel der Parteien", "Seals of the parties")) }
                thead {
                    tr {
                        th scope="col" { (visit.say("Partei", "Party")) }
                        th scope="col" { (visit.say("Siegel", "Seal")) }
                    }
                }
                tbody {
                    @for agency in found.sealed_by.union(&found.missing) {
                        tr {
                            th scope="row" { (party(found, agency)) }
                            td {
                                @if found.sealed_by.contains(agency) { (badge(Mood::Good, visit.say("geprüft", "verified"))) }
                                @else { (badge(Mood::Waiting, visit.say("fehlt noch", "still missing"))) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn party(found: &ListedAgreement, agency: &AgencyId) -> Markup {
    html! {
        @if let Some(party) = found.agreement.party(agency) { (foreign(&party.name)) br; }
        span .id { (agency) }
    }
}
