//! The inbox, as an agency's own systems read it.

use std::sync::Arc;
use std::time::Duration;

use lotse_core::id::Id;
use lotse_core::reason::Reason;
use lotse_proto::agency::v1::inbox_service_server::{InboxService, InboxServiceServer};
use lotse_proto::agency::v1::{self as agency, fetched_record, inbox_event};
use lotse_proto::exchange::v1::envelope::Body;
use lotse_store::outbox::ItemKind;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use crate::action::confirm_import::confirm_import;
use crate::action::fetch_records::{FetchedRecord, Found, MAX_FETCH, fetch_records};
use crate::action::read_inbox::{Happened, Happening, Page, Reader, acknowledge, acknowledged, read_inbox};
use crate::edge::{Caller, MAX_MESSAGE_BYTES};
use crate::failure::Failure;
use crate::grpc::access;
use crate::node::Node;
use crate::wire::time;
use crate::wire::{category, decision, envelope};

/// Pause after which an empty answer says that the stream lives.
const SIGN_OF_LIFE: Duration = Duration::from_secs(30);

/// Answers that wait for a slow reader.
const QUEUED: usize = 4;

/// Makes the service.
pub fn service(node: Arc<Node>) -> InboxServiceServer<Inbox> {
    InboxServiceServer::new(Inbox { node })
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES)
}

/// The service.
pub struct Inbox {
    node: Arc<Node>,
}

#[tonic::async_trait]
impl InboxService for Inbox {
    type WatchStream = ReceiverStream<Result<agency::WatchResponse, Status>>;

    async fn watch(&self, request: Request<agency::WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let grant = access::system(&self.node, &request, access::WATCH)?;
        let caller = crate::edge::caller(&request)?;
        let reader = Reader { system: grant.system.clone(), purposes: grant.purposes };
        let after = match request.into_inner().after {
            Some(after) => after,
            None => acknowledged(&self.node, &grant.system).await?,
        };
        let (out, answers) = mpsc::channel(QUEUED);
        let watch = Watch { node: self.node.clone(), reader, caller, out };
        tokio::spawn(watch.run(after));
        Ok(Response::new(ReceiverStream::new(answers)))
    }

    async fn fetch(&self, request: Request<agency::FetchRequest>) -> Result<Response<agency::FetchResponse>, Status> {
        let grant = access::system(&self.node, &request, access::FETCH)?;
        let ids = ids("record_ids", &request.into_inner().record_ids)?;
        let Found { records, left, unreadable } =
            fetch_records(&self.node, &grant.system, grant.purposes, ids.clone()).await?;
        let here = |id: &Id| left.contains(id) || unreadable.contains(id);
        let found = |id: &Id| here(id) || records.iter().any(|record| record.held.record_id == *id);
        let not_found = ids.iter().filter(|id| !found(id)).map(ToString::to_string).collect();
        let texts = |ids: Vec<Id>| ids.iter().map(ToString::to_string).collect();
        let (left, unreadable) = (texts(left), texts(unreadable));
        let records = records.iter().map(fetched).collect();
        Ok(Response::new(agency::FetchResponse { records, not_found, left, unreadable }))
    }

    async fn confirm_import(
        &self,
        request: Request<agency::ConfirmImportRequest>,
    ) -> Result<Response<agency::ConfirmImportResponse>, Status> {
        let grant = access::system(&self.node, &request, access::CONFIRM_IMPORT)?;
        let tokens = ids("import_tokens", &request.into_inner().import_tokens)?;
        let confirmed = confirm_import(&self.node, &grant.system, tokens).await?;
        Ok(Response::new(agency::ConfirmImportResponse { confirmed: confirmed as u32 }))
    }

    async fn acknowledge(
        &self,
        request: Request<agency::AcknowledgeRequest>,
    ) -> Result<Response<agency::AcknowledgeResponse>, Status> {
        let grant = access::system(&self.node, &request, access::ACKNOWLEDGE)?;
        let cursor = acknowledge(&self.node, &grant.system, request.into_inner().cursor).await?;
        Ok(Response::new(agency::AcknowledgeResponse { cursor }))
    }
}

/// One system that follows the inbox.
struct Watch {
    node: Arc<Node>,
    reader: Reader,
    caller: Caller,
    out: mpsc::Sender<Result<agency::WatchResponse, Status>>,
}

impl Watch {
    async fn run(self, mut cursor: u64) {
        let mut news = self.node.signals.inbox();
        let mut told_caught_up = false;
        loop {
            // Events up to a number are committed before the number is told: what this stream has read to there is all there is.
            let newest = *news.borrow_and_update();
            let page =
                if cursor >= newest && newest > 0 { self.check().map(|()| None) } else { self.read(cursor).await };
            let answer = match page {
                Ok(Some(page)) => {
                    cursor = page.cursor;
                    Ok(self.response(page))
                }
                Ok(None) if !told_caught_up => Ok(self.caught_up(cursor)),
                Ok(None) => match self.wait(&mut news).await {
                    Waited::News => continue,
                    Waited::Silence => Ok(self.caught_up(cursor)),
                    Waited::Stop => Err(Failure::stopping().into()),
                    Waited::Gone => return,
                },
                Err(status) => Err(status),
            };
            let failed = answer.is_err();
            told_caught_up = answer.as_ref().is_ok_and(|response| response.caught_up);
            if self.out.send(answer).await.is_err() || failed {
                return;
            }
        }
    }

    async fn wait(&self, news: &mut watch::Receiver<u64>) -> Waited {
        tokio::select! {
            () = self.out.closed() => Waited::Gone,
            () = self.node.signals.stopping.cancelled() => Waited::Stop,
            waited = tokio::time::timeout(SIGN_OF_LIFE, news.changed()) => match waited {
                Ok(Ok(())) => Waited::News,
                Ok(Err(_)) => Waited::Gone,
                Err(_) => Waited::Silence,
            },
        }
    }

    /// Says that nothing comes after a cursor at this moment.
    fn caught_up(&self, cursor: u64) -> agency::WatchResponse {
        let response = self.response(Page { cursor, happenings: Vec::new() });
        agency::WatchResponse { caught_up: true, ..response }
    }

    fn check(&self) -> Result<(), Status> {
        self.caller.check().map_err(|refusal| Status::unauthenticated(refusal.to_string()))
    }

    async fn read(&self, cursor: u64) -> Result<Option<Page>, Status> {
        self.check()?;
        Ok(read_inbox(&self.node, &self.reader, cursor).await?)
    }

    fn response(&self, page: Page) -> agency::WatchResponse {
        agency::WatchResponse {
            cursor: page.cursor,
            events: page.happenings.iter().map(event).collect(),
            generation: self.node.generation,
            restore_point: self.node.restore_point.map(time::message),
            caught_up: false,
        }
    }
}

/// What a stream without events waited for.
enum Waited {
    News,
    Silence,
    Stop,
    Gone,
}

fn event(happening: &Happening) -> agency::InboxEvent {
    let (thread_id, kind) = match &happening.happened {
        Happened::Received(record) if record.kind == ItemKind::Referral => (
            record.thread_id,
            inbox_event::Kind::ReferralReceived(agency::ReferralReceived { purpose: record.purpose.number() }),
        ),
        Happened::Received(record) => (
            record.thread_id,
            inbox_event::Kind::AnswerReceived(agency::AnswerReceived {
                answer_id: record.record_id.to_string(),
                state: record.referral_state.number(),
            }),
        ),
        Happened::Delivered(delivery) => (
            delivery.thread_id,
            inbox_event::Kind::DeliveryChanged(agency::DeliveryChanged {
                record_id: delivery.record_id.to_string(),
                idempotency_key: delivery.idempotency_key.clone(),
                delivery: delivery.delivery.number(),
                reasons: delivery.reasons.iter().map(|&reason| decision::reason(reason)).collect(),
            }),
        ),
    };
    agency::InboxEvent {
        at: Some(time::message(happening.at)),
        referral_id: thread_id.to_string(),
        peer: happening.peer.to_string(),
        kind: Some(kind),
    }
}

fn fetched(record: &FetchedRecord) -> agency::FetchedRecord {
    let held = &record.held;
    let (trace_id, body) = envelope::traced_body(&record.envelope).unwrap_or_default();
    let content = body.and_then(|body| match body {
        Body::Referral(referral) => Some(fetched_record::Content::Referral(referral)),
        Body::Answer(answer) => Some(fetched_record::Content::Answer(answer)),
        _ => None,
    });
    agency::FetchedRecord {
        record_id: held.record_id.to_string(),
        referral_id: held.thread_id.to_string(),
        revision: held.revision.as_u64(),
        owner: held.owner.to_string(),
        import_token: record.token.to_string(),
        hold_until: Some(time::message(held.hold_until)),
        subject_ref: held.subject_ref.map(|id| id.to_string()).unwrap_or_default(),
        categories: category::numbers(held.covered),
        feedback_level: held.feedback.number(),
        content,
        trace_id: hex::encode(trace_id),
        same_person: record.same_person.iter().map(ToString::to_string).collect(),
    }
}

fn ids(field: &str, texts: &[String]) -> Result<Vec<Id>, Failure> {
    if texts.is_empty() {
        return Err(Failure::field(Reason::FieldMissing, field, "is required"));
    }
    if texts.len() > MAX_FETCH {
        return Err(Failure::field(Reason::TooLarge, field, "at most 256"));
    }
    let parse = |text: &String| text.parse().map_err(|error: lotse_core::id::IdError| error.to_string());
    let ids: Result<Vec<Id>, String> = texts.iter().map(parse).collect();
    let mut ids = ids.map_err(|message| Failure::field(Reason::FieldInvalid, field, message))?;
    ids.sort_unstable();
    ids.dedup();
    Ok(ids)
}
