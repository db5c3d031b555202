//! What this node offers to the nodes of other agencies.

use std::collections::BTreeSet;
use std::sync::Arc;

use lotse_core::id::{AgencyId, Digest};
use lotse_core::reason::Reason;
use lotse_core::seal::{MAX_SIGNATURES, SealError};
use lotse_proto::peer::v1 as proto;
use lotse_proto::peer::v1::peer_service_server::{PeerService, PeerServiceServer};
use tonic::{Request, Response, Status, Streaming};

use crate::action::take_agreement::take_agreement;
use crate::action::take_seals::take_seals;
use crate::edge::{MAX_MESSAGE_BYTES, Shares};
use crate::failure::{ErrorKind, Failure};
use crate::grpc::access;
use crate::grpc::exchange::{Receipts, STREAMS_OF_ONE_PEER, exchange};
use crate::node::Node;
use crate::wire;

/// Agreements of one agency that are read at the same time: a text of 1 MiB costs processor time.
const OFFERS_OF_ONE_PEER: usize = 1;

/// Makes the service.
pub fn service(node: Arc<Node>) -> PeerServiceServer<Peers> {
    let (streams, offers) = (Shares::new(STREAMS_OF_ONE_PEER), Shares::new(OFFERS_OF_ONE_PEER));
    PeerServiceServer::new(Peers { node, streams, offers })
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES)
}

/// The service.
pub struct Peers {
    node: Arc<Node>,
    streams: Arc<Shares<AgencyId>>,
    offers: Arc<Shares<AgencyId>>,
}

#[tonic::async_trait]
impl PeerService for Peers {
    async fn get_card(
        &self,
        request: Request<proto::GetCardRequest>,
    ) -> Result<Response<proto::GetCardResponse>, Status> {
        access::peer(&self.node, &request, access::GET_CARD)?;
        let federation = self.node.federation.get();
        let seal = federation.own_seal.as_deref().ok_or_else(|| Failure::refused(Reason::OwnCardExpired))?;
        Ok(Response::new(proto::GetCardResponse { card: Some(wire::seal::message(seal)) }))
    }

    async fn offer_agreement(
        &self,
        request: Request<proto::OfferAgreementRequest>,
    ) -> Result<Response<proto::OfferAgreementResponse>, Status> {
        let caller = access::peer(&self.node, &request, access::PEER_OFFER_AGREEMENT)?;
        let missing = || Failure::field(Reason::FieldMissing, "agreement", "is required");
        let seal = wire::seal::parse(request.into_inner().agreement.ok_or_else(missing)?).map_err(malformed)?;
        let (node, peer) = (self.node.clone(), caller.identity().agency().clone());
        let share = self.offers.take(peer.clone()).ok_or_else(too_many_offers)?;
        // In a task of its own, which goes on when the caller leaves: so it cannot begin the next one before this one ends.
        let taken = tokio::spawn(async move {
            let _share = share;
            take_agreement(&node, &peer, seal).await
        });
        let sealed =
            taken.await.map_err(|_| Failure::new(ErrorKind::Fault, Reason::Unavailable, "a task failed"))??;
        Ok(Response::new(proto::OfferAgreementResponse { sealed_by: names(&sealed) }))
    }

    async fn offer_seal(
        &self,
        request: Request<proto::OfferSealRequest>,
    ) -> Result<Response<proto::OfferSealResponse>, Status> {
        let caller = access::peer(&self.node, &request, access::OFFER_SEAL)?;
        let request = request.into_inner();
        let digest = Digest::from_slice(&request.agreement_digest)
            .map_err(|error| Failure::field(Reason::FieldInvalid, "agreement_digest", error.to_string()))?;
        if request.signatures.len() > MAX_SIGNATURES {
            return Err(malformed(SealError::TooManySignatures).into());
        }
        let signatures = request.signatures.into_iter().map(wire::seal::parse_signature);
        let signatures = signatures.collect::<Result<_, _>>().map_err(malformed)?;
        let sealed = take_seals(&self.node, caller.identity().agency(), digest, signatures).await?;
        Ok(Response::new(proto::OfferSealResponse { sealed_by: names(&sealed) }))
    }

    type ExchangeStream = Receipts;

    async fn exchange(
        &self,
        request: Request<Streaming<proto::ExchangeRequest>>,
    ) -> Result<Response<Receipts>, Status> {
        let caller = access::peer(&self.node, &request, access::EXCHANGE)?;
        exchange(self.node.clone(), caller, &self.streams, request).await
    }
}

fn too_many_offers() -> Failure {
    let message = "an agreement that this agency offered is still read: offer one after the other";
    Failure::new(ErrorKind::Overloaded, Reason::Overloaded, message)
}

fn malformed(error: SealError) -> Failure {
    Failure::field(Reason::FieldInvalid, "seal", error.to_string())
}

fn names(agencies: &BTreeSet<AgencyId>) -> Vec<String> {
    agencies.iter().map(AgencyId::to_string).collect()
}
