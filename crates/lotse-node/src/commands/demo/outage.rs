//! A node is killed; what is for it waits, a person withdraws a consent meanwhile, and the node comes back.

use lotse_proto::admin::v1::ListPeersRequest;
use lotse_proto::agency::v1::preview_referral_response::Result as Decision;
use lotse_proto::agency::v1::{DeliveryState, ReferralHandover, ReferralSummary};

use super::referrals::{hand_over, preview};
use super::stage::{Stage, eventually, is_open};
use super::story::{categories, codes, count, words};
use crate::commands::client;

/// Plays what the files have for the time when the node of one agency is stopped.
pub(super) async fn play(stage: &mut Stage<'_>, stopped: usize) -> anyhow::Result<()> {
    let (id, name) = (stage.agencies[stopped].id.clone(), stage.agencies[stopped].name.clone());
    stage.story.act(&format!("The node of {name} is killed, and work goes on"))?;
    let process = stage.agencies[stopped].process_id()?;
    stage.agencies[stopped].kill().await?;
    let senders: Vec<usize> = (0..stage.agencies.len()).filter(|place| *place != stopped).collect();
    let noticed = noticed(stage, &senders, id.as_str()).await?;
    stage.story.expect(noticed, "the others notice that a node is gone")?;
    stage.story.say(format_args!(
        "Process {process} got kill -9; the other nodes say that it is not connected. They hand over all the same."
    ))?;

    let before = stage.handed_over.len();
    for &sender in &senders {
        let handovers = stage.files.outage_referrals(&id, &stage.agencies[sender].id)?;
        hand_over(stage, sender, handovers).await?;
    }
    let waiting = waiting(stage, before, id.as_str()).await?;
    stage.story.say(format_args!("{} for {name}; not a byte of them has left.", wait(waiting.len())))?;
    for &sender in &senders {
        withdraw(stage, stopped, sender).await?;
    }
    return_of(stage, stopped, &senders).await?;
    tell_backlog(stage, &waiting).await
}

/// Waits until no sender has a stream to the stopped node.
async fn noticed(stage: &Stage<'_>, senders: &[usize], stopped: &str) -> anyhow::Result<bool> {
    eventually(async || {
        for &sender in senders {
            let peers = stage.agencies[sender].admin()?.list_peers(ListPeersRequest {}).await;
            let peers = peers.map_err(client::explained)?.into_inner().peers;
            if peers.iter().any(|peer| peer.agency == stopped && peer.connected) {
                return Ok(false);
            }
        }
        Ok(true)
    })
    .await
}

fn wait(number: usize) -> String {
    let verb = if number == 1 { "waits" } else { "wait" };
    format!("{} {verb}", count(number, "referral"))
}

/// Referrals that wait: their places among those handed over.
type Waiting = Vec<usize>;

async fn waiting(stage: &Stage<'_>, before: usize, stopped: &str) -> anyhow::Result<Waiting> {
    let mut waiting = Waiting::new();
    for (place, item) in stage.handed_over.iter().enumerate().skip(before) {
        let Ok(referral_id) = &item.result else { continue };
        if item.recipient == stopped {
            let summary = summary(stage, item.sender, referral_id).await?;
            let is_due = summary.delivery() == DeliveryState::Due;
            stage.story.expect(is_due, format_args!("{} waits without having left", item.key))?;
            waiting.push(place);
        }
    }
    Ok(waiting)
}

async fn summary(stage: &Stage<'_>, sender: usize, referral_id: &str) -> anyhow::Result<ReferralSummary> {
    Ok(stage.referral(sender, referral_id).await?.summary.unwrap_or_default())
}

/// Withdraws what the files withdraw at one agency, and asks its node what it says to the waiting referrals now.
async fn withdraw(stage: &Stage<'_>, stopped: usize, sender: usize) -> anyhow::Result<()> {
    let (agency, id) = (&stage.agencies[sender], &stage.agencies[stopped].id);
    let withdrawals = stage.files.withdrawals(id, &agency.id)?;
    if withdrawals.is_empty() {
        return Ok(());
    }
    for request in withdrawals {
        let what = match &request.scope {
            None => "a consent as a whole".to_string(),
            Some(scope) => {
                let recipients = scope.recipients.iter().map(|id| format!("towards {}", stage.name(id)));
                let purposes = scope.purposes().map(|p| format!("for {}", words(p.as_str_name(), "PURPOSE_")));
                let left = (!scope.categories.is_empty()).then(|| format!("as to {}", categories(&scope.categories)));
                let parts: Vec<_> = recipients.chain(purposes).chain(left).collect();
                format!("a consent {}", parts.join(" and "))
            }
        };
        let answer = agency.consents()?.withdraw_consent(request).await.map_err(client::explained)?.into_inner();
        stage.story.say(format_args!(
            "At {} a person withdraws {what}. The consent now: {}; released under it before, and still out: {}.",
            agency.name,
            words(answer.state().as_str_name(), "CONSENT_STATE_"),
            count(answer.envelopes_out as usize, "envelope")
        ))?;
    }
    for handover in stage.files.outage_referrals(id, &agency.id)? {
        ask_again(stage, sender, handover).await?;
    }
    Ok(())
}

async fn ask_again(stage: &Stage<'_>, sender: usize, handover: ReferralHandover) -> anyhow::Result<()> {
    let key = handover.idempotency_key.clone();
    let Ok(answer) = preview(stage, sender, handover).await else { return Ok(()) };
    if let Some(Decision::Refusal(refusal)) = answer.result {
        stage.story.detail(format_args!("Handed over anew, {key} would be refused: {}", codes(&refusal.reasons)))?;
        stage.story.reasons(&refusal.reasons)?;
    }
    Ok(())
}

async fn return_of(stage: &mut Stage<'_>, stopped: usize, senders: &[usize]) -> anyhow::Result<()> {
    stage.start(stopped).await?;
    let process = stage.agencies[stopped].process_id()?;
    stage.story.say(format_args!("{} starts its node again, process {process}.", stage.agencies[stopped].name))?;
    let settled = stage.settled(senders).await?;
    stage.story.expect(settled, "the backlog is delivered")
}

/// Tells what became of what waited.
async fn tell_backlog(stage: &Stage<'_>, waiting: &Waiting) -> anyhow::Result<()> {
    for &place in waiting {
        let item = &stage.handed_over[place];
        let Ok(referral_id) = &item.result else { continue };
        let summary = summary(stage, item.sender, referral_id).await?;
        stage.story.expect(!is_open(summary.delivery()), format_args!("the delivery of {} has ended", item.key))?;
        let text = match summary.delivery() {
            DeliveryState::Taken if summary.left_out.is_empty() => "delivered".to_string(),
            DeliveryState::Taken => format!("delivered without {}", categories(&summary.left_out)),
            _ => format!("NEVER SENT: {}", codes(&summary.reasons)),
        };
        stage.story.detail(format_args!("{}: {text}", item.key))?;
    }
    Ok(())
}
