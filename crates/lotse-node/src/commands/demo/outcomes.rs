//! One line per referral: what became of it, as its sender's node says.

use lotse_proto::agency::v1::{GetReferralResponse, ReferralState};
use lotse_proto::record::v1::referral_answer::Kind;

use super::stage::{HandedOver, Stage};
use super::story::{categories, codes, words};

/// What became of a referral.
struct Outcome {
    /// State and reasons, as `expected.txt` has them.
    code: String,
    /// What else its thread says.
    more: String,
}

/// Tells what became of every referral, and compares it with what is expected.
pub(super) async fn tell(stage: &Stage<'_>) -> anyhow::Result<()> {
    stage.story.act("What became of every referral")?;
    let mut rows = Vec::new();
    let mut different = Vec::new();
    let expected = stage.files.expected();
    for item in &stage.handed_over {
        let outcome = outcome(stage, item).await?;
        let wanted = expected.as_ref().map(|expected| expected.get(item.key.as_str()).copied().unwrap_or(""));
        if let Some(wanted) = wanted.filter(|wanted| *wanted != outcome.code) {
            different.push(format!("{} is to be \"{wanted}\", its node says \"{}\"", item.key, outcome.code));
        }
        let ends = [stage.agencies[item.sender].id.as_str(), &item.recipient].map(|id| stage.label(id).to_string());
        let outcome = format!("{}{}", outcome.code, outcome.more);
        rows.push([vec![item.key.clone()], ends.to_vec(), vec![outcome]].concat());
    }
    stage.story.table(&["KEY", "FROM", "TO", "OUTCOME"], &rows)?;
    different.iter().try_for_each(|what| stage.story.expect(false, what))
}

async fn outcome(stage: &Stage<'_>, item: &HandedOver) -> anyhow::Result<Outcome> {
    let referral_id = match &item.result {
        Ok(referral_id) => referral_id,
        Err(reasons) => return Ok(Outcome { code: format!("refused {}", codes(reasons)), more: String::new() }),
    };
    let thread = stage.referral(item.sender, referral_id).await?;
    let summary = thread.summary.clone().unwrap_or_default();
    let mut code = words(summary.state().as_str_name(), "REFERRAL_STATE_");
    if matches!(summary.state(), ReferralState::Cancelled | ReferralState::Refused | ReferralState::Expired) {
        code += &format!(" {}", codes(&summary.reasons));
    }
    let mut more = last_answer(stage, &thread);
    if !summary.left_out.is_empty() {
        more += &format!("; left out: {}", categories(&summary.left_out));
    }
    Ok(Outcome { code, more })
}

/// Says what the last answer brought beside the state.
fn last_answer(stage: &Stage<'_>, thread: &GetReferralResponse) -> String {
    let last = thread.events.last().and_then(|event| event.answer.as_ref()).and_then(|answer| answer.kind.as_ref());
    match last {
        Some(Kind::Declined(declined)) => {
            let why = words(declined.reason().as_str_name(), "DECLINE_REASON_");
            match declined.suggested_agency.as_str() {
                "" => format!(": {why}"),
                agency => format!(": {why}, {} suggested", stage.label(agency)),
            }
        }
        Some(Kind::Completed(completed)) if completed.outcome != 0 => {
            format!(": {}", words(completed.outcome().as_str_name(), "OUTCOME_"))
        }
        _ => String::new(),
    }
}
