//! How far a file is: a bar with rate and time left where somebody looks, else a line every few seconds.

use std::fmt::Display;
use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::commands::terminal::Terminal;

/// Pause between lines where nobody looks.
const EVERY: Duration = Duration::from_secs(5);

/// The bar.
const TEMPLATE: &str = "{bar:40} {pos} of {len} lines, {per_sec}, {eta} left";

/// How far a file is.
pub(super) struct Progress {
    terminal: Terminal,
    bar: Option<ProgressBar>,
    /// Whether results and bar are seen on the same screen.
    same_screen: bool,
    total: u64,
    done: u64,
    begun: Instant,
    told: Instant,
}

impl Progress {
    pub(super) fn new(terminal: &Terminal, total: u64) -> Progress {
        let begun = Instant::now();
        let bar = io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template(TEMPLATE).unwrap_or_else(|_| ProgressStyle::default_bar());
            ProgressBar::new(total).with_style(style)
        });
        let same_screen = io::stdout().is_terminal();
        Progress { terminal: terminal.clone(), bar, same_screen, total, done: 0, begun, told: begun }
    }

    /// One line more has its result.
    pub(super) fn step(&mut self) {
        self.done += 1;
        match &self.bar {
            Some(bar) => bar.inc(1),
            None if self.told.elapsed() >= EVERY => {
                self.told = Instant::now();
                self.terminal.note(self.sentence());
            }
            None => {}
        }
    }

    /// Writes something to the screen without spoiling the bar.
    pub(super) fn around<T>(&self, write: impl FnOnce() -> T) -> T {
        match &self.bar {
            Some(bar) if self.same_screen => bar.suspend(write),
            _ => write(),
        }
    }

    /// Says something beside the results.
    pub(super) fn say(&self, text: impl Display) {
        match &self.bar {
            Some(bar) => bar.suspend(|| self.terminal.note(text)),
            None => self.terminal.note(text),
        }
    }

    /// Takes the bar away and returns how long it took.
    pub(super) fn finish(&self) -> Duration {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        self.begun.elapsed()
    }

    fn sentence(&self) -> String {
        let rate = rate(self.done, self.begun.elapsed());
        let left = self.total.saturating_sub(self.done) as f64 / rate.max(f64::MIN_POSITIVE);
        format!("{} of {} lines, {rate:.0} per second, {left:.0} s left", self.done, self.total)
    }
}

/// Lines per second.
pub(super) fn rate(lines: u64, took: Duration) -> f64 {
    lines as f64 / took.as_secs_f64().max(0.001)
}
