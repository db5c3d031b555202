//! Consents, as an agency's own systems record and withdraw them. A system that is granted the service sees all consents of its
//! agency: the person withdraws at any desk.

use std::sync::Arc;

use futures_util::StreamExt;
use lotse_core::agreement::words::Language;
use lotse_core::consent::ConsentState;
use lotse_core::id::Id;
use lotse_core::reason::Reason;
use lotse_core::time::Timestamp;
use lotse_proto::agency::v1::consent_service_server::{ConsentService, ConsentServiceServer};
use lotse_proto::agency::v1::{self as agency, record_consents_response};
use lotse_proto::record::v1 as record;
use lotse_store::withdrawal::Withdrawal;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use crate::action::get_consent::{FoundConsent, get_consent};
use crate::action::list_consents::{MAX_PAGE, Place, list_consents};
use crate::action::record_consent::{MAX_AT_ONCE, Recorded, hints, record_consents};
use crate::action::withdraw_consent::{WithdrawConsent, withdraw_consent};
use crate::edge::MAX_MESSAGE_BYTES;
use crate::failure::{Cause, ErrorKind, Failure};
use crate::grpc::access::{self, Grant};
use crate::grpc::call::{self, CallContext};
use crate::grpc::farewell::farewell;
use crate::node::Node;
use crate::wire::consent::{message, parse, parse_scope, scope_message};
use crate::wire::decision;
use crate::wire::field::Findings;
use crate::wire::referral::MAX_KEY;
use crate::wire::time;

/// Batches of one stream that are worked on at once: one is written while the next one gathers.
const BATCHES_AT_ONCE: usize = 2;

/// Consents without a page size.
const USUAL_PAGE: u32 = 100;

/// Makes the service.
pub fn service(node: Arc<Node>) -> ConsentServiceServer<Consents> {
    ConsentServiceServer::new(Consents { node })
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES)
}

/// The service.
#[derive(Clone)]
pub struct Consents {
    node: Arc<Node>,
}

impl Consents {
    /// Records what is in order and says of each what became of it.
    async fn record(
        &self,
        grant: &Grant,
        consents: &[Option<record::Consent>],
        call: CallContext,
    ) -> Vec<Result<agency::RecordedConsent, Failure>> {
        let (now, federation) = (self.node.now(), self.node.federation.get());
        let mut results = Vec::with_capacity(consents.len());
        let (mut places, mut well_formed) = (Vec::new(), Vec::new());
        for (place, consent) in consents.iter().enumerate() {
            match parse(consent.as_ref(), &self.node.agency, now) {
                Ok(consent) => {
                    places.push((place, hints(&consent, &federation, now)));
                    well_formed.push(consent);
                    results.push(Err(Failure::not_found())); // replaced below
                }
                Err(failure) => results.push(Err(failure)),
            }
        }
        if well_formed.is_empty() {
            return results;
        }
        match record_consents(&self.node, &grant.actor, well_formed, call.trace).await {
            Ok(recorded) => {
                for ((place, hints), result) in places.into_iter().zip(recorded) {
                    results[place] = result.map(|recorded| recorded_consent(recorded, &hints, call.language));
                }
            }
            Err(failure) => places.into_iter().for_each(|(place, _)| results[place] = Err(failure.clone())),
        }
        results
    }

    /// Answers what came over a stream at one moment.
    async fn answer_batch(
        &self,
        grant: &Grant,
        requests: Vec<agency::RecordConsentsRequest>,
        call: CallContext,
    ) -> Vec<agency::RecordConsentsResponse> {
        use record_consents_response::Result as Answer;
        let consents: Vec<_> = requests.into_iter().map(|request| request.consent).collect();
        let results = self.record(grant, &consents, call).await;
        let answer = |(consent, result): (Option<record::Consent>, Result<agency::RecordedConsent, Failure>)| {
            let result = match result {
                Ok(recorded) => Answer::Recorded(recorded),
                Err(failure) => Answer::Refused(decision::refusal(&failure, call.language)),
            };
            let consent_id = consent.map(|consent| consent.id).unwrap_or_default();
            agency::RecordConsentsResponse { consent_id, result: Some(result) }
        };
        consents.into_iter().zip(results).map(answer).collect()
    }
}

#[tonic::async_trait]
impl ConsentService for Consents {
    async fn record_consent(
        &self,
        request: Request<agency::RecordConsentRequest>,
    ) -> Result<Response<agency::RecordConsentResponse>, Status> {
        let grant = access::system(&self.node, &request, access::RECORD_CONSENT)?;
        let call = CallContext::of(&request);
        let mut results = self.record(&grant, &[request.into_inner().consent], call).await;
        let agency::RecordedConsent { state, repeated_id, hints } =
            results.pop().unwrap_or_else(|| Err(Failure::not_found()))?;
        Ok(Response::new(agency::RecordConsentResponse { state, repeated_id, hints }))
    }

    type RecordConsentsStream = ReceiverStream<Result<agency::RecordConsentsResponse, Status>>;

    async fn record_consents(
        &self,
        request: Request<Streaming<agency::RecordConsentsRequest>>,
    ) -> Result<Response<Self::RecordConsentsStream>, Status> {
        let grant = access::system(&self.node, &request, access::RECORD_CONSENTS)?;
        let caller = crate::edge::caller(&request)?;
        let call = CallContext::of(&request);
        let mut inbound = request.into_inner();
        let (out, answers) = mpsc::channel(MAX_AT_ONCE);
        let service = self.clone();
        tokio::spawn(async move {
            let stopping = &service.node.signals.stopping;
            let batches =
                (&mut inbound).take_until(stopping.cancelled()).ready_chunks(MAX_AT_ONCE).map(|batch| async {
                    caller.check().map_err(|refusal| Status::unauthenticated(refusal.to_string()))?;
                    let (requests, broken) = until_broken(batch);
                    Ok::<_, Status>((service.answer_batch(&grant, requests, call).await, broken))
                });
            let mut answered = Box::pin(batches.buffered(BATCHES_AT_ONCE));
            while let Some(batch) = answered.next().await {
                let (answers, broken) = batch.unwrap_or_else(|status| (Vec::new(), Some(status)));
                let stops = broken.is_some();
                for answer in answers.into_iter().map(Ok).chain(broken.map(Err)) {
                    if out.send(answer).await.is_err() {
                        return;
                    }
                }
                if stops {
                    return;
                }
            }
            drop(answered);
            if stopping.is_cancelled() {
                farewell(&out, inbound).await;
            }
        });
        Ok(Response::new(ReceiverStream::new(answers)))
    }

    async fn withdraw_consent(
        &self,
        request: Request<agency::WithdrawConsentRequest>,
    ) -> Result<Response<agency::WithdrawConsentResponse>, Status> {
        let grant = access::system(&self.node, &request, access::WITHDRAW_CONSENT)?;
        let trace = call::trace(&request);
        let withdrawal = WithdrawConsent { trace, ..parse_withdrawal(&grant, &request.into_inner())? };
        let outcome = withdraw_consent(&self.node, withdrawal).await?;
        Ok(Response::new(agency::WithdrawConsentResponse {
            state: outcome.state.number(),
            envelopes_out: u32::try_from(outcome.envelopes_out).unwrap_or(u32::MAX),
        }))
    }

    async fn get_consent(
        &self,
        request: Request<agency::GetConsentRequest>,
    ) -> Result<Response<agency::GetConsentResponse>, Status> {
        access::system(&self.node, &request, access::GET_CONSENT)?;
        let mut findings = Findings::default();
        let consent_id = required_id(&request.into_inner().consent_id, &mut findings);
        let consent = get_consent(&self.node, findings.finish(consent_id)?).await?;
        Ok(Response::new(found(&consent)?))
    }

    async fn list_consents(
        &self,
        request: Request<agency::ListConsentsRequest>,
    ) -> Result<Response<agency::ListConsentsResponse>, Status> {
        access::system(&self.node, &request, access::LIST_CONSENTS)?;
        let request = request.into_inner();
        let (after, size) = parse_page(&request)?;
        let (consents, next) = list_consents(&self.node, &request.subject_reference, after, size).await?;
        let consents = consents.iter().map(found).collect::<Result<_, _>>()?;
        let next_page_token = next.map(token).unwrap_or_default();
        Ok(Response::new(agency::ListConsentsResponse { consents, next_page_token }))
    }
}

/// Answers for a recorded consent. One that is not in force needs no hints: its state says so.
fn recorded_consent(recorded: Recorded, hints: &[Cause], language: Language) -> agency::RecordedConsent {
    let hints = if recorded.state == ConsentState::Given { hints } else { &[] };
    agency::RecordedConsent {
        state: recorded.state.number(),
        repeated_id: recorded.repeated,
        hints: hints.iter().map(|cause| decision::hint(cause, language)).collect(),
    }
}

/// Takes the requests before the first that could not be read, and why it could not.
fn until_broken<T>(batch: Vec<Result<T, Status>>) -> (Vec<T>, Option<Status>) {
    let mut whole = Vec::with_capacity(batch.len());
    for request in batch {
        match request {
            Ok(request) => whole.push(request),
            Err(status) => return (whole, Some(status)),
        }
    }
    (whole, None)
}

fn required_id(text: &str, findings: &mut Findings) -> Option<Id> {
    if text.is_empty() {
        findings.missing("consent_id");
    }
    findings.id("consent_id", text)
}

fn parse_withdrawal(grant: &Grant, request: &agency::WithdrawConsentRequest) -> Result<WithdrawConsent, Failure> {
    let mut findings = Findings::default();
    let consent_id = required_id(&request.consent_id, &mut findings);
    let scope = parse_scope(request.scope.as_ref(), &mut findings);
    findings.key("on_behalf_of", &request.on_behalf_of, MAX_KEY);
    let (on_behalf_of, actor) = (request.on_behalf_of.clone(), grant.actor.clone());
    findings.finish(consent_id.map(|consent_id| WithdrawConsent {
        consent_id,
        scope,
        on_behalf_of,
        actor,
        trace: None,
    }))
}

fn parse_page(request: &agency::ListConsentsRequest) -> Result<(Option<Place>, u32), Failure> {
    let mut findings = Findings::default();
    findings.required_text("subject_reference", &request.subject_reference, MAX_KEY);
    let size = if request.page_size == 0 { USUAL_PAGE } else { request.page_size };
    if size > MAX_PAGE {
        findings.invalid("page_size", format!("at most {MAX_PAGE}"));
    }
    let after = parse_token(&request.page_token);
    if after.is_none() && !request.page_token.is_empty() {
        findings.invalid("page_token", "give the token of the answer before");
    }
    findings.finish(Some((after, size)))
}

/// Writes a place as a token: time and id, in hexadecimal digits.
fn token(place: Place) -> String {
    format!("{:016x}{}", place.recorded_at.micros(), hex::encode(place.consent_id.as_bytes()))
}

fn parse_token(text: &str) -> Option<Place> {
    let (at, id) = text.split_at_checked(16)?;
    let recorded_at = Timestamp::from_micros(i64::from_str_radix(at, 16).ok()?);
    let consent_id = Id::from_slice(&hex::decode(id).ok()?).ok()?;
    Some(Place { recorded_at, consent_id })
}

fn found(consent: &FoundConsent) -> Result<agency::GetConsentResponse, Failure> {
    let unreadable = || Failure::new(ErrorKind::Fault, Reason::Unavailable, "the stored consent cannot be read");
    Ok(agency::GetConsentResponse {
        consent: Some(message(&consent.bytes, consent.expires_at).ok_or_else(unreadable)?),
        state: consent.state.number(),
        withdrawals: consent.withdrawals.iter().map(withdrawal).collect(),
    })
}

fn withdrawal(withdrawal: &Withdrawal) -> agency::Withdrawal {
    agency::Withdrawal {
        scope: Some(scope_message(&withdrawal.scope)),
        arrived_at: Some(time::message(withdrawal.arrived_at)),
        effective_at: withdrawal.effective_at.map(time::message),
    }
}

#[cfg(test)]
mod tests {
    use lotse_core::purpose::Purposes;

    use super::*;
    use crate::testing::TestNode;
    use crate::wire::consent::tests::{OWN, good};

    #[tokio::test]
    async fn a_refusal_is_told_in_the_language_of_the_caller() {
        use record_consents_response::Result as Answer;
        let node = TestNode::new(OWN).await;
        let service = Consents { node: node.node.clone() };
        let grant = Grant { system: "akte".into(), actor: "test".into(), purposes: Purposes::NONE };
        let nobody = record::Consent { recorded_by: String::new(), ..good(1) };
        for (accepted, message) in [("de-DE", "ist nötig"), ("en", "is required"), ("fr", "is required")] {
            let mut request = Request::new(());
            request.metadata_mut().insert("accept-language", accepted.parse().unwrap());
            let requests = vec![agency::RecordConsentsRequest { consent: Some(nobody.clone()) }];
            let answer = service.answer_batch(&grant, requests, CallContext::of(&request)).await.remove(0);
            let Some(Answer::Refused(refusal)) = answer.result else { panic!("it was recorded") };
            assert_eq!(refusal.reasons[0].message, format!("consent.recorded_by: {message}"));
        }
    }

    #[tokio::test]
    async fn each_consent_of_a_stream_has_its_own_answer() {
        use record_consents_response::Result as Answer;
        let node = TestNode::new(OWN).await;
        let service = Consents { node: node.node.clone() };
        let grant = Grant { system: "akte".into(), actor: "test".into(), purposes: Purposes::NONE };
        let reused = record::Consent { text_version: "2".into(), ..good(1) };
        let malformed = record::Consent { notices: None, ..good(2) };
        let consents = [Some(good(1)), None, Some(malformed), Some(reused), Some(good(1)), Some(good(3))];
        let requests = consents.into_iter().map(|consent| agency::RecordConsentsRequest { consent }).collect();
        let call = CallContext { trace: None, language: Language::English };
        let answers = service.answer_batch(&grant, requests, call).await;
        let told = answers.into_iter().map(|answer| match answer.result.unwrap() {
            Answer::Recorded(recorded) => (answer.consent_id, None, recorded.repeated_id),
            Answer::Refused(refusal) => (answer.consent_id, Reason::from_number(refusal.reasons[0].reason), false),
        });
        let id = |number| good(number).id;
        assert_eq!(
            told.collect::<Vec<_>>(),
            [
                (id(1), None, false),
                (String::new(), Some(Reason::FieldMissing), false),
                (id(2), Some(Reason::FieldMissing), false),
                (id(1), Some(Reason::ConsentIdReused), false),
                (id(1), None, true),
                (id(3), None, false),
            ]
        );
    }

    #[test]
    fn a_page_token_reads_what_it_writes() {
        let place =
            Place { recorded_at: Timestamp::from_micros(1_764_000_000_123_456), consent_id: Id::from_bytes([7; 16]) };
        assert_eq!(parse_token(&token(place)), Some(place));
        for bad in ["", "17", "zz", &"0".repeat(47), "ä"] {
            assert_eq!(parse_token(bad), None, "{bad}");
        }
        let request = agency::ListConsentsRequest { page_token: "17".into(), page_size: 501, ..Default::default() };
        let failure = parse_page(&request).unwrap_err();
        let fields: Vec<_> = failure.causes.iter().filter_map(|cause| cause.field.as_deref()).collect();
        assert_eq!(fields, ["subject_reference", "page_size", "page_token"]);
    }

    #[test]
    fn what_came_before_a_broken_request_is_still_worked_on() {
        let (whole, broken) = until_broken(vec![Ok(1), Ok(2), Err(Status::cancelled("gone")), Ok(3)]);
        assert_eq!((whole, broken.map(|status| status.code())), (vec![1, 2], Some(tonic::Code::Cancelled)));
    }
}
