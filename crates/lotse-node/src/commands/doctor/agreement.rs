//! Agreements: in force, ending, suspended, or waiting for seals.

use std::time::Duration;

use lotse_core::time::DAY;

use super::finding::{Area, Finding};
use super::place::Place;
use super::stored::Stored;
use crate::action::list_agreements::{AgreementStanding, ListedAgreement, list_agreements};

/// An agreement that ends so soon is a warning: its next version needs everybody's seal before.
const SOON: Duration = DAY.saturating_mul(60);

/// Looks at the agreements.
pub(super) fn examine(place: &Place, stored: &Stored) -> Vec<Finding> {
    let listed = list_agreements(&stored.federation, place.now);
    let mut findings: Vec<Finding> = listed.iter().filter_map(|listed| judge(place, listed)).collect();
    if !listed.iter().any(|listed| listed.standing == AgreementStanding::InForce) {
        let todo = format!(
            "{}, {}, then all parties sign it",
            place.command("agreement new --party other.card=employment_agency"),
            place.command("agreement offer agreement.toml")
        );
        findings.push(Finding::warning(Area::Agreement, "all", "none is in force: nothing can be released", todo));
    }
    findings
}

fn judge(place: &Place, listed: &ListedAgreement) -> Option<Finding> {
    let agreement = &listed.agreement;
    let about = format!("{}, version {}", agreement.id, agreement.version);
    let until = agreement.valid_until;
    match listed.standing {
        AgreementStanding::InForce if until.since(place.now) < SOON => {
            let todo =
                "agree on a version that follows: raise `version` in its file, offer it, let all parties sign it";
            Some(Finding::warning(
                Area::Agreement,
                about,
                format!("in force, ends with {}", agreement.last_day()),
                todo.into(),
            ))
        }
        AgreementStanding::InForce => {
            Some(Finding::ok(Area::Agreement, about, format!("in force until the end of {}", agreement.last_day())))
        }
        AgreementStanding::Complete => {
            let seen = format!("sealed by all, begins on {}", agreement.first_day());
            Some(Finding::ok(Area::Agreement, about, seen))
        }
        AgreementStanding::Offered => Some(unsealed(place, listed, about)),
        AgreementStanding::Suspended => {
            let line = format!("agreement resume {} --reason 'agreed by telephone'", agreement.id);
            let todo = format!("if the reason is gone, {}", place.command(&line));
            Some(Finding::warning(Area::Agreement, about, "suspended here: nothing is released under it", todo))
        }
        AgreementStanding::Superseded | AgreementStanding::Ended => None,
    }
}

fn unsealed(place: &Place, listed: &ListedAgreement, about: String) -> Finding {
    let missing: Vec<&str> = listed.missing.iter().map(|agency| agency.as_str()).collect();
    let todo = if listed.missing.contains(&place.config.agency.id) {
        let agreement = &listed.agreement;
        let which = format!("{} --version {}", agreement.id, agreement.version);
        format!(
            "read it, {}, then {}",
            place.command(&format!("agreement show {which}")),
            place.command(&format!("agreement sign {which} --digest {}", agreement.digest))
        )
    } else {
        format!("ask {} to sign it", missing.join(", "))
    };
    Finding::warning(Area::Agreement, about, format!("seals are missing: {}", missing.join(", ")), todo)
}
