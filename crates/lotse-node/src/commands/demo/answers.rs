//! Recipients answer what they received: accepted, declined, in progress, completed.

use std::collections::BTreeMap;

use lotse_core::time::Calendar;
use lotse_proto::agency::v1::AnswerReferralRequest;
use lotse_proto::record::v1::ReferralAnswer;
use lotse_proto::record::v1::referral_answer::Kind;

use tonic::{Code, Status};

use super::files::AnswerLine;
use super::stage::Stage;
use crate::commands::client;

/// Gives every answer of the files that was not given yet and whose referral is there.
pub(super) async fn give(stage: &mut Stage<'_>) -> anyhow::Result<()> {
    for place in 0..stage.agencies.len() {
        let lines = stage.files.answers(&stage.agencies[place].id)?;
        let mut given: BTreeMap<&str, usize> = BTreeMap::new();
        let mut seen: BTreeMap<(String, String), usize> = BTreeMap::new();
        for line in lines {
            let thread = (line.owner.clone(), line.sender_reference.clone());
            let number = seen.entry(thread.clone()).or_default();
            *number += 1;
            let is_next = |r: &&mut super::stage::Received| r.recipient == place && r.answered < *number;
            let Some(received) = stage.received.get_mut(&thread).filter(is_next) else { continue };
            received.answered = *number;
            let referral_id = received.referral_id.clone();
            match answer(stage, place, referral_id, *number, &line).await? {
                Ok(()) => *given.entry(verb(&line.answer)).or_default() += 1,
                Err(status) => refused(stage, place, &line, status)?,
            }
        }
        if !given.is_empty() {
            let given: Vec<_> = given.iter().map(|(verb, count)| format!("{count} {verb}")).collect();
            stage.story.say(format_args!("{} answers: {}.", stage.agencies[place].name, given.join(", ")))?;
        }
    }
    let everybody: Vec<usize> = (0..stage.agencies.len()).collect();
    let settled = stage.settled(&everybody).await?;
    stage.story.expect(settled && delivered(stage).await?, "every answer reaches the owner of its referral")
}

/// Gives one answer; the inner result says why the node refused it.
async fn answer(
    stage: &Stage<'_>,
    place: usize,
    referral_id: String,
    number: usize,
    line: &AnswerLine,
) -> anyhow::Result<Result<(), Status>> {
    let mut answer = line.answer.clone();
    if answer.on.is_empty() {
        answer.on = Calendar::Germany.day_of(stage.context.clock.now()).to_string();
    }
    // Referral ids are long; a key has 64 characters.
    let idempotency_key = format!("{number}-{referral_id}");
    let request =
        AnswerReferralRequest { idempotency_key, referral_id, answer: Some(answer), on_behalf_of: String::new() };
    let answered = stage.agencies[place].referrals()?.answer_referral(request).await;
    Ok(answered.map(drop))
}

fn refused(stage: &mut Stage<'_>, place: usize, line: &AnswerLine, status: Status) -> anyhow::Result<()> {
    let agency = &stage.agencies[place];
    // What is malformed is turned away before there is anything to decide.
    if status.code() == Code::FailedPrecondition {
        *stage.answers_refused.entry(agency.id.clone()).or_default() += 1;
    }
    let why = client::explained(status);
    stage.story.say(format_args!(
        "{}: the answer \"{}\" to {} is REFUSED by its own node: {why}",
        agency.name,
        verb(&line.answer),
        line.sender_reference
    ))
}

/// Waits until no answer is on its way any more.
async fn delivered(stage: &Stage<'_>) -> anyhow::Result<bool> {
    super::stage::eventually(async || {
        for received in stage.received.values() {
            let thread = stage.referral(received.recipient, &received.referral_id).await?;
            let own = thread.events.iter().filter(|event| event.own);
            if own.map(|event| event.delivery()).any(super::stage::is_open) {
                return Ok(false);
            }
        }
        Ok(true)
    })
    .await
}

/// Says what an answer says.
pub(super) fn verb(answer: &ReferralAnswer) -> &'static str {
    match &answer.kind {
        Some(Kind::Accepted(_)) => "accepted",
        Some(Kind::Declined(_)) => "declined",
        Some(Kind::InProgress(_)) => "in progress",
        Some(Kind::Completed(completed)) if completed.outcome != 0 => "completed with outcome",
        Some(Kind::Completed(_)) => "completed",
        None => "nothing",
    }
}
