//! Processes of the benchmark: this program again, with what the system says about each.

use std::fs::{self, File};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// How long a process may take to stop.
const STOP: Duration = Duration::from_secs(60);

/// What Linux counts processor time in for programs, whatever its timer: hundredths of a second (proc(5), USER_HZ).
const TICK: Duration = Duration::from_millis(10);

/// A process of this program; killed when dropped.
pub(super) struct Process {
    child: Child,
    id: u32,
}

/// Memory of a process, KiB.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Memory {
    /// Now resident.
    pub(super) resident_kib: u64,
    /// Most that was ever resident.
    pub(super) peak_kib: u64,
}

impl Process {
    /// Starts this program with arguments; what it complains about goes into a file.
    pub(super) fn start(arguments: &[&str], folder: &Path, complaints: &Path) -> anyhow::Result<Process> {
        let program = std::env::current_exe().context("cannot find the own program")?;
        let mut command = Command::new(program);
        command.args(arguments).arg("--folder").arg(folder);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(File::create(complaints)?).kill_on_drop(true);
        let child = command.spawn().context("cannot start another process of this program")?;
        let id = child.id().context("a process ended at once")?;
        Ok(Process { child, id })
    }

    /// Reads the first line that the process prints.
    pub(super) async fn first_line(&mut self) -> anyhow::Result<String> {
        let output = self.child.stdout.take().context("the first line was read before")?;
        let line = BufReader::new(output).lines().next_line().await?;
        line.context("a process ended before it served; its messages lie beside its folder")
    }

    /// Returns the processor time that it has used so far, user and system.
    pub(super) fn cpu(&self) -> anyhow::Result<Duration> {
        let text = fs::read_to_string(format!("/proc/{}/stat", self.id)).context("no /proc here: Linux is needed")?;
        parse_cpu(&text).context("/proc/…/stat has another form than expected")
    }

    /// Returns its memory.
    pub(super) fn memory(&self) -> anyhow::Result<Memory> {
        let text = fs::read_to_string(format!("/proc/{}/status", self.id)).context("no /proc here: Linux is needed")?;
        parse_memory(&text).context("/proc/…/status has another form than expected")
    }

    /// Asks the process to stop and waits for it.
    pub(super) async fn stop(mut self) -> anyhow::Result<()> {
        Command::new("kill").args(["-TERM", &self.id.to_string()]).status().await.context("cannot run kill")?;
        let status = timeout(STOP, self.child.wait()).await.context("a process does not stop")??;
        if !status.success() {
            bail!("a process ended with {status}; its messages lie beside its folder");
        }
        Ok(())
    }
}

/// Fields 14 and 15; the name in field 2 may hold anything, so counting begins behind it.
fn parse_cpu(stat: &str) -> Option<Duration> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u32>().ok();
    Some(TICK * (ticks()? + ticks()?))
}

fn parse_memory(status: &str) -> Option<Memory> {
    let kib = |name: &str| {
        let value = status.lines().find_map(|line| line.strip_prefix(name))?;
        value.trim().strip_suffix("kB")?.trim().parse().ok()
    };
    Some(Memory { resident_kib: kib("VmRSS:")?, peak_kib: kib("VmHWM:")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_found_behind_a_name_with_brackets_and_spaces() {
        let stat = "12 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20 0 1 0 99";
        assert_eq!(parse_cpu(stat), Some(Duration::from_secs(2)));
        assert_eq!(parse_cpu("12 (lotse) S 1"), None);
        assert_eq!(parse_cpu("nothing"), None);
    }

    #[test]
    fn memory_is_read_by_name() {
        let memory = parse_memory("Name:\tlotse\nVmHWM:\t  2048 kB\nVmRSS:\t  1024 kB\n").unwrap();
        assert_eq!((memory.resident_kib, memory.peak_kib), (1024, 2048));
    }
}
