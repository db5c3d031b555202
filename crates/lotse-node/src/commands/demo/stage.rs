//! What all acts share: the agencies, the files, and what was handed over so far.

use std::collections::BTreeMap;
use std::time::Duration;

use lotse_core::id::AgencyId;
use lotse_proto::agency::v1::{
    DeliveryState, GetReferralRequest, GetReferralResponse, ListReferralsRequest, ReasonDetail, ReferralSummary, Side,
};
use tokio::time::{Instant, sleep};

use super::agency::Agency;
use super::files::Files;
use super::process::Program;
use super::story::Story;
use crate::action::list_referrals::MAX_PAGE;
use crate::commands::{Context, client};

/// How long something may take that nodes do by themselves: the longest pause of a courier is in it.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often the nodes are asked.
const LOOK: Duration = Duration::from_millis(100);

/// The stage.
pub(super) struct Stage<'a> {
    /// Clock and random source.
    pub context: &'a Context,
    /// The story.
    pub story: Story,
    /// How nodes are started.
    pub program: Program,
    /// The files.
    pub files: Files,
    /// The agencies, in the order of the agreement.
    pub agencies: Vec<Agency>,
    /// What was handed over, in order.
    pub handed_over: Vec<HandedOver>,
    /// Received referrals by owner and its reference.
    pub received: BTreeMap<(String, String), Received>,
    /// Answers that were refused by a decision, by answering agency.
    pub answers_refused: BTreeMap<AgencyId, usize>,
}

/// A referral that was handed over.
pub(super) struct HandedOver {
    /// Place of the sender among the agencies.
    pub sender: usize,
    /// Key.
    pub key: String,
    /// Id of the recipient, as in the file.
    pub recipient: String,
    /// Its id, or why it was refused.
    pub result: Result<String, Vec<ReasonDetail>>,
}

/// A referral that was received.
pub(super) struct Received {
    /// Place of the recipient among the agencies.
    pub recipient: usize,
    /// Its id.
    pub referral_id: String,
    /// How many of its answers were given.
    pub answered: usize,
}

impl Stage<'_> {
    /// Returns an agency's name; of an agency that is none of ours, its id.
    pub(super) fn name<'b>(&'b self, id: &'b str) -> &'b str {
        self.agencies.iter().find(|agency| agency.id.as_str() == id).map_or(id, |agency| &agency.name)
    }

    /// Returns the first label of an id where it tells all agencies apart, for tables; else the id.
    pub(super) fn label<'b>(&self, id: &'b str) -> &'b str {
        let first = id.split_once('.').map_or(id, |(label, _)| label);
        let alike = self.agencies.iter().filter(|agency| agency.id.as_str().split('.').next() == Some(first)).count();
        let is_ours = self.agencies.iter().any(|agency| agency.id.as_str() == id);
        if is_ours && alike == 1 { first } else { id }
    }

    /// Starts the node of an agency.
    pub(super) async fn start(&mut self, place: usize) -> anyhow::Result<()> {
        let program = self.program.clone();
        self.agencies[place].start(&program).await
    }

    /// Asks the sender's node for a referral.
    pub(super) async fn referral(&self, agency: usize, referral_id: &str) -> anyhow::Result<GetReferralResponse> {
        let request = GetReferralRequest { referral_id: referral_id.to_string() };
        let answer = self.agencies[agency].referrals()?.get_referral(request).await;
        Ok(answer.map_err(client::explained)?.into_inner())
    }

    /// Waits until every delivery that the agencies in `senders` began has ended.
    pub(super) async fn settled(&self, senders: &[usize]) -> anyhow::Result<bool> {
        eventually(async || {
            for &sender in senders {
                let sent = list(&self.agencies[sender], Side::Sent).await?;
                if sent.iter().any(|referral| is_open(referral.delivery())) {
                    return Ok(false);
                }
            }
            Ok(true)
        })
        .await
    }
}

/// Tells whether a delivery goes on.
pub(super) fn is_open(delivery: DeliveryState) -> bool {
    matches!(delivery, DeliveryState::Due | DeliveryState::InDoubt)
}

/// Lists an agency's referrals.
pub(super) async fn list(agency: &Agency, side: Side) -> anyhow::Result<Vec<ReferralSummary>> {
    let mut node = agency.referrals()?;
    let mut found = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = ListReferralsRequest { side: side.into(), page_size: MAX_PAGE, page_token, ..Default::default() };
        let page = node.list_referrals(request).await.map_err(client::explained)?.into_inner();
        found.extend(page.referrals);
        if page.next_page_token.is_empty() {
            return Ok(found);
        }
        page_token = page.next_page_token;
    }
}

/// Waits until something holds that nodes bring about by themselves; false if it took too long.
pub(super) async fn eventually(mut holds: impl AsyncFnMut() -> anyhow::Result<bool>) -> anyhow::Result<bool> {
    let begin = Instant::now();
    while !holds().await? {
        if begin.elapsed() > PATIENCE {
            return Ok(false);
        }
        sleep(LOOK).await;
    }
    Ok(true)
}
