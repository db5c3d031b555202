//! The result of each line, and their sum.

use std::fmt::{self, Display};
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use lotse_core::category::Category;
use lotse_core::reason::Reason;
use lotse_proto::agency::v1 as agency;
use serde_json::{Value, json};

use super::progress::rate;
use crate::commands::terminal::Terminal;
use crate::record_file::Malformed;

/// What the node said about a line.
pub(in crate::commands) enum Answer {
    /// It is done and durable.
    Done {
        /// Id of the consent or referral.
        id: String,
        /// Where it stands.
        state: String,
        /// Whether it was done before.
        repeated: bool,
        /// Numbers of the categories that were left out.
        left_out: Vec<i32>,
        /// What looks like a slip in it all the same.
        hints: Vec<agency::ReasonDetail>,
    },
    /// Nothing was stored.
    Refused(Refused),
}

impl Answer {
    /// The details of what it tells.
    pub(super) fn details(&mut self) -> impl Iterator<Item = &mut agency::ReasonDetail> {
        match self {
            Answer::Done { hints, .. } => hints.iter_mut(),
            Answer::Refused(Refused(refusal)) => refusal.reasons.iter_mut(),
        }
    }
}

/// What became of a line.
pub(super) enum Outcome {
    /// The node answered.
    Answered(Answer),
    /// It could not be sent.
    Malformed(Vec<Malformed>),
}

/// A refusal with all its reasons.
pub(in crate::commands) struct Refused(pub(in crate::commands) agency::Refusal);

impl Refused {
    /// Tells whether only the node's own state is in the way, so that the same line may pass in a moment.
    pub(super) fn is_passing(&self) -> bool {
        let passing = [Reason::Unavailable, Reason::Overloaded].map(Some);
        !self.0.reasons.is_empty()
            && self.0.reasons.iter().all(|told| passing.contains(&Reason::from_number(told.reason)))
    }

    fn codes(&self) -> String {
        self.0.reasons.iter().map(|told| code(told.reason)).collect::<Vec<_>>().join(",")
    }
}

impl Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sentences: Vec<&str> = self.0.reasons.iter().map(|told| told.message.as_str()).collect();
        write!(f, "{}: {}", self.codes(), sentences.join("; "))
    }
}

fn code(reason: i32) -> String {
    Reason::from_number(reason).map_or_else(|| format!("REASON_{reason}"), |reason| reason.code().to_string())
}

fn category(number: i32) -> String {
    Category::from_number(number).map_or_else(|| number.to_string(), |category| category.name().to_string())
}

/// Writes results and counts them.
pub(super) struct Report {
    terminal: Terminal,
    file: Option<File>,
    done: u64,
    repeated: u64,
    refused: u64,
    malformed: u64,
}

impl Report {
    pub(super) fn new(terminal: &Terminal, file: Option<&Path>) -> anyhow::Result<Report> {
        let create = |path: &Path| File::create(path).with_context(|| format!("cannot write {}", path.display()));
        let file = file.map(create).transpose()?;
        Ok(Report { terminal: terminal.clone(), file, done: 0, repeated: 0, refused: 0, malformed: 0 })
    }

    /// Writes the result of a line.
    pub(super) fn tell(&mut self, number: u64, key: &str, outcome: &Outcome) -> anyhow::Result<()> {
        match outcome {
            Outcome::Answered(Answer::Done { repeated, .. }) => {
                self.done += 1;
                self.repeated += u64::from(*repeated);
            }
            Outcome::Answered(Answer::Refused(_)) => self.refused += 1,
            Outcome::Malformed(_) => self.malformed += 1,
        }
        self.terminal.line(format_args!("line {number} {}", sentence(outcome)))?;
        if let Some(file) = &mut self.file {
            let mut line = object(number, key, outcome).to_string();
            line.push('\n');
            file.write_all(line.as_bytes()).context("cannot write the results")?;
        }
        Ok(())
    }

    /// Writes the sum; fails if a line was refused or malformed.
    pub(super) fn finish(self, took: Duration) -> anyhow::Result<()> {
        let lines = self.done + self.refused + self.malformed;
        self.terminal.line(format_args!(
            "{lines} lines: {} ok ({} of them done before), {} refused, {} malformed; {:.0} per second",
            self.done,
            self.repeated,
            self.refused,
            self.malformed,
            rate(lines, took)
        ))?;
        match self.refused + self.malformed {
            0 => Ok(()),
            failed => bail!("{failed} of {lines} lines were refused or malformed"),
        }
    }
}

fn sentence(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Answered(Answer::Done { id, state, repeated, left_out, hints }) => {
            let again = if *repeated { " (done before)" } else { "" };
            let left_out: Vec<String> = left_out.iter().map(|&number| category(number)).collect();
            let left_out = if left_out.is_empty() { String::new() } else { format!(" without {}", left_out.join(",")) };
            let hints: String = hints.iter().map(|hint| format!("; {}", hint.message)).collect();
            format!("ok {id} {state}{again}{left_out}{hints}")
        }
        Outcome::Answered(Answer::Refused(refused)) => format!("refused {refused}"),
        Outcome::Malformed(wrong) => {
            format!("malformed {}", wrong.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
        }
    }
}

fn object(number: u64, key: &str, outcome: &Outcome) -> Value {
    match outcome {
        Outcome::Answered(Answer::Done { id, state, repeated, left_out, hints }) => {
            let left_out: Vec<String> = left_out.iter().map(|&number| category(number)).collect();
            json!({
                "line": number, "result": "ok", "key": key, "id": id, "state": state, "repeated": repeated,
                "leftOut": left_out, "hints": reasons(hints),
            })
        }
        Outcome::Answered(Answer::Refused(refused)) => {
            let Refused(refusal) = refused;
            json!({
                "line": number, "result": "refused", "key": key, "retryable": refusal.retryable,
                "reasons": reasons(&refusal.reasons),
            })
        }
        Outcome::Malformed(wrong) => {
            let wrong: Vec<Value> =
                wrong.iter().map(|wrong| json!({ "field": wrong.field, "message": wrong.message })).collect();
            json!({ "line": number, "result": "malformed", "reasons": wrong })
        }
    }
}

fn reasons(told: &[agency::ReasonDetail]) -> Vec<Value> {
    let reason = |told: &agency::ReasonDetail| {
        let category = (told.category != 0).then(|| category(told.category));
        json!({ "reason": code(told.reason), "message": told.message, "category": category, "field": told.field })
    };
    told.iter().map(reason).collect()
}
