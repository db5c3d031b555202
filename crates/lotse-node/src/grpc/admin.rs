//! What administrators do at this node.

mod answer;

use std::sync::Arc;

use lotse_core::id::{AgencyId, Digest, Id};
use lotse_core::reason::Reason;
use lotse_core::seal::Seal;
use lotse_proto::admin::v1 as proto;
use lotse_proto::admin::v1::admin_service_server::{AdminService, AdminServiceServer};
use lotse_proto::exchange::v1 as exchange;
use tonic::{Request, Response, Status};

use crate::action::accept_peer::accept_peer;
use crate::action::confirm_clock::confirm_clock;
use crate::action::dismiss_peer_doubt::dismiss_peer_doubt;
use crate::action::end_officer_sessions::end_officer_sessions;
use crate::action::get_status::{get_status, waiting};
use crate::action::install_card::install_card;
use crate::action::issue_officer_link::issue_officer_link;
use crate::action::list_agreements::{find_agreement, list_agreements};
use crate::action::offer_agreement::offer_agreement;
use crate::action::sign_agreement::{ReadVersion, sign_agreement};
use crate::action::suspend_agreement::{resume_agreement, suspend_agreement};
use crate::action::suspend_peer::{resume_peer, suspend_peer};
use crate::edge::MAX_MESSAGE_BYTES;
use crate::failure::Failure;
use crate::federation::Act;
use crate::grpc::access;
use crate::node::Node;
use crate::session::ENTRANCE;
use crate::wire;

/// Longest reason that an administrator gives, in characters.
const MAX_REASON: usize = 500;

/// Makes the service.
pub fn service(node: Arc<Node>) -> AdminServiceServer<Admin> {
    AdminServiceServer::new(Admin { node })
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES)
}

/// The service.
pub struct Admin {
    node: Arc<Node>,
}

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl AdminService for Admin {
    async fn get_status(&self, request: Request<proto::GetStatusRequest>) -> Answer<proto::GetStatusResponse> {
        access::act(&self.node, &request, access::GET_STATUS)?;
        Ok(Response::new(answer::status(&self.node, get_status(&self.node).await?)))
    }

    async fn get_own_card(&self, request: Request<proto::GetOwnCardRequest>) -> Answer<proto::GetOwnCardResponse> {
        access::act(&self.node, &request, access::GET_OWN_CARD)?;
        let federation = self.node.federation.get();
        let (Some(own), Some(seal)) = (&federation.own, federation.own_seal.as_deref()) else {
            return Err(Failure::not_found().into());
        };
        let fingerprint = own.card.root.fingerprint().to_string();
        Ok(Response::new(proto::GetOwnCardResponse { card: Some(wire::seal::message(seal)), fingerprint }))
    }

    async fn install_card(&self, request: Request<proto::InstallCardRequest>) -> Answer<proto::InstallCardResponse> {
        let act = access::act(&self.node, &request, access::INSTALL_CARD)?;
        let card_version = install_card(&self.node, card(request.into_inner().card)?, act).await?;
        Ok(Response::new(proto::InstallCardResponse { card_version }))
    }

    async fn list_peers(&self, request: Request<proto::ListPeersRequest>) -> Answer<proto::ListPeersResponse> {
        access::act(&self.node, &request, access::LIST_PEERS)?;
        let (federation, waiting) = (self.node.federation.get(), waiting(&self.node).await?);
        let peers = federation.peers.iter();
        let peers = peers.map(|(agency, peer)| answer::peer(&self.node, peer, waiting.get(agency))).collect();
        Ok(Response::new(proto::ListPeersResponse { peers }))
    }

    async fn accept_peer(&self, request: Request<proto::AcceptPeerRequest>) -> Answer<proto::AcceptPeerResponse> {
        let act = access::act(&self.node, &request, access::ACCEPT_PEER)?;
        let request = request.into_inner();
        let agency = accept_peer(&self.node, card(request.card)?, request.fingerprint, act).await?;
        let federation = self.node.federation.get();
        let peer = federation.peers.get(&agency).map(|peer| answer::peer(&self.node, peer, None));
        Ok(Response::new(proto::AcceptPeerResponse { peer }))
    }

    async fn suspend_peer(&self, request: Request<proto::SuspendPeerRequest>) -> Answer<proto::SuspendPeerResponse> {
        let act = access::act(&self.node, &request, access::SUSPEND_PEER)?;
        let request = request.into_inner();
        suspend_peer(&self.node, agency(&request.agency)?, because(act, request.reason)?).await?;
        Ok(Response::new(proto::SuspendPeerResponse {}))
    }

    async fn resume_peer(&self, request: Request<proto::ResumePeerRequest>) -> Answer<proto::ResumePeerResponse> {
        let act = access::act(&self.node, &request, access::RESUME_PEER)?;
        let request = request.into_inner();
        resume_peer(&self.node, agency(&request.agency)?, because(act, request.reason)?).await?;
        Ok(Response::new(proto::ResumePeerResponse {}))
    }

    async fn dismiss_peer_doubt(
        &self,
        request: Request<proto::DismissPeerDoubtRequest>,
    ) -> Answer<proto::DismissPeerDoubtResponse> {
        let act = access::act(&self.node, &request, access::DISMISS_PEER_DOUBT)?;
        let request = request.into_inner();
        dismiss_peer_doubt(&self.node, agency(&request.agency)?, because(act, request.reason)?).await?;
        Ok(Response::new(proto::DismissPeerDoubtResponse {}))
    }

    async fn offer_agreement(
        &self,
        request: Request<proto::OfferAgreementRequest>,
    ) -> Answer<proto::OfferAgreementResponse> {
        let act = access::act(&self.node, &request, access::OFFER_AGREEMENT)?;
        let (agreement, warnings) = offer_agreement(&self.node, &request.into_inner().source, act).await?;
        let agreement = Some(self.summary(agreement.id, agreement.version)?);
        Ok(Response::new(proto::OfferAgreementResponse { agreement, warnings }))
    }

    async fn sign_agreement(
        &self,
        request: Request<proto::SignAgreementRequest>,
    ) -> Answer<proto::SignAgreementResponse> {
        let act = access::act(&self.node, &request, access::SIGN_AGREEMENT)?;
        let request = request.into_inner();
        let (id, digest) = (id(&request.agreement_id)?, digest(&request.digest)?);
        let agreement = sign_agreement(&self.node, ReadVersion { id, version: request.version, digest }, act).await?;
        let agreement = Some(self.summary(agreement.id, agreement.version)?);
        Ok(Response::new(proto::SignAgreementResponse { agreement }))
    }

    async fn list_agreements(
        &self,
        request: Request<proto::ListAgreementsRequest>,
    ) -> Answer<proto::ListAgreementsResponse> {
        access::act(&self.node, &request, access::LIST_AGREEMENTS)?;
        let listed = list_agreements(&self.node.federation.get(), self.node.now());
        let agreements = listed.iter().map(answer::summary).collect();
        Ok(Response::new(proto::ListAgreementsResponse { agreements }))
    }

    async fn get_agreement(&self, request: Request<proto::GetAgreementRequest>) -> Answer<proto::GetAgreementResponse> {
        access::act(&self.node, &request, access::GET_AGREEMENT)?;
        let request = request.into_inner();
        let federation = self.node.federation.get();
        let found = find_agreement(&federation, id(&request.agreement_id)?, request.version, self.node.now())?;
        Ok(Response::new(answer::agreement(&federation, &found)))
    }

    async fn suspend_agreement(
        &self,
        request: Request<proto::SuspendAgreementRequest>,
    ) -> Answer<proto::SuspendAgreementResponse> {
        let act = access::act(&self.node, &request, access::SUSPEND_AGREEMENT)?;
        let request = request.into_inner();
        suspend_agreement(&self.node, id(&request.agreement_id)?, because(act, request.reason)?).await?;
        Ok(Response::new(proto::SuspendAgreementResponse {}))
    }

    async fn resume_agreement(
        &self,
        request: Request<proto::ResumeAgreementRequest>,
    ) -> Answer<proto::ResumeAgreementResponse> {
        let act = access::act(&self.node, &request, access::RESUME_AGREEMENT)?;
        let request = request.into_inner();
        resume_agreement(&self.node, id(&request.agreement_id)?, because(act, request.reason)?).await?;
        Ok(Response::new(proto::ResumeAgreementResponse {}))
    }

    async fn confirm_clock(&self, request: Request<proto::ConfirmClockRequest>) -> Answer<proto::ConfirmClockResponse> {
        let act = access::act(&self.node, &request, access::CONFIRM_CLOCK)?;
        confirm_clock(&self.node, because(act, request.into_inner().reason)?).await?;
        Ok(Response::new(proto::ConfirmClockResponse {}))
    }

    async fn issue_officer_link(
        &self,
        request: Request<proto::IssueOfficerLinkRequest>,
    ) -> Answer<proto::IssueOfficerLinkResponse> {
        let act = access::act(&self.node, &request, access::ISSUE_OFFICER_LINK)?;
        let link = issue_officer_link(&self.node, &request.into_inner().officer, act).await?;
        Ok(Response::new(proto::IssueOfficerLinkResponse {
            path: format!("{ENTRANCE}{}", link.token.text()),
            valid_until: Some(wire::time::message(link.valid_until)),
            officer: link.officer.to_string(),
        }))
    }

    async fn end_officer_sessions(
        &self,
        request: Request<proto::EndOfficerSessionsRequest>,
    ) -> Answer<proto::EndOfficerSessionsResponse> {
        let act = access::act(&self.node, &request, access::END_OFFICER_SESSIONS)?;
        let (officer, ended) = end_officer_sessions(&self.node, &request.into_inner().officer, act).await?;
        Ok(Response::new(proto::EndOfficerSessionsResponse {
            officer: officer.to_string(),
            sessions: ended.sessions as u32,
            links: ended.links as u32,
        }))
    }
}

impl Admin {
    fn summary(&self, id: Id, version: u32) -> Result<proto::AgreementSummary, Failure> {
        let found = find_agreement(&self.node.federation.get(), id, version, self.node.now())?;
        Ok(answer::summary(&found))
    }
}

fn card(message: Option<exchange::Seal>) -> Result<Seal, Failure> {
    let message = message.ok_or_else(|| Failure::field(Reason::FieldMissing, "card", "is required"))?;
    wire::seal::parse(message).map_err(|error| Failure::field(Reason::CardInvalid, "card", error.to_string()))
}

fn agency(text: &str) -> Result<AgencyId, Failure> {
    text.parse().map_err(|error| invalid("agency", &error))
}

fn id(text: &str) -> Result<Id, Failure> {
    text.parse().map_err(|error| invalid("agreement_id", &error))
}

/// Reads the digest of the text that an administrator has read.
fn digest(text: &str) -> Result<Digest, Failure> {
    if text.is_empty() {
        let message = "is required: the digest that `lotse agreement show` prints of the text that was read";
        return Err(Failure::field(Reason::FieldMissing, "digest", message));
    }
    text.parse().map_err(|error| invalid("digest", &error))
}

/// Adds what the administrator gave as reason.
fn because(act: Act, reason: String) -> Result<Act, Failure> {
    if reason.chars().count() > MAX_REASON {
        return Err(Failure::field(Reason::TooLarge, "reason", format!("use at most {MAX_REASON} characters")));
    }
    Ok(Act { remark: reason, ..act })
}

fn invalid(field: &str, error: &dyn std::fmt::Display) -> Failure {
    Failure::field(Reason::FieldInvalid, field, error.to_string())
}
