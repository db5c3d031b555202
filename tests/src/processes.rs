//! A federation whose nodes are processes of their own: to be killed, stopped for a moment, and overheard.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use lotse_core::agency::AgencyKind;
use lotse_core::id::Id;
use lotse_node::ambient::SystemClock;
use rustix::process::Signal;

use crate::federation::{Agency, Federation};
use crate::process::NodeProcess;

/// Agencies that have an agreement, each with a node in a process of its own.
pub struct Processes {
    /// In the order in which they were named.
    pub members: Vec<Member>,
    /// Their agreement.
    pub agreement: Id,
    place: tempfile::TempDir,
}

impl Processes {
    /// Sets agencies up, lets `configure` change their configuration, makes them agree, and starts their processes.
    pub async fn start(
        agencies: &[(&str, AgencyKind)],
        configure: impl Fn(&Agency) -> Result<()>,
    ) -> Result<Processes> {
        let place = tempfile::tempdir()?;
        let clock: std::sync::Arc<dyn lotse_core::time::Clock> = std::sync::Arc::new(SystemClock);
        let mut set_up = Vec::new();
        for (id, kind) in agencies {
            let agency = Agency::set_up(place.path(), id, *kind, clock.clone())?;
            configure(&agency)?;
            set_up.push(agency);
        }
        let federation = Federation::of(place, set_up).await?;
        federation.introduce().await?;
        let agreement = federation.agree().await?;
        Processes::take_over(federation, agreement).await
    }

    /// Stops nodes that run in this process and starts each in one of its own.
    pub async fn take_over(federation: Federation, agreement: Id) -> Result<Processes> {
        let Federation { agencies, place } = federation;
        let mut members = Vec::new();
        for mut agency in agencies {
            agency.stop().await?;
            let output = place.path().join(format!("{}.output", agency.id));
            let mut member = Member { agency, output, process: None };
            member.start().await?;
            members.push(member);
        }
        Ok(Processes { members, agreement, place })
    }

    /// Where folders and outputs lie.
    pub fn place(&self) -> &Path {
        self.place.path()
    }
}

/// One agency whose node is a process.
pub struct Member {
    /// The agency.
    pub agency: Agency,
    /// What its node has said, in all its lives.
    pub output: PathBuf,
    process: Option<NodeProcess>,
}

impl Member {
    /// Starts the process and waits until it serves.
    pub async fn start(&mut self) -> Result<()> {
        self.process = Some(NodeProcess::start_writing(&self.agency.folder, &self.output).await?);
        Ok(())
    }

    /// Returns the bytes of memory that the process has for itself (`RssAnon`, proc_pid_status(5)).
    pub fn memory_bytes(&self) -> Result<usize> {
        let id = self.running()?.id().context("the node has ended")?;
        let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).context("no RssAnon")?;
        Ok(line.trim().trim_end_matches(" kB").parse::<usize>()? * 1024)
    }

    /// Kills the process as kill -9 does.
    pub async fn kill(&mut self) -> Result<()> {
        self.process.take().context("the node does not run")?.kill().await
    }

    /// Holds the process still where it is.
    pub fn freeze(&self) -> Result<()> {
        self.running()?.signal(Signal::STOP)
    }

    /// Lets a process that was held still go on.
    pub fn thaw(&self) -> Result<()> {
        self.running()?.signal(Signal::CONT)
    }

    /// Asks the node to stop, and does not wait for it.
    pub fn ask_to_stop(&self) -> Result<()> {
        self.running()?.signal(Signal::TERM)
    }

    /// Stops the node as an administrator does.
    pub async fn stop(&mut self) -> Result<()> {
        let ended = self.process.take().context("the node does not run")?.terminate().await?;
        anyhow::ensure!(ended.success(), "the node of {} ended with {ended}", self.agency.id);
        Ok(())
    }

    fn running(&self) -> Result<&NodeProcess> {
        self.process.as_ref().context("the node does not run")
    }
}
