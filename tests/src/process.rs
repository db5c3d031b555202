//! Nodes in processes of their own, to be killed. The test program itself becomes `lotse`: it is built whenever a test runs,
//! and from the same code.

use std::env;
use std::fs::OpenOptions;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use lotse_node::folder::Folder;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

use crate::federation::eventually;

/// How the test program is told what to do as `lotse`: a JSON list of arguments.
const ARGUMENTS: &str = "LOTSE_TEST_ARGUMENTS";

/// How long a node may take to stop.
const STOP: Duration = Duration::from_secs(60);

/// Becomes `lotse` and ends the process, if this process was started for that. Called by a test of this name in the program's
/// root, `lotse_process`.
pub fn become_lotse() -> Result<()> {
    if let Ok(arguments) = env::var(ARGUMENTS) {
        let arguments: Vec<String> = serde_json::from_str(&arguments)?;
        std::process::exit(lotse_node::commands::main(arguments).into());
    }
    Ok(())
}

/// Makes a command that runs `lotse` in a process of its own.
pub fn lotse(arguments: &[&str]) -> Result<Command> {
    let all: Vec<&str> = ["lotse"].iter().chain(arguments).copied().collect();
    let mut command = Command::new(env::current_exe()?);
    command.args(["lotse_process", "--exact", "--nocapture", "--test-threads=1"]);
    command.env(ARGUMENTS, serde_json::to_string(&all)?).env("LC_ALL", "C").kill_on_drop(true);
    Ok(command)
}

/// A node in a process of its own; killed when dropped.
pub struct NodeProcess {
    child: Child,
}

impl NodeProcess {
    /// Starts the node of a folder and waits until it serves.
    pub async fn start(folder: &Folder) -> Result<NodeProcess> {
        NodeProcess::start_with(folder, |lotse| lotse.stdout(Stdio::null())).await
    }

    /// The same; what the node says on both outputs is appended to a file.
    pub async fn start_writing(folder: &Folder, output: &Path) -> Result<NodeProcess> {
        let output = OpenOptions::new().create(true).append(true).open(output)?;
        let both = output.try_clone()?;
        NodeProcess::start_with(folder, |lotse| lotse.stdout(output).stderr(both)).await
    }

    /// The same under a service manager that listens at a socket and wants a sign of life every so often.
    pub async fn start_under(folder: &Folder, socket: &Path, patience: Duration) -> Result<NodeProcess> {
        NodeProcess::start_with(folder, |lotse| {
            lotse.stdout(Stdio::null()).env("NOTIFY_SOCKET", socket);
            lotse.env("WATCHDOG_USEC", patience.as_micros().to_string())
        })
        .await
    }

    async fn start_with(folder: &Folder, outputs: impl FnOnce(&mut Command) -> &mut Command) -> Result<NodeProcess> {
        let mut node = NodeProcess::spawn(folder, outputs)?;
        eventually("the node's ports", async || match node.child.try_wait()? {
            Some(status) => bail!("the node ended: {status}"),
            None => Ok(folder.ports().exists()),
        })
        .await?;
        Ok(node)
    }

    /// Starts the node of a folder and waits for nothing.
    pub fn spawn(folder: &Folder, outputs: impl FnOnce(&mut Command) -> &mut Command) -> Result<NodeProcess> {
        let _ = std::fs::remove_file(folder.ports());
        let path = folder.path().to_str().context("the folder's name is no UTF-8")?;
        Ok(NodeProcess { child: outputs(&mut lotse(&["run", "--folder", path])?).spawn()? })
    }

    /// Returns the process id; none if the node has ended.
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Tells how the node has ended, if it has.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Kills the node as kill -9 does.
    pub async fn kill(mut self) -> Result<()> {
        Ok(self.child.kill().await?)
    }

    /// Sends the node a signal, `STOP` or `CONT` for instance.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let id =
            self.child.id().and_then(|id| Pid::from_raw(id.cast_signed())).context("the node has ended already")?;
        kill_process(id, signal).with_context(|| format!("the signal {signal:?} could not be sent"))
    }

    /// Asks the node to stop and waits for it.
    pub async fn terminate(mut self) -> Result<ExitStatus> {
        self.signal(Signal::TERM)?;
        Ok(tokio::time::timeout(STOP, self.child.wait()).await.context("the node does not stop")??)
    }
}
