//! Referrals are handed over: accepted for delivery, or refused with every reason.

use anyhow::Context as _;
use lotse_proto::agency::v1::preview_referral_response::Result as Decision;
use lotse_proto::agency::v1::submit_referrals_response::Result as Answer;
use lotse_proto::agency::v1::{
    PreviewReferralRequest, PreviewReferralResponse, ReasonDetail, ReferralHandover, SubmitReferralsRequest,
};
use lotse_proto::record::v1::Category;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::stage::{HandedOver, Stage};
use super::story::{categories, code, codes};
use crate::commands::client;

/// Hands over what the files have for the time when all nodes run.
pub(super) async fn hand_over_all(stage: &mut Stage<'_>) -> anyhow::Result<()> {
    stage.story.act("They hand over referrals, and their nodes decide")?;
    for place in 0..stage.agencies.len() {
        let handovers = stage.files.referrals(&stage.agencies[place].id)?;
        hand_over(stage, place, handovers).await?;
    }
    Ok(())
}

/// Hands over referrals of one agency on one stream, and tells what its node says to each.
pub(super) async fn hand_over(
    stage: &mut Stage<'_>,
    sender: usize,
    handovers: Vec<ReferralHandover>,
) -> anyhow::Result<()> {
    if handovers.is_empty() {
        return Ok(());
    }
    stage.story.say(format_args!("{}:", stage.agencies[sender].name))?;
    let (requests, stream) = mpsc::channel(1);
    let opened = stage.agencies[sender].referrals()?.submit_referrals(ReceiverStream::new(stream)).await;
    let mut inbound = opened.map_err(client::explained)?.into_inner();
    for handover in handovers {
        let (key, recipient) = (handover.idempotency_key.clone(), handover.recipient.clone());
        requests.send(SubmitReferralsRequest { handover: Some(handover) }).await.context("the stream has ended")?;
        let answer = inbound.message().await.map_err(client::explained)?.context("the node ended the stream")?;
        let result = tell(stage, &key, &recipient, answer.result)?;
        stage.handed_over.push(HandedOver { sender, key, recipient, result });
    }
    Ok(())
}

type Handed = Result<String, Vec<ReasonDetail>>;

fn tell(stage: &Stage<'_>, key: &str, recipient: &str, answer: Option<Answer>) -> anyhow::Result<Handed> {
    let to = stage.name(recipient);
    match answer.context("the node did not say what became of it")? {
        Answer::Submitted(submitted) => {
            let left_out = match submitted.left_out.as_slice() {
                [] => String::new(),
                left_out => format!(", without {}", categories(left_out)),
            };
            stage.story.detail(format_args!("{key} to {to}: accepted for delivery{left_out}"))?;
            Ok(Ok(submitted.referral_id))
        }
        Answer::Refused(refusal) => {
            stage.story.detail(format_args!("{key} to {to}: REFUSED, {}", codes(&refusal.reasons)))?;
            stage.story.reasons(&refusal.reasons)?;
            Ok(Err(refusal.reasons))
        }
    }
}

/// Asks a node to explain one of its refusals: the one about health data, else the first.
pub(super) async fn explain_refusal(stage: &Stage<'_>) -> anyhow::Result<()> {
    let refused: Vec<_> =
        stage.handed_over.iter().filter_map(|item| Some((item, item.result.as_ref().err()?))).collect();
    let is_health = |(_, reasons): &&(&HandedOver, &Vec<_>)| {
        let about = |reason: &ReasonDetail| reason.category() == Category::Health;
        reasons.iter().any(about)
    };
    let to_office = refused.iter().filter(is_health).find(|(item, _)| item.recipient.starts_with("abh-"));
    let Some((item, _)) = to_office.or_else(|| refused.iter().find(is_health)).or(refused.first()) else {
        return Ok(());
    };
    let agency = &stage.agencies[item.sender];
    let handovers = stage.files.referrals(&agency.id)?;
    let Some(handover) = handovers.into_iter().find(|handover| handover.idempotency_key == item.key) else {
        return Ok(());
    };
    stage.story.say(format_args!(
        "{} asks its node to explain {} (PreviewReferral, nothing is sent):",
        agency.name, item.key
    ))?;
    // A malformed one is refused again with the field.
    let answer = match preview(stage, item.sender, handover).await {
        Ok(answer) => answer,
        Err(error) => return stage.story.detail(error),
    };
    answer.explanation.iter().try_for_each(|sentence| stage.story.detail(format_args!("- {sentence}")))?;
    match answer.result {
        Some(Decision::Refusal(refusal)) => {
            let said = |reason: &ReasonDetail| format!("{}: {}", code(reason.reason), reason.message);
            refusal.reasons.iter().try_for_each(|reason| stage.story.detail(said(reason)))
        }
        _ => stage.story.expect(false, format_args!("the refusal of {} is explained as one", item.key)),
    }
}

/// Asks how a referral would be decided now.
pub(super) async fn preview(
    stage: &Stage<'_>,
    sender: usize,
    handover: ReferralHandover,
) -> anyhow::Result<PreviewReferralResponse> {
    let request = PreviewReferralRequest { handover: Some(handover) };
    let answer = stage.agencies[sender].referrals()?.preview_referral(request).await;
    Ok(answer.map_err(client::explained)?.into_inner())
}
