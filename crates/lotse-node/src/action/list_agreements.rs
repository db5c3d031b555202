//! The versions of agreements that this node knows, and where each stands.

use std::collections::BTreeSet;
use std::sync::Arc;

use lotse_core::agreement::{Agreement, KnownAgreement, current};
use lotse_core::id::{AgencyId, Id};
use lotse_core::time::Timestamp;

use crate::failure::Failure;
use crate::federation::Federation;

/// Where a version of an agreement stands at this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AgreementStanding {
    /// Seals are missing.
    Offered,
    /// All seals are here; its time has not come.
    Complete,
    /// In force.
    InForce,
    /// Replaced by a later version.
    Superseded,
    /// Its time is over.
    Ended,
    /// Suspended at this node.
    Suspended,
}

/// A version and where it stands.
#[derive(Clone, Debug)]
pub struct ListedAgreement {
    /// The version.
    pub agreement: Arc<Agreement>,
    /// Where it stands.
    pub standing: AgreementStanding,
    /// Who has sealed it.
    pub sealed_by: BTreeSet<AgencyId>,
    /// Whose seals are missing.
    pub missing: BTreeSet<AgencyId>,
}

/// Lists all versions, the newest agreement and its highest version first.
pub fn list_agreements(federation: &Federation, at: Timestamp) -> Vec<ListedAgreement> {
    let mut listed: Vec<_> = federation.agreements.iter().map(|known| describe(federation, known, at)).collect();
    listed.sort_by_key(|listed| std::cmp::Reverse((listed.agreement.id, listed.agreement.version)));
    listed
}

/// Finds one version; 0 means the highest.
pub fn find_agreement(
    federation: &Federation,
    id: Id,
    version: u32,
    at: Timestamp,
) -> Result<ListedAgreement, Failure> {
    let of_agreement = federation.agreements.iter().filter(|known| known.agreement.id == id);
    let known = match version {
        0 => of_agreement.max_by_key(|known| known.agreement.version),
        _ => federation.version_of(id, version),
    };
    known.map(|known| describe(federation, known, at)).ok_or_else(Failure::not_found)
}

fn describe(federation: &Federation, known: &KnownAgreement, at: Timestamp) -> ListedAgreement {
    let sealed_by = federation.sealed_by(&known.agreement.digest);
    let missing = match known.completed_at {
        None => federation.sealers(&known.agreement).difference(&sealed_by).cloned().collect(),
        // A party's seal that a later version asks for is not missing here.
        Some(_) => BTreeSet::new(),
    };
    let standing = standing(federation, known, at);
    ListedAgreement { agreement: known.agreement.clone(), standing, sealed_by, missing }
}

fn standing(federation: &Federation, known: &KnownAgreement, at: Timestamp) -> AgreementStanding {
    let agreement = &known.agreement;
    let newest = current(&federation.agreements, agreement.id, at).map_or(0, |known| known.agreement.version);
    if agreement.valid_until <= at {
        AgreementStanding::Ended
    } else if newest > agreement.version {
        AgreementStanding::Superseded
    } else if known.completed_at.is_none() {
        AgreementStanding::Offered
    } else if known.suspended {
        AgreementStanding::Suspended
    } else if agreement.valid_from > at {
        AgreementStanding::Complete
    } else {
        AgreementStanding::InForce
    }
}

#[cfg(test)]
mod tests {
    use lotse_core::time::DAY;

    use super::*;
    use crate::action::offer_agreement::offer_agreement;
    use crate::action::suspend_agreement::suspend_agreement;
    use crate::testing::{TestNode, admin, agree_on, agreement_text, introduce};

    fn standings(node: &TestNode) -> Vec<(u32, AgreementStanding)> {
        let listed = list_agreements(&node.federation.get(), node.now());
        listed.iter().map(|listed| (listed.agreement.version, listed.standing)).collect()
    }

    #[tokio::test]
    async fn a_version_passes_through_its_standings() {
        use AgreementStanding::*;
        let one = TestNode::new("one.example").await;
        let two = TestNode::with("two.example", one.kind, one.clock.clone()).await;
        introduce(&[&one, &two]).await;
        let id = Id::from_bytes([7; 16]);
        let text = agreement_text(id, 0, &[&one, &two]);
        offer_agreement(&one, &text, admin()).await.unwrap();
        assert_eq!(standings(&one), [(1, Offered)]);
        let offered = find_agreement(&one.federation.get(), id, 0, one.now()).unwrap();
        assert_eq!((offered.sealed_by.len(), offered.missing.len()), (0, 2));
        agree_on(&[&one, &two], &text).await;
        assert_eq!(standings(&one), [(1, InForce)]);
        agree_on(&[&one, &two], &agreement_text(id, 3, &[&one, &two]).replace("version = 1\n", "version = 2\n")).await;
        assert_eq!(standings(&one), [(2, Complete), (1, InForce)]);
        one.clock.turn(4 * DAY);
        assert_eq!(standings(&one), [(2, InForce), (1, Superseded)]);
        suspend_agreement(&one, id, admin()).await.unwrap();
        assert_eq!(standings(&one), [(2, Suspended), (1, Superseded)]);
        one.clock.turn(1000 * DAY);
        assert_eq!(standings(&one), [(2, Ended), (1, Ended)]);
        assert!(find_agreement(&one.federation.get(), id, 3, one.now()).is_err());
    }
}
