//! Decides as a submission would now, explains it, and changes nothing.

use std::sync::Arc;

use lotse_core::consent::Consent;
use lotse_core::id::AgencyId;
use lotse_core::reason::Reason;
use lotse_core::release::{self, Permit};

use crate::action::covering::Consents;
use crate::action::guard;
use crate::action::subject::SubjectIds;
use crate::action::submit_referrals::Asked;
use crate::failure::Failure;
use crate::node::Node;
use crate::wire::referral::Handover;

/// A decision and how it came about.
pub struct Preview {
    /// The decision.
    pub decision: Result<Permit, Failure>,
    /// One sentence for each step.
    pub explanation: Vec<String>,
}

/// Previews a referral.
pub async fn preview_referral(node: &Arc<Node>, handover: Handover) -> Result<Preview, Failure> {
    let peer: AgencyId = handover.recipient.clone();
    let ids = SubjectIds::new(&node.vault, &handover.subject_reference);
    let named: Vec<_> = handover.consent.into_iter().collect();
    let recipient = peer.clone();
    let read = node.store.read("preview", move |tx| {
        Box::pin(async move { Consents::read(tx, &recipient, ids.all().collect(), named).await })
    });
    let consents = read.await?;
    let subject = ids.with_consents(&consents, handover.consent);
    let of_subject: Vec<&Consent> =
        consents.of(subject, handover.consent).into_iter().map(|towards| &towards.consent).collect();
    let federation = node.federation.get();
    let at = node.now();
    let mut explanation = Vec::new();
    if let Err(reason) = guard::releasable(node, &federation, &peer, at) {
        let refused = federation.refuse_release(&peer, vec![reason.into()]);
        explanation.extend(refused.causes.iter().map(|cause| cause.message.clone()));
        return Ok(Preview { decision: Err(refused), explanation });
    }
    let asked = Asked { node, peer: &peer, subject, handover: &handover };
    if let Err(refusals) = asked.is_in_time(at) {
        explanation.push(Reason::ItemExpired.sentence().to_string());
        return Ok(Preview { decision: Err(refusals.into()), explanation });
    }
    let decision = release::decide(&asked.release(), &federation.agreements, &of_subject, at, &mut explanation);
    Ok(Preview { decision: decision.map_err(Failure::from), explanation })
}
