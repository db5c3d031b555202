//! The reckoning: both sides' logs and inboxes are counted against each other, and every log is verified.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use lotse_proto::agency::v1::Side;
use lotse_proto::agency::v1::inbox_event::Kind;
use lotse_proto::audit::v1::{EntryFilter, ListEntriesRequest, LoggedEntry};
use lotse_proto::exchange::v1::EntryKind;

use super::agency::Agency;
use super::arrivals::{Watched, watch};
use super::stage::{Stage, list};
use super::story::count;
use crate::action::list_entries::MAX_PAGE;
use crate::commands::terminal::Terminal;
use crate::commands::{Context, client, run};

/// Refusals of the form (fields, keys, sizes) happen before there is anything to decide, and are no entries.
const FIRST_OF_FORM: i32 = 100;

/// What one agency's node says.
#[derive(Default)]
struct Account {
    /// Records released, by recipient.
    released: BTreeMap<String, BTreeSet<Vec<u8>>>,
    /// Records taken, by owner.
    taken: BTreeMap<String, BTreeSet<Vec<u8>>>,
    /// Referrals and answers in the inbox, by owner.
    inbox: BTreeMap<String, usize>,
    /// Refusals of what its own systems handed over.
    refused: Vec<LoggedEntry>,
    /// Items that ended before they were sent.
    ended: usize,
}

/// Counts both sides of every pair of agencies.
pub(super) async fn compare(stage: &Stage<'_>) -> anyhow::Result<()> {
    stage.story.act("Officers read the logs, and both sides are compared")?;
    let mut accounts = Vec::new();
    for agency in &stage.agencies {
        accounts.push(account(agency).await?);
    }
    pairs(stage, &accounts)?;
    for (place, account) in accounts.iter().enumerate() {
        refusals(stage, place, account)?;
    }
    Ok(())
}

fn pairs(stage: &Stage<'_>, accounts: &[Account]) -> anyhow::Result<()> {
    let mut rows = Vec::new();
    let nothing = BTreeSet::new();
    for (sender, from) in stage.agencies.iter().zip(accounts) {
        for (recipient, to) in stage.agencies.iter().zip(accounts) {
            let released = from.released.get(recipient.id.as_str()).unwrap_or(&nothing);
            let taken = to.taken.get(sender.id.as_str()).unwrap_or(&nothing);
            let inbox = to.inbox.get(sender.id.as_str()).copied().unwrap_or_default();
            if released.is_empty() && taken.is_empty() && inbox == 0 {
                continue;
            }
            let ends = [sender, recipient].map(|agency| stage.label(agency.id.as_str()).to_string());
            let counts = [released.len(), taken.len(), inbox].map(|count| count.to_string());
            rows.push([ends.to_vec(), counts.to_vec()].concat());
            let what = format!("what {} released and {} took is the same", sender.name, recipient.name);
            stage.story.expect(released == taken && taken.len() == inbox, what)?;
        }
    }
    stage.story.say("Referrals and answers, as the log of each side and the inbox of the recipient have them:")?;
    stage.story.table(&["FROM", "TO", "RELEASED", "TAKEN", "INBOX"], &rows)
}

/// Compares the refusals that the agency's system got with those in the log.
fn refusals(stage: &Stage<'_>, place: usize, account: &Account) -> anyhow::Result<()> {
    let agency = &stage.agencies[place];
    let own = stage.handed_over.iter().filter(|item| item.sender == place);
    let decided = own.filter_map(|item| item.result.as_ref().err());
    let decided = decided.filter(|reasons| reasons.iter().all(|reason| reason.reason < FIRST_OF_FORM)).count();
    let answers = stage.answers_refused.get(&agency.id).copied().unwrap_or_default();
    let held = account.refused.len() == decided + answers;
    stage.story.expect(held, format_args!("every refusal of {} is an entry of its log", agency.name))?;
    stage.story.say(format_args!(
        "The log of {} has {} of what its system handed over, and {} that ended before being sent.",
        agency.name,
        count(account.refused.len(), "refusal"),
        count(account.ended, "item")
    ))?;
    match account.refused.last() {
        Some(first) => stage.story.detail(format_args!("for instance entry {}: {}", first.index, first.sentence)),
        None => Ok(()),
    }
}

async fn account(agency: &Agency) -> anyhow::Result<Account> {
    let mut account = Account::default();
    for LoggedEntry { entry, .. } in entries(agency, EntryKind::Released).await? {
        let entry = entry.unwrap_or_default();
        account.released.entry(entry.peer).or_default().insert(entry.record_id);
    }
    for LoggedEntry { entry, .. } in entries(agency, EntryKind::Taken).await? {
        let entry = entry.unwrap_or_default();
        account.taken.entry(entry.peer).or_default().insert(entry.record_id);
    }
    account.refused = entries(agency, EntryKind::SubmitRefused).await?;
    account.ended = entries(agency, EntryKind::ItemEnded).await?.len();
    account.inbox = inbox(agency, account.taken.values().map(BTreeSet::len).sum()).await?;
    Ok(account)
}

/// Counts what the inbox brings when it is read again from its beginning.
async fn inbox(agency: &Agency, taken: usize) -> anyhow::Result<BTreeMap<String, usize>> {
    let mut counts = BTreeMap::new();
    let referrals = list(agency, Side::Received).await?.len();
    for event in watch(agency, Watched::Again { records: taken.max(referrals) }).await? {
        if matches!(event.kind, Some(Kind::ReferralReceived(_) | Kind::AnswerReceived(_))) {
            *counts.entry(event.peer).or_default() += 1;
        }
    }
    Ok(counts)
}

async fn entries(agency: &Agency, kind: EntryKind) -> anyhow::Result<Vec<LoggedEntry>> {
    let mut node = agency.audit()?;
    let mut found = Vec::new();
    let mut page_token = String::new();
    loop {
        let filter = Some(EntryFilter { kind: kind.into(), ..EntryFilter::default() });
        let request = ListEntriesRequest { filter, page_size: MAX_PAGE, page_token, generation: 0 };
        let page = node.list_entries(request).await.map_err(client::explained)?.into_inner();
        found.extend(page.entries);
        if page.next_page_token.is_empty() {
            return Ok(found);
        }
        page_token = page.next_page_token;
    }
}

/// Stops every node and has `lotse log verify` look at its folder.
pub(super) async fn verify(stage: &mut Stage<'_>) -> anyhow::Result<()> {
    stage.story.act("The nodes are stopped, and their logs verified")?;
    let stops = stage.agencies.iter_mut().map(Agency::stop);
    futures_util::future::try_join_all(stops).await?;
    for agency in &stage.agencies {
        let verified = verify_one(stage.context, agency).await;
        stage.story.expect(verified.is_ok(), format_args!("the log of {} verifies", agency.name))?;
        match verified {
            Ok(said) => stage.story.say(format_args!("{}: {said}", agency.name))?,
            Err(error) => stage.story.say(format_args!("{}: {error:#}", agency.name))?,
        }
    }
    Ok(())
}

/// Runs `lotse log verify` and returns what it says.
async fn verify_one(context: &Context, agency: &Agency) -> anyhow::Result<String> {
    let output = Arc::new(Mutex::new(Vec::new()));
    let terminal = Terminal::to(output.clone());
    let context = Context { terminal, clock: context.clock.clone(), random: context.random.clone() };
    let folder = agency.folder.path().display().to_string();
    run(["lotse", "log", "verify", "--folder", &folder].map(String::from), &context).await?;
    let said = output.lock().unwrap_or_else(PoisonError::into_inner).clone();
    Ok(String::from_utf8_lossy(&said).lines().collect::<Vec<_>>().join(". "))
}
