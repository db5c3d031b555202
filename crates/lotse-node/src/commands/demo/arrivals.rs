//! What was handed over arrives: every agency's system follows its inbox, fetches, stores and confirms.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use lotse_proto::agency::v1::fetched_record::Content;
use lotse_proto::agency::v1::inbox_event::Kind;
use lotse_proto::agency::v1::{
    AcknowledgeRequest, ConfirmImportRequest, FetchRequest, FetchedRecord, InboxEvent, Side, WatchRequest,
};
use lotse_proto::record::v1::Referral;
use tokio::time::timeout;

use super::agency::Agency;
use super::stage::{Received, Stage, list};
use crate::action::fetch_records::MAX_FETCH;
use crate::commands::client;

/// How long the inbox may be silent while something is missing.
const SILENCE: Duration = Duration::from_secs(20);

/// Lets every agency's system read what is new.
pub(super) async fn read(stage: &mut Stage<'_>) -> anyhow::Result<()> {
    let everybody: Vec<usize> = (0..stage.agencies.len()).collect();
    let settled = stage.settled(&everybody).await?;
    stage.story.expect(settled, "every delivery comes to an end")?;
    for place in everybody {
        let agency = &stage.agencies[place];
        let known = stage.received.values().filter(|received| received.recipient == place).count();
        let held = list(agency, Side::Received).await?.len();
        let events = watch(agency, Watched::News { referrals: held - known.min(held) }).await?;
        let ids: Vec<String> =
            events.iter().filter(|event| is_referral(event)).map(|e| e.referral_id.clone()).collect();
        let records = fetch(agency, &ids).await?;
        stage.story.expect(records.len() == ids.len(), format_args!("{} can fetch what it received", agency.name))?;
        tell(stage, place, &records)?;
        for record in records {
            if let Some(Content::Referral(referral)) = record.content {
                let key = (record.owner, referral.sender_reference);
                stage.received.insert(key, Received { recipient: place, referral_id: record.referral_id, answered: 0 });
            }
        }
    }
    Ok(())
}

/// Which part of the inbox is read.
#[derive(Clone, Copy)]
pub(super) enum Watched {
    /// What came after what was acknowledged, until so many referrals are there; acknowledged then.
    News {
        /// Referrals.
        referrals: usize,
    },
    /// All from the beginning, until so many referrals and answers are there.
    Again {
        /// Referrals and answers.
        records: usize,
    },
}

impl Watched {
    fn is_complete(self, events: &[InboxEvent]) -> bool {
        let is_answer = |event: &InboxEvent| matches!(event.kind, Some(Kind::AnswerReceived(_)));
        let count = |of: &dyn Fn(&InboxEvent) -> bool| events.iter().filter(|event| of(event)).count();
        match self {
            Watched::News { referrals } => count(&is_referral) >= referrals,
            Watched::Again { records } => count(&|event| is_referral(event) || is_answer(event)) >= records,
        }
    }
}

fn is_referral(event: &InboxEvent) -> bool {
    matches!(event.kind, Some(Kind::ReferralReceived(_)))
}

/// Reads the inbox.
pub(super) async fn watch(agency: &Agency, watched: Watched) -> anyhow::Result<Vec<InboxEvent>> {
    let mut events: Vec<InboxEvent> = Vec::new();
    if watched.is_complete(&events) {
        return Ok(events);
    }
    let after = matches!(watched, Watched::Again { .. }).then_some(0);
    let mut inbox = agency.inbox()?;
    let mut stream = inbox.watch(WatchRequest { after }).await.map_err(client::explained)?.into_inner();
    let mut cursor = 0;
    while !watched.is_complete(&events) {
        let next = timeout(SILENCE, stream.message()).await;
        let next = next.with_context(|| format!("the inbox of {} brings less than its node holds", agency.name))?;
        let answer = next.map_err(client::explained)?.context("the node ended the inbox")?;
        cursor = answer.cursor;
        events.extend(answer.events);
    }
    if after.is_none() {
        inbox.acknowledge(AcknowledgeRequest { cursor }).await.map_err(client::explained)?;
    }
    Ok(events)
}

/// Fetches records and confirms that they are stored.
async fn fetch(agency: &Agency, ids: &[String]) -> anyhow::Result<Vec<FetchedRecord>> {
    let mut inbox = agency.inbox()?;
    let mut records = Vec::new();
    for ids in ids.chunks(MAX_FETCH) {
        let mut record_ids = ids.to_vec();
        while !record_ids.is_empty() {
            let request = FetchRequest { record_ids };
            let fetched = inbox.fetch(request).await.map_err(client::explained)?.into_inner();
            let import_tokens = fetched.records.iter().map(|record| record.import_token.clone()).collect();
            inbox.confirm_import(ConfirmImportRequest { import_tokens }).await.map_err(client::explained)?;
            records.extend(fetched.records);
            record_ids = fetched.left;
        }
    }
    Ok(records)
}

fn tell(stage: &Stage<'_>, place: usize, records: &[FetchedRecord]) -> anyhow::Result<()> {
    if records.is_empty() {
        return Ok(());
    }
    stage.story.say(format_args!("{} has received {}:", stage.agencies[place].name, records.len()))?;
    let mut people: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for record in records {
        if let Some(Content::Referral(referral)) = &record.content {
            people.entry(&record.owner).or_default().push(name(referral));
        }
    }
    for (owner, people) in people {
        stage.story.detail(format_args!("from {}: {}", stage.name(owner), people.join(", ")))?;
    }
    Ok(())
}

fn name(referral: &Referral) -> String {
    referral
        .identity
        .as_ref()
        .map_or("nobody".into(), |identity| format!("{} {}", identity.given_names, identity.family_name))
}
