//! Referrals, as an agency's own systems hand them over and follow them.

mod thread;

use std::sync::Arc;

use futures_util::StreamExt;
use lotse_core::agreement::words::Language;
use lotse_core::id::{AgencyId, Id};
use lotse_core::reason::Reason;
use lotse_core::referral::ReferralState;
use lotse_core::release::Permit;
use lotse_proto::agency::v1::referral_service_server::{ReferralService, ReferralServiceServer};
use lotse_proto::agency::v1::{self as agency, preview_referral_response, submit_referrals_response};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use crate::action::answer_referral::{AnswerSubmission, answer_referral};
use crate::action::cancel_referral::cancel_referral;
use crate::action::get_referral::{Referral, get_referral};
use crate::action::list_referrals::{MAX_PAGE, list_received, list_sent};
use crate::action::preview_referral::preview_referral;
use crate::action::submit_referrals::{Submission, Submitted};
use crate::desk::Desk;
use crate::edge::MAX_MESSAGE_BYTES;
use crate::failure::Failure;
use crate::grpc::access::{self, Grant};
use crate::grpc::call;
use crate::grpc::farewell::farewell;
use crate::node::Node;
use crate::telemetry::trace::{Place, TraceId};
use crate::wire::field::Findings;
use crate::wire::referral::{MAX_KEY, parse_answer, parse_handover};
use crate::wire::text::composed;
use crate::wire::time;
use crate::wire::{category, decision};

/// Referrals of one stream that are worked on at once.
const STREAM_AT_ONCE: usize = 512;

/// Referrals without a page size.
const USUAL_PAGE: u32 = 100;

/// Makes the service.
pub fn service(node: Arc<Node>, desk: Arc<Desk>) -> ReferralServiceServer<Referrals> {
    ReferralServiceServer::new(Referrals { node, desk })
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES)
}

/// The service.
#[derive(Clone)]
pub struct Referrals {
    node: Arc<Node>,
    desk: Arc<Desk>,
}

impl Referrals {
    /// Reads what is handed over. One that cannot be submitted is counted.
    fn read(
        &self,
        grant: &Grant,
        handover: Option<agency::ReferralHandover>,
        place: Option<Place>,
    ) -> Result<Submission, Failure> {
        let refused = |failure: &Failure| self.node.telemetry.submission_refused(failure.reason());
        submission(&self.node, grant, handover, place).inspect_err(refused)
    }

    fn submitted(&self, submitted: &Submitted, language: Language) -> agency::SubmittedReferral {
        agency::SubmittedReferral {
            referral_id: submitted.record_id.to_string(),
            state: submitted.state.number(),
            left_out: category::numbers(submitted.left_out),
            repeated_key: submitted.repeated,
            generation: self.node.generation,
            restore_point: self.node.restore_point.map(time::message),
            hint: thread::hint(submitted, language),
            reasons: submitted.reasons.iter().map(|&reason| decision::reason_in(reason, language)).collect(),
            open_referral_id: submitted.open_referral.map(|id| id.to_string()).unwrap_or_default(),
        }
    }

    /// Submits one referral of a stream and answers it.
    async fn submit_one(
        &self,
        key: String,
        read: Result<Submission, Failure>,
        language: Language,
    ) -> agency::SubmitReferralsResponse {
        use submit_referrals_response::Result as Answer;
        let submitted = match read {
            Ok(submission) => self.desk.submit(submission).await,
            Err(failure) => Err(failure),
        };
        let result = match submitted {
            Ok(submitted) => Answer::Submitted(self.submitted(&submitted, language)),
            Err(failure) => Answer::Refused(decision::refusal(&failure, language)),
        };
        agency::SubmitReferralsResponse { idempotency_key: key, result: Some(result) }
    }
}

#[tonic::async_trait]
impl ReferralService for Referrals {
    async fn submit_referral(
        &self,
        request: Request<agency::SubmitReferralRequest>,
    ) -> Result<Response<agency::SubmitReferralResponse>, Status> {
        let grant = access::system(&self.node, &request, access::SUBMIT_REFERRAL)?;
        let (place, language) = (call::place(&request), call::language(&request));
        let submission = self.read(&grant, request.into_inner().handover, place)?;
        let submitted = self.submitted(&self.desk.submit(submission).await?, language);
        Ok(Response::new(agency::SubmitReferralResponse { submitted: Some(submitted) }))
    }

    type SubmitReferralsStream = ReceiverStream<Result<agency::SubmitReferralsResponse, Status>>;

    async fn submit_referrals(
        &self,
        request: Request<Streaming<agency::SubmitReferralsRequest>>,
    ) -> Result<Response<Self::SubmitReferralsStream>, Status> {
        let grant = access::system(&self.node, &request, access::SUBMIT_REFERRALS)?;
        let caller = crate::edge::caller(&request)?;
        let (place, language) = (call::given(&request), call::language(&request));
        let mut inbound = request.into_inner();
        let (out, answers) = mpsc::channel(STREAM_AT_ONCE);
        let service = self.clone();
        tokio::spawn(async move {
            let stopping = &service.node.signals.stopping;
            let results = (&mut inbound)
                .take_until(stopping.cancelled())
                .map(|message| {
                    let checked = caller.check().map_err(|refusal| Status::unauthenticated(refusal.to_string()));
                    // Read here, not in the future: hundreds of them wait, and each would have room for the whole message.
                    let read = checked.and(message).map(|request| {
                        let key = key(&request);
                        (key, service.read(&grant, request.handover, place))
                    });
                    async {
                        let (key, read) = read?;
                        Ok(service.submit_one(key, read, language).await)
                    }
                })
                .buffer_unordered(STREAM_AT_ONCE);
            let mut results = Box::pin(results);
            while let Some(result) = results.next().await {
                let failed = result.is_err();
                if out.send(result).await.is_err() || failed {
                    return;
                }
            }
            drop(results);
            if stopping.is_cancelled() {
                farewell(&out, inbound).await;
            }
        });
        Ok(Response::new(ReceiverStream::new(answers)))
    }

    async fn preview_referral(
        &self,
        request: Request<agency::PreviewReferralRequest>,
    ) -> Result<Response<agency::PreviewReferralResponse>, Status> {
        use preview_referral_response::Result as Answer;
        let grant = access::system(&self.node, &request, access::PREVIEW_REFERRAL)?;
        let language = call::language(&request);
        let missing = || Failure::field(Reason::FieldMissing, "handover", "is required");
        let mut handover = request.into_inner().handover.ok_or_else(missing)?;
        if handover.idempotency_key.is_empty() {
            handover.idempotency_key = "preview".into();
        }
        let handover = parse_handover(handover, self.node.now())?;
        grant.purpose(handover.referral.purpose)?;
        let preview = preview_referral(&self.node, handover).await?;
        let result = match &preview.decision {
            Ok(permit) => Answer::Permit(proto_permit(permit)),
            Err(failure) => Answer::Refusal(decision::refusal(failure, language)),
        };
        let explanation = preview.explanation;
        Ok(Response::new(agency::PreviewReferralResponse { explanation, result: Some(result) }))
    }

    async fn cancel_referral(
        &self,
        request: Request<agency::CancelReferralRequest>,
    ) -> Result<Response<agency::CancelReferralResponse>, Status> {
        let grant = access::system(&self.node, &request, access::CANCEL_REFERRAL)?;
        let referral = id("referral_id", &request.into_inner().referral_id)?;
        let state = cancel_referral(&self.node, &grant.system, &grant.actor, referral).await?;
        Ok(Response::new(agency::CancelReferralResponse { state: state.number() }))
    }

    async fn answer_referral(
        &self,
        request: Request<agency::AnswerReferralRequest>,
    ) -> Result<Response<agency::AnswerReferralResponse>, Status> {
        let grant = access::system(&self.node, &request, access::ANSWER_REFERRAL)?;
        let place = call::place(&request);
        let submission = parse_answer_request(&grant, request.into_inner())?;
        let (referral, _) = get_referral(&self.node, grant.purposes, submission.referral_id).await?;
        let Referral::Received(held) = referral else { return Err(Failure::not_found().into()) };
        let trace =
            trace_towards(&self.node, place, &held.owner).unwrap_or_else(|| TraceId::random(&*self.node.random));
        let submission = AnswerSubmission { trace_id: trace.as_bytes().to_vec(), caller: place, ..submission };
        let answered = answer_referral(&self.node, submission).await?;
        Ok(Response::new(agency::AnswerReferralResponse {
            answer_id: answered.answer_id.to_string(),
            state: answered.state.number(),
            repeated_key: answered.repeated,
        }))
    }

    async fn get_referral(
        &self,
        request: Request<agency::GetReferralRequest>,
    ) -> Result<Response<agency::GetReferralResponse>, Status> {
        let grant = access::system(&self.node, &request, access::GET_REFERRAL)?;
        let referral = id("referral_id", &request.into_inner().referral_id)?;
        let (referral, answers) = get_referral(&self.node, grant.purposes, referral).await?;
        let summary = match &referral {
            Referral::Sent(item) => thread::sent(item),
            Referral::Received(held) => thread::received(held),
        };
        let events = answers.iter().map(thread::event).collect();
        Ok(Response::new(agency::GetReferralResponse { summary: Some(summary), events }))
    }

    async fn list_referrals(
        &self,
        request: Request<agency::ListReferralsRequest>,
    ) -> Result<Response<agency::ListReferralsResponse>, Status> {
        let grant = access::system(&self.node, &request, access::LIST_REFERRALS)?;
        let page = Page::parse(request.into_inner())?;
        let (referrals, next) = match page.side {
            agency::Side::Received => {
                let (found, next) =
                    list_received(&self.node, grant.purposes, page.state, page.before, page.size).await?;
                (found.iter().map(thread::received).collect(), next.map(|seq| format!("r{seq}")))
            }
            _ => {
                let (found, next) = list_sent(&self.node, grant.purposes, page.state, page.before, page.size).await?;
                let end = (page.both && next.is_none()).then(|| format!("r{}", u64::MAX));
                (found.iter().map(thread::sent).collect(), next.map(|seq| page.token('s', seq)).or(end))
            }
        };
        Ok(Response::new(agency::ListReferralsResponse { referrals, next_page_token: next.unwrap_or_default() }))
    }
}

fn key(request: &agency::SubmitReferralsRequest) -> String {
    request.handover.as_ref().map(|handover| handover.idempotency_key.clone()).unwrap_or_default()
}

/// Reads what is handed over. Without a trace given by the caller it gets one of its own, so that nobody can tell from two traces
/// that two records came in one call.
fn submission(
    node: &Node,
    grant: &Grant,
    handover: Option<agency::ReferralHandover>,
    place: Option<Place>,
) -> Result<Submission, Failure> {
    let handover = handover.ok_or_else(|| Failure::field(Reason::FieldMissing, "handover", "is required"))?;
    let handover = parse_handover(handover, node.now())?;
    grant.purpose(handover.referral.purpose)?;
    let trace = trace_towards(node, place, &handover.recipient);
    Ok(Submission {
        system: grant.system.clone(),
        actor: grant.actor.clone(),
        trace_id: trace.map(|trace| trace.as_bytes().to_vec()).unwrap_or_default(),
        caller: place,
        handover,
    })
}

/// Returns the trace that crosses to an agency: nobody but this node can tell that it belongs to the caller's, or to that towards
/// another agency.
fn trace_towards(node: &Node, caller: Option<Place>, recipient: &AgencyId) -> Option<TraceId> {
    caller.map(|place| place.trace.towards(node.vault.id_key(), recipient))
}

/// Which page of which list is asked for. Without a side, what was sent comes first.
struct Page {
    side: agency::Side,
    both: bool,
    state: Option<ReferralState>,
    before: u64,
    size: u32,
}

impl Page {
    fn parse(request: agency::ListReferralsRequest) -> Result<Page, Failure> {
        let invalid = |field: &str, message: &str| Failure::field(Reason::FieldInvalid, field, message);
        let side = agency::Side::try_from(request.side).map_err(|_| invalid("side", "unknown code"))?;
        let state = match request.state {
            0 => None,
            number => Some(ReferralState::from_number(number).ok_or_else(|| invalid("state", "unknown code"))?),
        };
        let size = if request.page_size == 0 { USUAL_PAGE } else { request.page_size };
        if size > MAX_PAGE {
            return Err(invalid("page_size", "at most 500"));
        }
        let token = |text: &str| text.parse().map_err(|_| invalid("page_token", "give the token of the answer before"));
        let (listed, both, before) = match request.page_token.as_bytes().first() {
            None => (side, side == agency::Side::Unspecified, u64::MAX),
            Some(b'b') => (agency::Side::Sent, true, token(&request.page_token[1..])?),
            Some(b's') => (agency::Side::Sent, false, token(&request.page_token[1..])?),
            Some(b'r') => (agency::Side::Received, false, token(&request.page_token[1..])?),
            Some(_) => return Err(invalid("page_token", "give the token of the answer before")),
        };
        Ok(Page { side: listed, both, state, before, size })
    }

    fn token(&self, side: char, seq: u64) -> String {
        format!("{}{seq}", if self.both { 'b' } else { side })
    }
}

fn parse_answer_request(grant: &Grant, request: agency::AnswerReferralRequest) -> Result<AnswerSubmission, Failure> {
    let mut findings = Findings::default();
    if request.idempotency_key.is_empty() {
        findings.missing("idempotency_key");
    }
    findings.key("idempotency_key", &request.idempotency_key, MAX_KEY);
    findings.key("on_behalf_of", &request.on_behalf_of, MAX_KEY);
    if request.referral_id.is_empty() {
        findings.missing("referral_id");
    }
    let referral_id = findings.id("referral_id", &request.referral_id);
    let referral_id = findings.finish(referral_id)?;
    let answer = request.answer.ok_or_else(|| Failure::field(Reason::FieldMissing, "answer", "is required"))?;
    Ok(AnswerSubmission {
        system: grant.system.clone(),
        actor: grant.actor.clone(),
        idempotency_key: request.idempotency_key,
        referral_id,
        answer: parse_answer(&composed(&answer))?,
        on_behalf_of: request.on_behalf_of,
        trace_id: Vec::new(),
        caller: None,
    })
}

fn proto_permit(permit: &Permit) -> agency::Permit {
    agency::Permit {
        agreement_id: permit.agreement.id.to_string(),
        agreement_version: permit.agreement.version,
        clause_id: permit.clause_id.clone(),
        consent_id: permit.consent.to_string(),
        categories: category::numbers(permit.categories),
        left_out: category::numbers(permit.left_out),
        hold_until: Some(time::message(permit.hold_until)),
    }
}

/// Parses an id of a request. What is no id cannot exist.
fn id(field: &str, text: &str) -> Result<Id, Failure> {
    if text.is_empty() {
        return Err(Failure::field(Reason::FieldMissing, field, "is required"));
    }
    text.parse()
        .map_err(|error: lotse_core::id::IdError| Failure::field(Reason::FieldInvalid, field, error.to_string()))
}
