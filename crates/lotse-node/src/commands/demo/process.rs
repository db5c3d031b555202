//! Nodes in processes of their own.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use crate::folder::Folder;

/// How long a node may take to start, and to stop.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often a starting node is looked at.
const LOOK: Duration = Duration::from_millis(25);

/// Lines of a node's messages that are shown when it does not start.
const LAST_LINES: usize = 5;

type Starter = dyn Fn(&[&str]) -> anyhow::Result<Command> + Send + Sync;

/// How `lotse` is started in another process.
#[derive(Clone)]
pub struct Program(Arc<Starter>);

impl Program {
    /// The running program itself.
    pub fn own() -> Program {
        Program::of(|arguments| {
            let mut command = Command::new(std::env::current_exe()?);
            command.args(arguments);
            Ok(command)
        })
    }

    /// Something else that understands the arguments of `lotse`: a test's own program.
    pub fn of(command: impl Fn(&[&str]) -> anyhow::Result<Command> + Send + Sync + 'static) -> Program {
        Program(Arc::new(command))
    }
}

/// A node that runs; killed when dropped.
pub(super) struct NodeProcess {
    child: Child,
}

impl NodeProcess {
    /// Starts the node of a folder, its messages going to a file, and waits until it serves.
    pub(super) async fn start(program: &Program, folder: &Folder, messages: PathBuf) -> anyhow::Result<NodeProcess> {
        let path = folder.path().to_str().context("the folder's name is no UTF-8")?;
        // A killed node leaves its ports; only those of the new one count.
        let _ = fs::remove_file(folder.ports());
        let file = File::options().create(true).append(true).open(&messages);
        let file = file.with_context(|| format!("cannot write {}", messages.display()))?;
        let mut command = (program.0)(&["run", "--folder", path])?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file).kill_on_drop(true);
        let mut node = NodeProcess { child: command.spawn().context("cannot start the node's process")? };
        let begin = Instant::now();
        while !folder.ports().exists() {
            if let Some(status) = node.child.try_wait()? {
                bail!("the node of {path} ended ({status}):\n{}", last_lines(&messages));
            }
            if begin.elapsed() > PATIENCE {
                bail!("the node of {path} does not start:\n{}", last_lines(&messages));
            }
            sleep(LOOK).await;
        }
        Ok(node)
    }

    /// Returns the process id; none if it has ended.
    pub(super) fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Kills the node as kill -9 does.
    pub(super) async fn kill(mut self) -> anyhow::Result<()> {
        Ok(self.child.kill().await?)
    }

    /// Asks the node to stop and waits until it has; one that fails to is told.
    pub(super) async fn stop(mut self) -> anyhow::Result<()> {
        if let Some(id) = self.child.id() {
            // The shell has kill inside, wherever the program of that name may be.
            Command::new("sh").args(["-c", &format!("kill -TERM {id}")]).stderr(Stdio::null()).status().await?;
        }
        let status = timeout(PATIENCE, self.child.wait()).await.context("the node does not stop")??;
        if status.success() { Ok(()) } else { bail!("the node ended with {status}") }
    }
}

fn last_lines(messages: &PathBuf) -> String {
    let text = fs::read_to_string(messages).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LAST_LINES)..].join("\n")
}
