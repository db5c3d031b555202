//! What an administrator is shown, as messages.

use std::collections::BTreeSet;

use lotse_core::id::AgencyId;
use lotse_proto::admin::v1 as proto;
use lotse_store::outbox::Waiting;

use crate::action::get_status::{NodeStatus, state_in_doubt};
use crate::action::list_agreements::{AgreementStanding, ListedAgreement};
use crate::federation::{Federation, Peer};
use crate::hold::ClockDoubt;
use crate::node::Node;
use crate::wire;

/// Writes how the node is.
pub(super) fn status(node: &Node, status: NodeStatus) -> proto::GetStatusResponse {
    proto::GetStatusResponse {
        agency: node.agency.to_string(),
        version: env!("CARGO_PKG_VERSION").into(),
        generation: node.generation,
        card_version: status.card.map_or(0, |(version, _)| version),
        card_valid_until: status.card.map(|(_, until)| wire::time::message(until)),
        log_size: status.log_size,
        checkpoint_size: status.checkpoint_size,
        log_hold: status.log_hold.unwrap_or_default(),
        clock_stepped_back: status.clock_doubt == Some(ClockDoubt::SteppedBack),
        clock_jumped_ahead: status.clock_doubt == Some(ClockDoubt::JumpedAhead),
        clock_uncompared: status.clock_doubt == Some(ClockDoubt::Uncompared),
        items_due: status.waiting.values().map(|waiting| waiting.due).sum(),
        items_in_doubt: status.waiting.values().map(|waiting| waiting.in_doubt).sum(),
        alarms: status.alarms,
    }
}

/// Writes a peer.
pub(super) fn peer(node: &Node, peer: &Peer, waiting: Option<&Waiting>) -> proto::Peer {
    let card = &peer.card.card;
    let link = node.links.get(&card.agency);
    let doubt = state_in_doubt(node, &card.agency);
    let count = waiting.map_or(0, |waiting| waiting.due + waiting.in_doubt);
    proto::Peer {
        agency: card.agency.to_string(),
        name: card.name.clone(),
        fingerprint: card.root.fingerprint().to_string(),
        card_version: card.version,
        card_valid_until: Some(wire::time::message(card.valid_until)),
        endpoints: card.endpoints.clone(),
        suspended: peer.suspended,
        connected: link.connected,
        last_seen_at: link.last_seen.map(wire::time::message),
        clock_difference_ms: link.clock_difference_us / 1000,
        items_due: waiting.map_or(0, |waiting| waiting.due),
        items_in_doubt: waiting.map_or(0, |waiting| waiting.in_doubt),
        announced_card_version: link.card_version,
        problem: match &doubt {
            Some(doubt) => doubt.message(),
            None => node.links.problem(&card.agency, count).unwrap_or_default(),
        },
        stopped: doubt.is_some(),
    }
}

/// Writes a version of an agreement without its parts.
pub(super) fn summary(listed: &ListedAgreement) -> proto::AgreementSummary {
    let agreement = &listed.agreement;
    proto::AgreementSummary {
        agreement_id: agreement.id.to_string(),
        version: agreement.version,
        title: agreement.title.clone(),
        state: state(listed.standing).into(),
        sealed_by: names(&listed.sealed_by),
        missing: names(&listed.missing),
        valid_from: Some(wire::time::message(agreement.valid_from)),
        valid_until: Some(wire::time::message(agreement.valid_until)),
        digest: agreement.digest.to_string(),
    }
}

/// Writes a version with its seals and its parties' cards.
pub(super) fn agreement(federation: &Federation, found: &ListedAgreement) -> proto::GetAgreementResponse {
    let parties = federation.sealers(&found.agreement);
    proto::GetAgreementResponse {
        summary: Some(summary(found)),
        agreement: Some(wire::agreement::message(&found.agreement)),
        seal: federation.seals.get(&found.agreement.digest).map(|seal| wire::seal::message(seal)),
        cards: parties.iter().filter_map(|party| federation.card(party)).map(wire::card::message).collect(),
    }
}

const fn state(standing: AgreementStanding) -> proto::AgreementState {
    match standing {
        AgreementStanding::Offered => proto::AgreementState::Offered,
        AgreementStanding::Complete => proto::AgreementState::Complete,
        AgreementStanding::InForce => proto::AgreementState::InForce,
        AgreementStanding::Superseded => proto::AgreementState::Superseded,
        AgreementStanding::Ended => proto::AgreementState::Ended,
        AgreementStanding::Suspended => proto::AgreementState::Suspended,
    }
}

fn names(agencies: &BTreeSet<AgencyId>) -> Vec<String> {
    agencies.iter().map(AgencyId::to_string).collect()
}
