//! The exchange log, as officers read it.

pub(crate) mod answer;

use std::sync::Arc;

use lotse_core::reason::Reason;
use lotse_proto::audit::v1 as audit;
use lotse_proto::audit::v1::audit_service_server::{AuditService, AuditServiceServer};
use tonic::{Request, Response, Status};

use crate::action::get_checkpoint::get_checkpoint;
use crate::action::get_entry::get_entry;
use crate::action::get_seals::get_seals;
use crate::action::list_entries::{MAX_PAGE, explain_empty, list_entries};
use crate::action::read_entries::read_entries;
use crate::action::record_look::{Looks, describe_list, record_look};
use crate::edge::MAX_MESSAGE_BYTES;
use crate::failure::Failure;
use crate::grpc::access;
use crate::node::Node;
use answer::{answer, documents, logged, parse_filter, parse_wanted, unknown_peer};

/// Entries of a page where none is asked for.
const USUAL_PAGE: u32 = 100;

/// Makes the service.
pub fn service(node: Arc<Node>) -> AuditServiceServer<Audit> {
    AuditServiceServer::new(Audit { node, looks: Arc::default() })
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES)
}

/// The service.
#[derive(Clone)]
pub struct Audit {
    node: Arc<Node>,
    looks: Arc<Looks>,
}

impl Audit {
    fn generation(&self, asked: u32) -> u32 {
        if asked == 0 { self.node.generation } else { asked }
    }

    /// Adds the generation to what is looked at, if it is not the present one.
    fn seen(&self, seen: String, generation: u32) -> String {
        if generation == self.node.generation { seen } else { format!("{seen} (generation {generation})") }
    }
}

#[tonic::async_trait]
impl AuditService for Audit {
    async fn list_entries(
        &self,
        request: Request<audit::ListEntriesRequest>,
    ) -> Result<Response<audit::ListEntriesResponse>, Status> {
        let actor = access::act(&self.node, &request, access::LIST_ENTRIES)?.actor;
        let request = request.into_inner();
        let generation = self.generation(request.generation);
        let before = parse_token(&request.page_token)?;
        let size = page_size(request.page_size)?;
        let filter = parse_filter(request.filter.unwrap_or_default())?;
        let seen = || self.seen(describe_list(&filter, &self.node.federation.get()), generation);
        record_look(&self.node, &self.looks, &actor, seen).await?;
        let asked = filter.peer.clone().filter(|_| before.is_none());
        let page = list_entries(&self.node.store, generation, filter, before, size).await.map_err(Failure::from)?;
        let Node { agency, federation, .. } = &*self.node;
        if let Some(unknown) = explain_empty(&page, asked.as_ref(), agency, &federation.get()) {
            return Err(unknown_peer(unknown).into());
        }
        Ok(Response::new(audit::ListEntriesResponse {
            entries: page.leaves.iter().map(|leaf| logged(leaf, generation)).collect(),
            next_page_token: page.next.map(|index| index.to_string()).unwrap_or_default(),
        }))
    }

    async fn get_entry(
        &self,
        request: Request<audit::GetEntryRequest>,
    ) -> Result<Response<audit::GetEntryResponse>, Status> {
        let actor = access::act(&self.node, &request, access::GET_ENTRY)?.actor;
        let audit::GetEntryRequest { index, generation } = request.into_inner();
        let generation = self.generation(generation);
        record_look(&self.node, &self.looks, &actor, || self.seen(format!("entry {index}"), generation)).await?;
        let proven = get_entry(&self.node.store, generation, index).await?;
        Ok(Response::new(answer(proven, generation)))
    }

    async fn get_checkpoint(
        &self,
        request: Request<audit::GetCheckpointRequest>,
    ) -> Result<Response<audit::GetCheckpointResponse>, Status> {
        access::act(&self.node, &request, access::GET_CHECKPOINT)?;
        let generation = self.generation(request.into_inner().generation);
        let Node { store, agency, keys, .. } = &*self.node;
        let head = get_checkpoint(store, agency, keys.log.public(), generation).await.map_err(Failure::from)?;
        let checkpoint = head.checkpoint.unwrap_or_default();
        Ok(Response::new(audit::GetCheckpointResponse { checkpoint, verifier_key: head.verifier_key }))
    }

    async fn read_entries(
        &self,
        request: Request<audit::ReadEntriesRequest>,
    ) -> Result<Response<audit::ReadEntriesResponse>, Status> {
        let actor = access::act(&self.node, &request, access::READ_ENTRIES)?.actor;
        let audit::ReadEntriesRequest { first, generation } = request.into_inner();
        let generation = self.generation(generation);
        let seen = || self.seen(format!("all entries from {first} on"), generation);
        record_look(&self.node, &self.looks, &actor, seen).await?;
        let read = read_entries(&self.node.store, generation, first).await;
        Ok(Response::new(audit::ReadEntriesResponse { entries: read.map_err(Failure::from)? }))
    }

    async fn get_seals(
        &self,
        request: Request<audit::GetSealsRequest>,
    ) -> Result<Response<audit::GetSealsResponse>, Status> {
        let actor = access::act(&self.node, &request, access::GET_SEALS)?.actor;
        let wanted = parse_wanted(request.into_inner())?;
        record_look(&self.node, &self.looks, &actor, || "sealed documents".to_string()).await?;
        let found = get_seals(&self.node.store, wanted).await.map_err(Failure::from)?;
        Ok(Response::new(documents(found)))
    }
}

fn page_size(asked: u32) -> Result<u32, Failure> {
    match asked {
        0 => Ok(USUAL_PAGE),
        1..=MAX_PAGE => Ok(asked),
        _ => Err(Failure::field(Reason::FieldInvalid, "page_size", format!("at most {MAX_PAGE}"))),
    }
}

fn parse_token(token: &str) -> Result<Option<u64>, Failure> {
    let parsed = (!token.is_empty()).then(|| token.parse());
    let invalid = |_| Failure::field(Reason::FieldInvalid, "page_token", "give the token of the answer before");
    parsed.transpose().map_err(invalid)
}
