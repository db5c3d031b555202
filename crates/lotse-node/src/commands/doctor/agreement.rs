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
        let new = || {
            format!(
                "{}, {}, then all parties sign it",
                place.command("agreement new --party other.card=employment_agency"),
                place.command("agreement offer agreement.toml")
            )
        };
        let todo = find_remedy(&listed).unwrap_or_else(new);
        findings.push(Finding::warning(Area::Agreement, "all", "none is in force: nothing can be released", todo));
    }
    findings
}

/// Returns what leads to an agreement in force where one is here that is suspended, begins later or needs seals; that needs less than a
/// new one.
fn find_remedy(listed: &[ListedAgreement]) -> Option<String> {
    let with = |standing: AgreementStanding| listed.iter().find(|listed| listed.standing == standing);
    if let Some(suspended) = with(AgreementStanding::Suspended) {
        return Some(format!("do what is advised for {}", naming(suspended)));
    }
    if let Some(complete) = with(AgreementStanding::Complete) {
        return Some(format!("wait until {}: {} begins", complete.agreement.first_day(), naming(complete)));
    }
    with(AgreementStanding::Offered).map(|offered| format!("do what is advised for {}", naming(offered)))
}

fn naming(listed: &ListedAgreement) -> String {
    format!("{}, version {}", listed.agreement.id, listed.agreement.version)
}

fn judge(place: &Place, listed: &ListedAgreement) -> Option<Finding> {
    let agreement = &listed.agreement;
    let about = naming(listed);
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

#[cfg(test)]
mod tests {
    use lotse_core::id::Id;

    use super::*;
    use crate::action::offer_agreement::offer_agreement;
    use crate::action::suspend_agreement::suspend_agreement;
    use crate::testing::{TestNode, admin, agree_on, agreement_text, introduce};

    fn remedy(node: &TestNode) -> Option<String> {
        find_remedy(&list_agreements(&node.federation.get(), node.now()))
    }

    #[tokio::test]
    async fn no_new_agreement_is_advised_where_one_is_suspended_or_begins_later_or_needs_seals() {
        let one = TestNode::new("one.example").await;
        let two = TestNode::with("two.example", one.kind, one.clock.clone()).await;
        introduce(&[&one, &two]).await;
        assert_eq!(remedy(&one), None);
        let id = Id::from_bytes([7; 16]);
        let text = agreement_text(id, 3, &[&one, &two]);
        offer_agreement(&one, &text, admin()).await.unwrap();
        assert_eq!(remedy(&one), Some(format!("do what is advised for {id}, version 1")));
        agree_on(&[&one, &two], &text).await;
        let begins = remedy(&one).unwrap();
        assert!(
            begins.starts_with("wait until 20") && begins.ends_with(&format!(": {id}, version 1 begins")),
            "{begins}"
        );
        suspend_agreement(&one, id, admin()).await.unwrap();
        assert_eq!(remedy(&one), Some(format!("do what is advised for {id}, version 1")));
        one.clock.turn(1000 * DAY);
        assert_eq!(remedy(&one), None);
    }
}
