//! `lotse bench referral`: referrals from one node to another, against a bare echo and a bare commit.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use clap::Args;
use lotse_core::agency::AgencyKind;

use super::commits::Commits;
use super::counts::{Counts, Holding, holding};
use super::cycle::{Cycle, Series};
use super::echo;
use super::load::{Load, Way, received};
use super::process::Process;
use super::report::{Outcome, UseOfMemory};
use super::sample;
use super::site::{Site, connected, federate, record_consents};
use super::window::Phase;
use crate::commands::{Context, OutputArgument};
use crate::start::RunCounters;

/// At so many in flight the echo tells whether the machine can be used as a yardstick at all.
pub(super) const ECHO_IN_FLIGHT: u32 = 64;

/// How long the nodes rest before their memory is called idle.
const REST: Duration = Duration::from_secs(3);

/// Measures referrals between two nodes on this machine: two processes with the shipped defaults, a system that hands over, and
/// yardsticks in the same run. Takes some minutes; figures count only if nothing else works meanwhile.
#[derive(Args)]
pub(crate) struct Referral {
    /// How many referrals are on their way at once; several are measured one after another. One in flight is always measured.
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "256,64,1", value_parser = clap::value_parser!(u32).range(1..=500))]
    in_flight: Vec<u32>,
    /// Cycles of yardstick, product, yardstick for each; a figure needs at least 5.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    cycles: u32,
    /// How long each phase of a cycle lasts.
    #[arg(long, value_name = "SECONDS", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=120))]
    seconds: u64,
    /// Measure unary submission with every number in flight, not only with the largest.
    #[arg(long)]
    unary: bool,
    /// Leave the folders of the nodes where they are, and say where.
    #[arg(long)]
    keep: bool,
    /// Where the folders are made; must not exist. On the disk that is to be measured.
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArgument,
}

impl Referral {
    pub(super) async fn run(self, context: &Context) -> anyhow::Result<()> {
        let place = self.folder.clone().unwrap_or_else(|| format!("lotse-bench-{}", std::process::id()).into());
        fs::create_dir(&place).with_context(|| format!("cannot make {}", place.display()))?;
        let place = fs::canonicalize(place)?;
        let measured = Box::pin(self.measure(&place, context)).await;
        match measured {
            Ok(outcome) => outcome.print(context, self.output.json)?,
            Err(error) => return Err(error.context(format!("no figures; the folders are left in {}", place.display()))),
        }
        if !self.keep {
            return fs::remove_dir_all(&place).with_context(|| format!("cannot remove {}", place.display()));
        }
        if !self.output.json {
            context.terminal.line(format_args!("The folders of the nodes are left in {}", place.display()))?;
        }
        Ok(())
    }

    async fn measure(&self, place: &Path, context: &Context) -> anyhow::Result<Outcome> {
        let mut owner = Site::set_up(place, "jc.bench.example", AgencyKind::JobcenterGe, context)?;
        let mut holder = Site::set_up(place, "aa.bench.example", AgencyKind::EmploymentAgency, context)?;
        let before = prepare(&mut owner, &mut holder, context).await?;
        start(&mut owner, &mut holder).await?;
        connected(&owner, &holder, &context.clock).await?;
        tokio::time::sleep(REST).await;
        let idle = UseOfMemory::of(&owner, &holder)?;
        let mut bench = Bench::open(self, place, context, &owner, &holder).await?;
        let series = Box::pin(bench.run_all()).await?;
        let echo_at_64 = bench.echo_at_64(&series).await?;
        let echo_alone = bench.echo_rate(1).await?;
        let load = UseOfMemory::of(&owner, &holder)?;
        let (sent, submitted, taken) = bench.load.counts();
        bench.commits.close().await;
        let inbox = received(holder.channel(&context.clock)?, sent).await?;
        stop(&mut owner, &mut holder).await?;
        let counts = Counts {
            sent,
            submitted,
            taken,
            inbox,
            counters: [RunCounters::read(&owner.folder)?, RunCounters::read(&holder.folder)?],
            owner: [before[0], holding(&owner).await?],
            holder: [before[1], holding(&holder).await?],
        };
        counts.check()?;
        let payload = sample::payload(&holder.agency).len();
        Ok(Outcome { series, counts, idle, load, echo_at_64, echo_alone, payload })
    }

    fn phase(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}

/// Makes the nodes know each other and the persons, and stops them: what counts begins with the next start.
async fn prepare(owner: &mut Site, holder: &mut Site, context: &Context) -> anyhow::Result<[Holding; 2]> {
    start(owner, holder).await?;
    federate(owner, holder, context).await?;
    record_consents(owner, &holder.agency, context).await?;
    stop(owner, holder).await?;
    Ok([holding(owner).await?, holding(holder).await?])
}

async fn start(owner: &mut Site, holder: &mut Site) -> anyhow::Result<()> {
    holder.start().await?;
    owner.start().await
}

async fn stop(owner: &mut Site, holder: &mut Site) -> anyhow::Result<()> {
    owner.stop().await?;
    holder.stop().await
}

/// What measures.
struct Bench<'a> {
    settings: &'a Referral,
    context: &'a Context,
    owner: &'a Site,
    holder: &'a Site,
    echo: String,
    payload: Bytes,
    commits: Commits,
    load: Load,
    _echo_server: Process,
}

impl<'a> Bench<'a> {
    async fn open(
        settings: &'a Referral,
        place: &Path,
        context: &'a Context,
        owner: &'a Site,
        holder: &'a Site,
    ) -> anyhow::Result<Bench<'a>> {
        let arguments = ["bench", "echo-server"];
        let mut echo_server = Process::start(&arguments, owner.folder.path(), &place.join("echo.log"))?;
        let handovers = (0..sample::SUBJECTS).map(|subject| sample::handover(subject, &holder.agency));
        Ok(Bench {
            settings,
            context,
            owner,
            holder,
            echo: echo_server.first_line().await?,
            payload: sample::payload(&holder.agency),
            commits: Commits::open(&place.join("commits.sqlite")).await?,
            load: Load::new(handovers),
            _echo_server: echo_server,
        })
    }

    /// Measures what was asked for, most in flight first.
    async fn run_all(&mut self) -> anyhow::Result<Vec<Series>> {
        let numbers: BTreeSet<u32> = self.settings.in_flight.iter().copied().chain([1]).collect();
        let most = numbers.last().copied().unwrap_or(1);
        let mut all = Vec::new();
        for in_flight in numbers.into_iter().rev() {
            all.push(self.series(Way::Stream, in_flight).await?);
            if in_flight > 1 && (in_flight == most || self.settings.unary) {
                all.push(self.series(Way::Unary, in_flight).await?);
            }
        }
        Ok(all)
    }

    async fn series(&mut self, way: Way, in_flight: u32) -> anyhow::Result<Series> {
        let mut series = Series::new(way, in_flight);
        for _ in 0..self.settings.cycles {
            let before = self.yardstick(in_flight).await?;
            let phase = self.phase(way, in_flight).await?;
            let after = self.yardstick(in_flight).await?;
            let cycle = Cycle { before, phase, after };
            self.tell(way, in_flight, &cycle)?;
            series.add(cycle);
        }
        Ok(series)
    }

    /// The echo's calls per second; with one in flight the seconds of a commit.
    async fn yardstick(&self, in_flight: u32) -> anyhow::Result<f64> {
        match in_flight {
            1 => self.commits.mean_seconds(self.settings.phase()).await,
            _ => self.echo_rate(in_flight).await,
        }
    }

    async fn echo_rate(&self, in_flight: u32) -> anyhow::Result<f64> {
        let channel = self.owner.channel_to(&self.echo, &self.context.clock)?;
        echo::rate(&channel, &self.payload, in_flight as usize, self.settings.phase()).await
    }

    async fn phase(&mut self, way: Way, in_flight: u32) -> anyhow::Result<Phase> {
        let channel = self.owner.channel(&self.context.clock)?;
        let nodes = || anyhow::Ok(self.owner.process()?.cpu()? + self.holder.process()?.cpu()?);
        let before = nodes()?;
        let phase = self.load.run(channel, way, in_flight, self.settings.phase()).await?;
        Ok(Phase { cpu: nodes()?.saturating_sub(before), ..phase })
    }

    /// The echo with 64 in flight, from the cycles or, if there are none, measured now.
    async fn echo_at_64(&self, series: &[Series]) -> anyhow::Result<f64> {
        let measured = series.iter().find(|series| series.in_flight == ECHO_IN_FLIGHT);
        match measured.and_then(|series| series.spread(Cycle::yardstick)) {
            Some(spread) => Ok(spread.median),
            None => self.echo_rate(ECHO_IN_FLIGHT).await,
        }
    }

    fn tell(&self, way: Way, in_flight: u32, cycle: &Cycle) -> anyhow::Result<()> {
        if self.settings.output.json {
            return Ok(());
        }
        let (rate, cpu) = (cycle.phase.rate(), cycle.phase.cpu_us());
        let compared = match in_flight {
            1 => format!(
                "{:.2} commits of {:.2} ms",
                cycle.phase.mean_seconds() / cycle.yardstick(),
                cycle.yardstick() * 1e3
            ),
            _ => format!("{:.2} of the echo's {:.0}/s", rate / cycle.yardstick(), cycle.yardstick()),
        };
        let note = if in_flight == 1 || cycle.is_quiet() { "" } else { "  (dropped: the machine was restless)" };
        let way = if way == Way::Stream { "stream" } else { "unary " };
        self.context
            .terminal
            .line(format_args!("{in_flight:>4} in flight, {way}  {rate:>7.0}/s  {cpu:>5.0} µs  {compared}{note}"))
    }
}
