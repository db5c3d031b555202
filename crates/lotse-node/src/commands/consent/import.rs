//! `lotse consent import`: records the consents of a file.

use clap::Args;
use futures_util::StreamExt;
use lotse_core::agreement::words::Language;
use lotse_proto::agency::v1::consent_service_client::ConsentServiceClient;
use lotse_proto::agency::v1::record_consents_response::Result as Recorded;
use lotse_proto::agency::v1::{RecordConsentsRequest, RecordConsentsResponse};
use lotse_proto::record::v1::Consent;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Request, Status};

use crate::commands::Context;
use crate::commands::upload::{Answer, Answers, Refused, Sendable, UploadArguments};
use crate::config::GrantedService;
use crate::edge::MAX_MESSAGE_BYTES;
use crate::record_file::{CONSENT, Column, Malformed};

/// Records the consents of a file (NDJSON or CSV) at the running node. Can be repeated: the same consent has one effect.
#[derive(Args)]
pub(crate) struct Import {
    #[command(flatten)]
    upload: UploadArguments,
}

impl Import {
    pub(super) async fn run(self, context: &Context) -> anyhow::Result<()> {
        let language = self.upload.language(context);
        self.upload.send(context, move |consent| check_id(consent, language)).await
    }
}

/// Refuses a consent without id: nobody could withdraw it, and a repetition could not be noticed.
fn check_id(consent: &mut Consent, language: Language) -> Result<(), Malformed> {
    if consent.id.is_empty() {
        let german = "ist nötig: eine UUID, die Ihr System vergibt (Spalte Einwilligung)";
        let english = "is required: a UUID given by your system (column Einwilligung)";
        return Err(Malformed::field("id", language.choose((german, english))));
    }
    Ok(())
}

impl Sendable for Consent {
    const SERVICE: GrantedService = GrantedService::Consent;
    const COLUMNS: &'static [Column] = CONSENT;

    fn key(&self) -> &str {
        &self.id
    }

    async fn open(channel: Channel, consents: Request<ReceiverStream<Consent>>) -> Result<Answers, Status> {
        let mut node = ConsentServiceClient::new(channel).max_decoding_message_size(MAX_MESSAGE_BYTES);
        let request = |consent| RecordConsentsRequest { consent: Some(consent) };
        let requests = consents.map(|consents| consents.map(request));
        let answers = node.record_consents(requests).await?.into_inner();
        Ok(answers.map(|answer| answer.and_then(answered)).boxed())
    }
}

fn answered(response: RecordConsentsResponse) -> Result<(String, Answer), Status> {
    let answer = match response.result {
        Some(Recorded::Recorded(recorded)) => Answer::Done {
            id: response.consent_id.clone(),
            state: recorded.state().as_str_name().trim_start_matches("CONSENT_STATE_").to_lowercase(),
            repeated: recorded.repeated_id,
            left_out: Vec::new(),
            hints: recorded.hints,
            open: None,
        },
        Some(Recorded::Refused(refusal)) => Answer::Refused(Refused(refusal)),
        None => return Err(Status::data_loss("the node's answer has no result")),
    };
    Ok((response.consent_id, answer))
}
