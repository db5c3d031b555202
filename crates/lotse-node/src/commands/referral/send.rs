//! `lotse referral send`: hands over the referrals of a file.

use clap::Args;
use futures_util::StreamExt;
use lotse_core::agreement::words::Language;
use lotse_core::id::AgencyId;
use lotse_core::referral::ReferralState;
use lotse_proto::agency::v1::referral_service_client::ReferralServiceClient;
use lotse_proto::agency::v1::submit_referrals_response::Result as Submitted;
use lotse_proto::agency::v1::{
    CancelReferralRequest, ReferralHandover, SubmitReferralsRequest, SubmitReferralsResponse, SubmittedReferral,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Request, Status};

use super::key::KeyMaker;
use crate::commands::upload::{Answer, Answers, OpenReferral, Refused, Replaced, Sendable, UploadArguments};
use crate::commands::{Context, client};
use crate::config::GrantedService;
use crate::edge::MAX_MESSAGE_BYTES;
use crate::record_file::{Column, Malformed, REFERRAL};

/// Hands over the referrals of a file (NDJSON or CSV) to the running node, which delivers them. Can be repeated: the same
/// idempotency key, given or derived from the line's content, has one effect.
#[derive(Args)]
pub(crate) struct Send {
    #[command(flatten)]
    upload: UploadArguments,
    /// The recipient's agency id, for lines that name none; lines that name another are refused.
    #[arg(long, value_name = "PEER")]
    to: Option<AgencyId>,
    /// Cancel what the lines replace: referrals of the same persons to the same recipient that were handed over before and still wait.
    /// What was delivered already cannot be cancelled, and is named.
    #[arg(long)]
    replace: bool,
}

impl Send {
    pub(super) async fn run(self, context: &Context) -> anyhow::Result<()> {
        let keys = KeyMaker::load(&self.upload.folder.folder());
        let (to, language) = (self.to, self.upload.language(context));
        let prepare = move |handover: &mut ReferralHandover| complete(handover, to.as_ref(), &keys, language);
        if !self.replace {
            return self.upload.send(context, prepare).await;
        }
        let (replaced, sent) = self.upload.send_replacing(context, prepare).await?;
        cancel(&self.upload, context, &replaced).await?;
        sent
    }
}

/// Cancels what still waits of the referrals that were replaced, and names what was delivered already.
async fn cancel(upload: &UploadArguments, context: &Context, replaced: &Replaced) -> anyhow::Result<()> {
    let folder = upload.folder.folder();
    let system = upload.system.name(&folder, GrantedService::Referral)?;
    let mut node = client::referral(&folder, &system, &context.clock)?;
    for referral_id in replaced.ids() {
        match node.cancel_referral(CancelReferralRequest { referral_id: referral_id.clone() }).await {
            Ok(_) => context.terminal.line(format_args!("cancelled {referral_id}, which a line replaces"))?,
            Err(status) => {
                let why = client::explained(status);
                context.terminal.line(format_args!("not cancelled {referral_id}, which a line replaces: {why:#}"))?;
            }
        }
    }
    Ok(())
}

/// Fills in recipient and key where the line gives none.
fn complete(
    handover: &mut ReferralHandover,
    to: Option<&AgencyId>,
    keys: &anyhow::Result<KeyMaker>,
    language: Language,
) -> Result<(), Malformed> {
    match to {
        Some(to) if handover.recipient.is_empty() => handover.recipient = to.to_string(),
        Some(to) if handover.recipient != to.as_str() => {
            let german = format!("ist eine andere Stelle als {to}, die --to nennt");
            let english = format!("is another than {to}, which --to names");
            return Err(Malformed::field("recipient", language.choose((german, english))));
        }
        None if handover.recipient.is_empty() => {
            let german = "ist nötig: die Stelle mit --to nennen oder in jeder Zeile (Spalte Empfänger)";
            let english = "is required: name the agency with --to, or in each line (column Empfänger)";
            return Err(Malformed::field("recipient", language.choose((german, english))));
        }
        _ => {}
    }
    if handover.idempotency_key.is_empty() {
        let keys = keys.as_ref().map_err(|error| Malformed::field("idempotencyKey", format!("{error:#}")))?;
        handover.idempotency_key = keys.key(handover);
    }
    Ok(())
}

impl Sendable for ReferralHandover {
    const SERVICE: GrantedService = GrantedService::Referral;
    const COLUMNS: &'static [Column] = REFERRAL;

    fn key(&self) -> &str {
        &self.idempotency_key
    }

    async fn open(channel: Channel, handovers: Request<ReceiverStream<ReferralHandover>>) -> Result<Answers, Status> {
        let mut node = ReferralServiceClient::new(channel).max_decoding_message_size(MAX_MESSAGE_BYTES);
        let request = |handover| SubmitReferralsRequest { handover: Some(handover) };
        let requests = handovers.map(|handovers| handovers.map(request));
        let answers = node.submit_referrals(requests).await?.into_inner();
        Ok(answers.map(|answer| answer.and_then(answered)).boxed())
    }
}

/// Tells whether a referral came to nothing. A state that is not known here is taken for one that goes on.
fn is_failed(state: i32) -> bool {
    ReferralState::from_number(state).is_some_and(ReferralState::is_failed)
}

fn answered(response: SubmitReferralsResponse) -> Result<(String, Answer), Status> {
    let answer = match response.result {
        Some(Submitted::Submitted(submitted)) => {
            let failed = submitted.repeated_key && is_failed(submitted.state);
            let state = submitted.state().as_str_name().trim_start_matches("REFERRAL_STATE_").to_lowercase();
            let SubmittedReferral { referral_id: id, repeated_key: repeated, left_out, reasons, hint, .. } = submitted;
            match (failed, submitted.open_referral_id.as_str()) {
                (true, _) => Answer::Ended { id, state, reasons, hint },
                (false, open) => {
                    let open = (!open.is_empty()).then(|| OpenReferral { id: open.to_owned(), hint });
                    Answer::Done { id, state, repeated, left_out, hints: Vec::new(), open }
                }
            }
        }
        Some(Submitted::Refused(refusal)) => Answer::Refused(Refused(refusal)),
        None => return Err(Status::data_loss("the node's answer has no result")),
    };
    Ok((response.idempotency_key, answer))
}
