//! A node killed between the head store and the checkpoint row: the head is signed and outside the database, the database does not
//! know it yet. What the next start finds is completed and never taken for a restored database.
//!
//! `LOTSE_HEAD_KILLS=200` is the full run: it counts kills that really fell in between, each seen at what the killed node left. Every
//! fourth falls as fast as it can after the head file was replaced, in between or not; for the others a foreign transaction keeps
//! the row out until the kill. `LOTSE_SEED` repeats the choice.

use std::os::unix::process::ExitStatusExt as _;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use lotse_core::agency::AgencyKind;
use lotse_node::ambient::SystemClock;
use lotse_node::head_store::HeadStore;
use lotse_proto::admin::v1::GetStatusRequest;
use lotse_proto::agency::v1::SubmitReferralRequest;
use lotse_proto::agency::v1::referral_service_client::ReferralServiceClient;
use lotse_store::testing::grip::Grip;
use lotse_store::testing::{Database, look};
use lotse_tests::dice::Dice;
use lotse_tests::federation::{Agency, eventually};
use lotse_tests::process::NodeProcess;
use lotse_tests::records::handover;
use lotse_tests::setting;
use lotse_tests::trap::{Moment, Replaced, Trap};
use tonic::Code;

const AGENCY: &str = "jc-hanau.example";
const HEAD: Replaced = Replaced { from: "head.toml.new", to: "head.toml" };
/// Kills in between of a run in the gate.
const FEW_KILLS: usize = 3;
/// Kills at most, as a multiple of those in between.
const MOST: usize = 10;
/// How long after the head file's change every other kill falls, at the latest: the row is committed about a millisecond later.
const LATEST_US: u64 = 500;
/// Refusals that are asked for at once, at most: so much the log grows by.
const MOST_REFUSALS: u64 = 40;
/// How long a node may take until it is killed.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often a node is looked at.
const LOOK: Duration = Duration::from_millis(5);
/// After this time the log grows once more: a head is signed every second at most.
const ROUND: Duration = Duration::from_millis(1_500);
/// The signal that ends a process at once.
const KILLED: i32 = 9;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_between_head_store_and_checkpoint_row_never_ends_in_a_hold_on_sqlite() -> Result<()> {
    let place = tempfile::tempdir()?;
    let agency = set_up(place.path())?;
    let url = format!("sqlite://{}", agency.folder.database().display());
    Run::new("SQLite", agency, url).await?.play_out().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_between_head_store_and_checkpoint_row_never_ends_in_a_hold_on_postgresql() -> Result<()> {
    let Some(database) = Database::postgres().await else { return Ok(()) };
    let place = tempfile::tempdir()?;
    let agency = set_up(place.path())?;
    agency.keep_in(database.url())?;
    Run::new("PostgreSQL", agency, database.url().into()).await?.play_out().await
}

fn set_up(place: &std::path::Path) -> Result<Agency> {
    let agency = Agency::set_up(place, AGENCY, AgencyKind::JobcenterGe, Arc::new(SystemClock))?;
    agency.configure("# filter = \"info\"", "filter = \"warn\"")?;
    Ok(agency)
}

/// One run.
struct Run {
    engine: &'static str,
    agency: Agency,
    /// The database.
    url: String,
    dice: Dice,
    tally: Tally,
}

/// What happened.
#[derive(Debug, Default)]
struct Tally {
    kills: usize,
    /// Kills after which the head store was ahead of the newest checkpoint row.
    between: usize,
    /// Of these, kills that nothing from outside helped to fall in between.
    unaided: usize,
    /// Of all in between, kills while a start completed what an earlier kill had left.
    while_completing: usize,
    /// Starts that served and were asked whether the log is on hold.
    asked: usize,
    /// Refusals that callers have heard of.
    refusals: usize,
}

/// Whether a foreign transaction keeps the checkpoint row out until the kill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Row {
    KeptOut,
    Free,
}

/// A kill.
#[derive(Clone, Copy, Debug)]
struct Plan {
    moment: Moment,
    row: Row,
    /// It falls while a start completes what the kill before has left.
    while_completing: bool,
}

impl Plan {
    async fn grip(&self, url: &str) -> Option<Grip> {
        if self.row == Row::KeptOut { Some(Grip::take(url).await) } else { None }
    }
}

/// What a kill left.
struct Left {
    head: u64,
    row: u64,
}

impl Left {
    fn is_between(&self) -> bool {
        self.head > self.row
    }
}

impl Run {
    /// Starts the node once, so that its log has begun and its card is remembered.
    async fn new(engine: &'static str, agency: Agency, url: String) -> Result<Run> {
        let node = NodeProcess::start(&agency.folder).await?;
        ensure!(node.terminate().await?.success(), "the first life of the node");
        Ok(Run { engine, agency, url, dice: Dice::from_environment()?, tally: Tally::default() })
    }

    async fn play_out(mut self) -> Result<()> {
        let wanted = setting::number("LOTSE_HEAD_KILLS", FEW_KILLS)?;
        println!("{}: {wanted} kills in between, LOTSE_SEED={}", self.engine, self.dice.seed());
        println!("{:>4}  {:<10}  {:<7} {:>8} {:>8}", "kill", "while", "row", "head", "is at");
        let mut left = self.left().await?;
        while self.tally.between < wanted {
            ensure!(self.tally.kills < wanted * MOST, "too few kills fell in between: {:?}", self.tally);
            let plan = self.plan(left.is_between());
            self.kill(plan).await?;
            left = self.left().await?;
            self.count(plan, &left);
        }
        self.judge().await
    }

    /// Draws the next kill. Where something is pending, the first change is that of the start that completes it; the next is that of
    /// the entry about the start.
    fn plan(&mut self, is_pending: bool) -> Plan {
        let time = if is_pending { 1 + self.dice.below(3) as u32 } else { 2 };
        let row = if self.dice.below(4) == 0 { Row::Free } else { Row::KeptOut };
        let later = Duration::from_micros(self.dice.below(LATEST_US) * self.dice.below(2));
        Plan { moment: Moment { time, later }, row, while_completing: is_pending && time == 1 }
    }

    fn count(&mut self, plan: Plan, left: &Left) {
        let Left { head, row } = left;
        self.tally.kills += 1;
        self.tally.between += usize::from(left.is_between());
        self.tally.unaided += usize::from(left.is_between() && plan.row == Row::Free);
        self.tally.while_completing += usize::from(left.is_between() && plan.while_completing);
        let step = if plan.while_completing { "completing" } else { "signing" };
        println!("{:>4}  {step:<10}  {:<7} {head:>8} {row:>8}", self.tally.kills, format!("{:?}", plan.row));
    }

    /// Starts the node, lets its log grow, and waits until it is killed as planned.
    async fn kill(&mut self, plan: Plan) -> Result<()> {
        let mut grip = if plan.while_completing { plan.grip(&self.url).await } else { None };
        let trap = Trap::set(&self.agency.folder.head(), HEAD)?;
        let mut node = NodeProcess::spawn(&self.agency.folder, |lotse| lotse.stdout(Stdio::null()))?;
        let killer = trap.spring(node.id().context("the node has ended")?, plan.moment);
        let begin = Instant::now();
        let mut grown: Option<Instant> = None;
        let ended = loop {
            if let Some(ended) = node.ended()? {
                break ended;
            }
            ensure!(begin.elapsed() < PATIENCE, "{plan:?} never comes");
            if self.agency.folder.ports().exists() && grown.is_none_or(|grown| grown.elapsed() > ROUND) {
                if let Some(grip) = grip.take() {
                    grip.release().await;
                }
                grown = Some(Instant::now());
                self.ask().await?;
                self.grow().await?;
                grip = plan.grip(&self.url).await;
            }
            tokio::time::sleep(LOOK).await;
        };
        if let Some(grip) = grip {
            grip.release().await;
        }
        ensure!(ended.signal() == Some(KILLED), "the node ended by itself: {ended}");
        killer.join().ok().context("the trap")?
    }

    /// Asks whether the log is on hold. A node that is killed amid the call says nothing.
    async fn ask(&mut self) -> Result<()> {
        if let Ok(status) = self.agency.admin()?.get_status(GetStatusRequest {}).await {
            let hold = status.into_inner().log_hold;
            ensure!(hold.is_empty(), "a false hold after {} kills: {hold}", self.tally.kills);
            self.tally.asked += 1;
        }
        Ok(())
    }

    /// Has referrals refused: each is an entry of the log.
    async fn grow(&mut self) -> Result<()> {
        let mut service = ReferralServiceClient::new(self.agency.system()?);
        for _ in 0..=self.dice.below(MOST_REFUSALS) {
            let request = SubmitReferralRequest { handover: Some(handover("key", "nobody", "nobody.example")) };
            match service.submit_referral(request).await {
                Err(refused) if refused.code() == Code::FailedPrecondition => self.tally.refusals += 1,
                Err(_) => break, // killed
                Ok(submitted) => bail!("nobody consented, and yet {submitted:?}"),
            }
        }
        Ok(())
    }

    /// Reads what a killed node left, once the server of its database has noticed.
    async fn left(&self) -> Result<Left> {
        let gone = async || Ok(look::is_left_alone(&self.url).await);
        eventually("the end of the killed node's connections", gone).await?;
        let head = HeadStore::look(&self.agency.folder.head())?.map_or(0, |head| head.tree.size);
        let row = look::checkpoint_size(&self.url).await.context("the database cannot be read")?;
        Ok(Left { head, row: u64::try_from(row)? })
    }

    /// The last start completes what the last kill left; nothing that a caller has heard of is missing, and all of it verifies.
    async fn judge(mut self) -> Result<()> {
        let node = NodeProcess::start(&self.agency.folder).await?;
        let asked = self.tally.asked;
        self.ask().await?;
        ensure!(self.tally.asked == asked + 1, "the last start cannot be asked");
        ensure!(node.terminate().await?.success(), "the last life of the node");
        let verified = self.agency.command(&["log", "verify"]).await?;
        println!("{}", verified.trim());
        let leaves = self.agency.command(&["log", "list", "--kind", "submit-refused", "--limit", "1000000"]).await?;
        ensure!(leaves.lines().count() >= self.tally.refusals, "{} leaves: {:?}", leaves.lines().count(), self.tally);
        println!("{}: no false hold, {:?}", self.engine, self.tally);
        Ok(())
    }
}
