//! Nodes killed at random moments while referrals flow: nothing that was acknowledged is lost, nothing happens twice, and both logs
//! tell of each effect once.
//!
//! `LOTSE_KILLS=50` is the full run, `LOTSE_SEED` repeats one; with `LOTSE_REFERRALS=40000` memory hands most ids on to the tables
//! of places while the kills fall. At every kill at least one item is in doubt: both nodes are held still, the sender's database is
//! read, and only then the kill falls.
#![expect(clippy::print_stdout, reason = "the table of kills is what a run is for")]

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use lotse_core::agency::AgencyKind;
use lotse_proto::admin::v1::GetStatusRequest;
use lotse_proto::agency::v1::ReferralHandover;
use lotse_store::testing::Database;
use lotse_store::testing::look::{self, Doubt};
use lotse_tests::client::{Diary, Reader, Submitter, read_inbox};
use lotse_tests::dice::Dice;
use lotse_tests::federation::{Agency, eventually_within};
use lotse_tests::history::{Leaf, Ledger, check};
use lotse_tests::processes::{Member, Processes};
use lotse_tests::records::{consent, handover, record};
use lotse_tests::setting;

const SENDER: &str = "jc-hanau.example";
const RECEIVER: &str = "aa-hanau.example";
const BOTH: [(&str, AgencyKind); 2] = [(SENDER, AgencyKind::JobcenterGe), (RECEIVER, AgencyKind::EmploymentAgency)];

/// Referrals of a run in the gate, at least: they flow until the last kill.
const REFERRALS: usize = 5_000;
/// How many are let go at once, in the moment before something is looked for that is in doubt.
const DOSE: usize = 6;
/// How long they may go at most before the nodes are held still.
const LONGEST_GO_MS: u64 = 25;
/// Kills of a run in the gate.
const FEW_KILLS: usize = 9;
/// How long the flow may take to come to rest after the last kill.
const PATIENCE: Duration = Duration::from_secs(300);

/// Who is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Victim {
    Sender,
    Receiver,
    Both,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_and_nothing_happens_twice_when_nodes_are_killed_on_sqlite() -> Result<()> {
    let processes =
        Processes::start(&BOTH, |agency| agency.configure("# filter = \"info\"", "filter = \"warn\"")).await?;
    let [sender, receiver] = pair(processes.members)?;
    let url = format!("sqlite://{}", sender.agency.folder.database().display());
    Run::new("SQLite", sender, receiver, url)?.play_out().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_and_nothing_happens_twice_when_nodes_are_killed_on_postgresql() -> Result<()> {
    let Some(one) = Database::postgres().await else { return Ok(()) };
    let other = Database::postgres().await.context("a second database")?;
    let configure = |agency: &Agency| {
        let database = if agency.id.as_str() == SENDER { &one } else { &other };
        agency.keep_in(database.url())?;
        agency.configure("# filter = \"info\"", "filter = \"warn\"")
    };
    let processes = Processes::start(&BOTH, configure).await?;
    let [sender, receiver] = pair(processes.members)?;
    Run::new("PostgreSQL", sender, receiver, one.url().to_string())?.play_out().await
}

fn pair(members: Vec<Member>) -> Result<[Member; 2]> {
    members.try_into().ok().context("two agencies")
}

/// One run.
struct Run {
    engine: &'static str,
    sender: Member,
    receiver: Member,
    /// The sender's database.
    url: String,
    dice: Dice,
    /// How many referrals flow, at least.
    referrals: usize,
}

impl Run {
    fn new(engine: &'static str, sender: Member, receiver: Member, url: String) -> Result<Run> {
        let referrals = setting::number("LOTSE_REFERRALS", REFERRALS)?;
        Ok(Run { engine, sender, receiver, url, dice: Dice::from_environment()?, referrals })
    }

    async fn play_out(mut self) -> Result<()> {
        record(&self.sender.agency, consent("0198c5a4-7d3e-7cc0-8000-000000000001", "person-1", &[RECEIVER])).await?;
        let diary = Diary::default();
        let submitter = Submitter::start(&self.sender.agency, referral, diary.clone());
        let reader = Reader::start(&self.receiver.agency, diary.clone());
        let victims = self.victims()?;
        println!("{}: {} kills, LOTSE_SEED={}", self.engine, victims.len(), self.dice.seed());
        println!("{:>4}  {:<9} {:>9} {:>9} {:>9}", "kill", "victim", "answered", "in doubt", "on way");
        let portion = self.referrals / 2 / victims.len().max(1);
        for (number, &victim) in victims.iter().enumerate() {
            submitter.allow(portion);
            self.let_flow(&submitter).await?;
            let doubt = self.kill(victim, &submitter).await?;
            let (number, victim_name, answered) = (number + 1, format!("{victim:?}"), submitter.answered());
            println!("{number:>4}  {victim_name:<9} {answered:>9} {:>9} {:>9}", doubt.items, doubt.on_their_way);
            self.start_again(victim).await?;
        }
        submitter.allow(self.referrals.saturating_sub(submitter.allowed()));
        let referrals = submitter.finish(PATIENCE).await?;
        self.come_to_rest().await?;
        drop(reader);
        println!("{}: {}", self.engine, count(&victims));
        self.judge(&diary, referrals).await
    }

    /// As many of each, in random order.
    fn victims(&mut self) -> Result<Vec<Victim>> {
        let kills = setting::number("LOTSE_KILLS", FEW_KILLS)?;
        let each = [Victim::Sender, Victim::Receiver, Victim::Both];
        let mut victims: Vec<Victim> = each.into_iter().cycle().take(kills).collect();
        self.dice.shuffle(&mut victims);
        Ok(victims)
    }

    /// Waits, before every other kill, until the nodes have recovered from the last one and answer again.
    async fn let_flow(&mut self, submitter: &Submitter) -> Result<()> {
        if self.dice.below(2) == 0 {
            return Ok(());
        }
        let wanted = (submitter.answered() + 30).min(submitter.allowed());
        eventually_within(PATIENCE, "answers after a kill", async || Ok(submitter.answered() >= wanted)).await
    }

    /// Kills at a random moment at which something is in doubt; returns how much. Every other kill waits until something is on
    /// its way. Where all is answered a few more are let go, so that there is a way to be on.
    async fn kill(&mut self, victim: Victim, submitter: &Submitter) -> Result<Doubt> {
        tokio::time::sleep(Duration::from_millis(self.dice.below(400))).await;
        let begin = Instant::now();
        let amid = self.dice.below(2) == 0;
        loop {
            ensure!(begin.elapsed() < PATIENCE, "nothing is ever in doubt");
            if submitter.answered() == submitter.allowed() {
                submitter.allow(DOSE);
            }
            tokio::time::sleep(Duration::from_millis(self.dice.below(LONGEST_GO_MS))).await;
            self.sender.freeze()?;
            self.receiver.freeze()?;
            let doubt = look::in_doubt(&self.url).await.unwrap_or_default();
            if doubt.on_their_way > 0 || (doubt.items > 0 && !amid) {
                self.strike(victim).await?;
                return Ok(doubt);
            }
            self.sender.thaw()?;
            self.receiver.thaw()?;
        }
    }

    async fn strike(&mut self, victim: Victim) -> Result<()> {
        match victim {
            Victim::Sender => {
                self.sender.kill().await?;
                self.receiver.thaw()
            }
            Victim::Receiver => {
                self.receiver.kill().await?;
                self.sender.thaw()
            }
            Victim::Both => {
                self.sender.kill().await?;
                self.receiver.kill().await
            }
        }
    }

    async fn start_again(&mut self, victim: Victim) -> Result<()> {
        match victim {
            Victim::Sender => self.sender.start().await,
            Victim::Receiver => self.receiver.start().await,
            Victim::Both => {
                let (sender, receiver) = tokio::join!(self.sender.start(), self.receiver.start());
                sender.and(receiver)
            }
        }
    }

    async fn come_to_rest(&self) -> Result<()> {
        let mut admin = self.sender.agency.admin()?;
        eventually_within(PATIENCE, "the end of all deliveries", async || {
            let status = admin.get_status(GetStatusRequest {}).await?.into_inner();
            Ok(status.items_due == 0 && status.items_in_doubt == 0)
        })
        .await
    }

    async fn judge(&mut self, diary: &Diary, referrals: usize) -> Result<()> {
        let inbox = read_inbox(&self.receiver.agency).await?;
        self.sender.stop().await?;
        self.receiver.stop().await?;
        for member in [&self.sender, &self.receiver] {
            let verified = member.agency.command(&["log", "verify"]).await?;
            println!("{}: {}", member.agency.id, verified.trim());
        }
        let released = leaves(&self.sender.agency, "released").await?;
        let taken = leaves(&self.receiver.agency, "taken").await?;
        let refused = leaves(&self.receiver.agency, "envelope-refused").await?;
        ensure!(refused.is_empty(), "{} envelopes were refused", refused.len());
        let tally = check(&diary.history(), &Ledger { inbox, released, taken });
        let tally = tally.map_err(|findings| anyhow::anyhow!("{}", findings.join("\n")))?;
        println!("{}: 0 lost, 0 twice, {tally:?}", self.engine);
        ensure!(
            referrals >= self.referrals && tally.acknowledged == referrals && tally.effects == referrals,
            "{tally:?}"
        );
        Ok(())
    }
}

fn referral(number: usize) -> ReferralHandover {
    handover(&format!("key-{number}"), "person-1", RECEIVER)
}

/// Says how often each was killed.
fn count(victims: &[Victim]) -> String {
    let times = |victim| victims.iter().filter(|one| **one == victim).count();
    let each = [Victim::Sender, Victim::Receiver, Victim::Both];
    each.map(|victim| format!("{} x {victim:?}", times(victim))).join(", ")
}

/// Reads the leaves of a kind from the log of a stopped node.
async fn leaves(agency: &Agency, kind: &str) -> Result<Vec<Leaf>> {
    let printed = agency.command(&["log", "list", "--kind", kind, "--json", "--limit", "1000000"]).await?;
    printed.lines().map(leaf).collect()
}

fn leaf(line: &str) -> Result<Leaf> {
    let logged: lotse_proto::audit::v1::LoggedEntry = serde_json::from_str(line)?;
    let entry = logged.entry.context("a leaf without an entry")?;
    let record: lotse_core::id::Id = lotse_core::id::Id::from_slice(&entry.record_id)?;
    let digest = lotse_core::id::Digest::from_slice(&entry.digest)?;
    Ok(Leaf { record: record.to_string(), digest: digest.to_string() })
}
