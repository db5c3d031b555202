//! `lotse demo`: a federation of the Hanau area on one machine, and its story.
//!
//! Every agency is a process of its own with its own folder, database, authority and ports. The demonstration is their
//! administrators, systems and officers; it knows nothing but its files, and every line that tells what happened is what a
//! node has answered.

mod agency;
mod answers;
mod arrivals;
mod consents;
mod embedded;
mod farewell;
mod federation;
mod files;
mod outage;
mod outcomes;
mod place;
mod ports;
mod process;
mod reckoning;
mod referrals;
mod stage;
mod story;

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;

use self::agency::Agency;
use self::files::Files;
use self::place::Place;
use self::stage::Stage;
use self::story::Story;
use super::Context;

pub use self::process::Program;

/// Said first and last.
const MARK: &str = "DEMONSTRATOR – not operated by the named authorities. Every person is invented.";

/// Shows a federation of five agencies on this machine: cards, agreement, consents, referrals, refusals, a failure, and the
/// logs that prove it.
#[derive(Args, Clone, Debug, Default)]
pub struct Demo {
    /// End after the story: 0 if everything held, 1 if not. Otherwise the nodes run until Ctrl-C.
    #[arg(long)]
    pub exit: bool,
    /// Keep the nodes' folders at the end, and say how to go on with them.
    #[arg(long)]
    pub keep: bool,
    /// Where to put the nodes' folders; must not exist yet or be empty. A new temporary folder unless given.
    #[arg(long, value_name = "DIR")]
    pub folder: Option<PathBuf>,
    /// Tell the story of other files: agreement.toml, consents/ID.ndjson, referrals/ID.ndjson, …
    #[arg(long, value_name = "DIR")]
    pub input: Option<PathBuf>,
    /// Only write the demonstration's own files into a folder, as a start for --input.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["exit", "keep", "folder", "input"])]
    pub write_input: Option<PathBuf>,
}

impl Demo {
    /// Tells the story; nodes are started with `program`.
    pub async fn run(self, context: &Context, program: Program) -> anyhow::Result<()> {
        if let Some(folder) = &self.write_input {
            Files::write_own(folder)?;
            let folder = folder.display();
            return context.terminal.line(format_args!(
                "Written to {folder}; README.md there says what is what.\nTell their story: lotse demo --input {folder}"
            ));
        }
        let files = self.input.as_deref().map_or_else(|| Ok(Files::own()), Files::read)?;
        files.check(context.clock.now())?;
        let place = Place::make(self.folder.as_deref(), &*context.random)?;
        let mut stage = Stage {
            context,
            story: Story::new(context.terminal.clone()),
            program,
            files,
            agencies: Vec::new(),
            handed_over: Vec::new(),
            received: BTreeMap::new(),
            answers_refused: BTreeMap::new(),
        };
        let told = self.tell(&mut stage, &place).await;
        for agency in &mut stage.agencies {
            let stopped = agency.stop().await;
            stage.story.expect(stopped.is_ok(), format_args!("the node of {} stops when asked to", agency.name))?;
        }
        self.end(&stage, place, told)
    }

    async fn tell(&self, stage: &mut Stage<'_>, place: &Place) -> anyhow::Result<Ending> {
        let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
        tokio::select! {
            played = play(stage, place) => played?,
            _ = terminate.recv() => return Ok(Ending::Interrupted),
            _ = interrupt.recv() => return Ok(Ending::Interrupted),
        }
        if self.exit {
            return Ok(Ending::Told);
        }
        for agency in 0..stage.agencies.len() {
            stage.start(agency).await?;
        }
        farewell::invite(stage).await?;
        stage.story.line("\n   Ctrl-C ends it.")?;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        Ok(Ending::Told)
    }

    /// Keeps or removes the folders, and says whether everything held. After a failure the folders stay, to be looked at.
    fn end(&self, stage: &Stage<'_>, place: Place, told: anyhow::Result<Ending>) -> anyhow::Result<()> {
        let findings = stage.story.findings();
        let went_well = told.is_ok() && findings.is_empty();
        if self.keep || !went_well {
            farewell::keep(stage, &place)?;
        } else {
            place.remove()?;
        }
        match told? {
            Ending::Interrupted => bail!("the demonstration was interrupted"),
            Ending::Told if !findings.is_empty() => bail!("not everything held:\n  {}", findings.join("\n  ")),
            Ending::Told => stage.story.line(format_args!("\n{MARK}")),
        }
    }
}

/// How the story ended.
enum Ending {
    /// To its end.
    Told,
    /// By a signal before it.
    Interrupted,
}

/// Plays all acts.
async fn play(stage: &mut Stage<'_>, place: &Place) -> anyhow::Result<()> {
    let begin = Instant::now();
    stage.story.line(MARK)?;
    federation::set_up(stage, place.path()).await?;
    federation::introduce(stage).await?;
    federation::agree(stage).await?;
    consents::record(stage).await?;
    referrals::hand_over_all(stage).await?;
    referrals::explain_refusal(stage).await?;
    stage.story.act("What was accepted arrives")?;
    arrivals::read(stage).await?;
    stage.story.act("Recipients answer")?;
    answers::give(stage).await?;
    for stopped in 0..stage.agencies.len() {
        if stage.files.has_outage(&stage.agencies[stopped].id) {
            outage::play(stage, stopped).await?;
            arrivals::read(stage).await?;
            answers::give(stage).await?;
        }
    }
    outcomes::tell(stage).await?;
    reckoning::compare(stage).await?;
    reckoning::verify(stage).await?;
    summary(stage, begin)
}

fn summary(stage: &Stage<'_>, begin: Instant) -> anyhow::Result<()> {
    let (seconds, findings) = (begin.elapsed().as_secs(), stage.story.findings().len());
    let sent = stage.handed_over.len();
    let names: Vec<_> = stage.agencies.iter().map(|Agency { name, .. }| name.as_str()).collect();
    let held = match findings {
        0 => "Everything held.".to_string(),
        count => format!("{count} things did not hold."),
    };
    stage.story.line("")?;
    stage.story.say(format_args!("{held} {sent} referrals between {} in {seconds} seconds.", names.join(", ")))
}
