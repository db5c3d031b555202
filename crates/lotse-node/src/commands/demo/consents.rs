//! Every agency records the consents of its persons.

use std::collections::BTreeMap;

use anyhow::Context as _;
use lotse_proto::agency::v1::record_consents_response::Result as Answer;
use lotse_proto::agency::v1::{RecordConsentsRequest, RecordConsentsResponse};
use lotse_proto::record::v1::Consent;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::agency::Agency;
use super::stage::Stage;
use super::story::words;
use crate::commands::client;

/// Records the consents of the files.
pub(super) async fn record(stage: &Stage<'_>) -> anyhow::Result<()> {
    stage.story.act("They record what their clients have consented to")?;
    for agency in &stage.agencies {
        let consents = stage.files.consents(&agency.id)?;
        if !consents.is_empty() {
            let answers = hand_over(agency, consents).await?;
            tell(stage, agency, &answers)?;
        }
    }
    stage.story.say("Each consent stays at the agency that obtained it. No other node has heard of any.")
}

/// Hands consents over on one stream, each when the one before is answered: a later one may replace an earlier one.
async fn hand_over(agency: &Agency, consents: Vec<Consent>) -> anyhow::Result<Vec<RecordConsentsResponse>> {
    let (requests, stream) = mpsc::channel(1);
    let opening =
        async { agency.consents()?.record_consents(ReceiverStream::new(stream)).await.map_err(client::explained) };
    let mut inbound = opening.await?.into_inner();
    let mut answers = Vec::new();
    for consent in consents {
        requests.send(RecordConsentsRequest { consent: Some(consent) }).await.context("the stream has ended")?;
        let answer = inbound.message().await.map_err(client::explained)?;
        answers.push(answer.context("the node ended the stream")?);
    }
    Ok(answers)
}

fn tell(stage: &Stage<'_>, agency: &Agency, answers: &[RecordConsentsResponse]) -> anyhow::Result<()> {
    let mut states: BTreeMap<String, usize> = BTreeMap::new();
    for answer in answers {
        let state = match &answer.result {
            Some(Answer::Recorded(recorded)) => words(recorded.state().as_str_name(), "CONSENT_STATE_"),
            _ => "turned away".to_string(),
        };
        *states.entry(state).or_default() += 1;
    }
    let states: Vec<_> = states.iter().map(|(state, count)| format!("{count} {state}")).collect();
    stage.story.say(format_args!("{} hands over {} consents: {}.", agency.name, answers.len(), states.join(", ")))?;
    for answer in answers {
        if let Some(Answer::Refused(refused)) = &answer.result {
            for reason in &refused.reasons {
                stage.story.detail(format_args!("turned away: {}", reason.message))?;
            }
        }
    }
    Ok(())
}
