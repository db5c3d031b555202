//! A trap for a process: it is killed at the moment at which it replaces a file. Nothing in the process knows of
//! it, so what ships is what is tested.

use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context as _, Result};
use rustix::fs::inotify::{CreateFlags, Event, Reader, WatchFlags, add_watch, init};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};

/// Room for the events that are read at once.
const EVENTS_BYTES: usize = 4096;

/// A file that is about to be replaced: written under one name, and renamed to the other.
#[derive(Clone, Copy)]
pub struct Replaced {
    /// Name under which the new one is written.
    pub from: &'static str,
    /// Name to which it is renamed.
    pub to: &'static str,
}

/// A folder that is watched.
pub struct Trap {
    file: Replaced,
    /// Tells that a new file is begun: to sleep on.
    begun: OwnedFd,
    /// Tells that one was renamed: to be asked without a pause, because a sleeper would wake up too late.
    renamed: OwnedFd,
}

/// When a trap strikes.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Which time the file is replaced, from 1 on.
    pub time: u32,
    /// How long after that.
    pub later: Duration,
}

impl Trap {
    /// Watches a file of a folder, from now on.
    pub fn set(folder: &Path, file: Replaced) -> Result<Trap> {
        let begun = watch(folder, CreateFlags::CLOEXEC, WatchFlags::CREATE)?;
        let renamed = watch(folder, CreateFlags::CLOEXEC | CreateFlags::NONBLOCK, WatchFlags::MOVED_TO)?;
        Ok(Trap { file, begun, renamed })
    }

    /// Waits on a thread of its own for the moment, and kills the process then as kill -9 does.
    pub fn spring(self, process: u32, moment: Moment) -> JoinHandle<Result<()>> {
        thread::spawn(move || {
            let process = Pid::from_raw(process.cast_signed()).context("no process has this number")?;
            self.wait(moment.time)?;
            if !moment.later.is_zero() {
                thread::sleep(moment.later);
            }
            Ok(kill_process(process, Signal::KILL)?)
        })
    }

    fn wait(self, times: u32) -> Result<()> {
        let (mut room, mut more_room) = ([MaybeUninit::uninit(); EVENTS_BYTES], [MaybeUninit::uninit(); EVENTS_BYTES]);
        let mut begun = Reader::new(self.begun, &mut room);
        let mut renamed = Reader::new(self.renamed, &mut more_room);
        for _ in 0..times {
            while !is(&begun.next()?, self.file.from) {}
            loop {
                match renamed.next() {
                    Ok(event) if is(&event, self.file.to) => break,
                    Ok(_) => {}
                    Err(Errno::AGAIN) => std::hint::spin_loop(),
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(())
    }
}

fn watch(folder: &Path, how: CreateFlags, what: WatchFlags) -> Result<OwnedFd> {
    let events = init(how)?;
    add_watch(&events, folder, what).with_context(|| format!("cannot watch {}", folder.display()))?;
    Ok(events)
}

fn is(event: &Event<'_>, name: &str) -> bool {
    event.file_name().is_some_and(|told| told.to_bytes() == name.as_bytes())
}
