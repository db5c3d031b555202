//! The result of each line, and their sum.

use std::collections::{BTreeSet, HashSet};
use std::fmt::{self, Display};
use std::path::Path;
use std::time::Duration;

use anyhow::bail;
use lotse_core::category::Category;
use lotse_core::reason::Reason;
use lotse_proto::agency::v1 as agency;
use serde_json::{Value, json};

use super::progress::rate;
use super::result_file::ResultFile;
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
        /// Another one of the same person to the same recipient that is open.
        open: Option<OpenReferral>,
    },
    /// Its key was used before for something that came to nothing: nothing is on its way.
    Ended {
        /// Id of the referral.
        id: String,
        /// How it ended.
        state: String,
        /// Why.
        reasons: Vec<agency::ReasonDetail>,
        /// What to do.
        hint: String,
    },
    /// Nothing was stored.
    Refused(Refused),
}

impl Answer {
    /// The details of what it tells.
    pub(super) fn details(&mut self) -> impl Iterator<Item = &mut agency::ReasonDetail> {
        match self {
            Answer::Done { hints, .. } => hints.iter_mut(),
            Answer::Ended { reasons, .. } => reasons.iter_mut(),
            Answer::Refused(Refused(refusal)) => refusal.reasons.iter_mut(),
        }
    }
}

/// Another referral of the same person to the same recipient that is open.
pub(in crate::commands) struct OpenReferral {
    /// Its id.
    pub(in crate::commands) id: String,
    /// What to do.
    pub(in crate::commands) hint: String,
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
    file: Option<ResultFile>,
    done: u64,
    repeated: u64,
    ended: u64,
    refused: u64,
    malformed: u64,
    /// What the lines replace, if that is asked.
    replaced: Option<Replaced>,
}

/// Referrals that the lines of a file replace: open before, and none of the file itself.
#[derive(Default)]
pub(in crate::commands) struct Replaced {
    own: HashSet<String>,
    open: BTreeSet<String>,
}

impl Replaced {
    fn note(&mut self, id: &str, open: Option<&OpenReferral>) {
        self.own.insert(id.to_owned());
        self.open.extend(open.map(|open| open.id.clone()));
    }

    /// Returns the ids of the referrals that were open before.
    pub(in crate::commands) fn ids(&self) -> impl Iterator<Item = &String> {
        self.open.iter().filter(|id| !self.own.contains(*id))
    }
}

impl Report {
    pub(super) fn new(terminal: &Terminal, file: Option<ResultFile>) -> Report {
        let terminal = terminal.clone();
        Report { terminal, file, done: 0, repeated: 0, ended: 0, refused: 0, malformed: 0, replaced: None }
    }

    /// Collects what the lines replace.
    pub(super) fn replacing(self) -> Report {
        Report { replaced: Some(Replaced::default()), ..self }
    }

    /// Takes what the lines replace.
    pub(super) fn take_replaced(&mut self) -> Replaced {
        self.replaced.take().unwrap_or_default()
    }

    /// Returns where the results are before the end.
    pub(super) fn part(&self) -> Option<&Path> {
        self.file.as_ref().map(ResultFile::part)
    }

    /// Writes the result of a line.
    pub(super) fn tell(&mut self, number: u64, key: &str, outcome: &Outcome) -> anyhow::Result<()> {
        match outcome {
            Outcome::Answered(Answer::Done { repeated, id, open, .. }) => {
                self.done += 1;
                self.repeated += u64::from(*repeated);
                if let Some(replaced) = &mut self.replaced {
                    replaced.note(id, open.as_ref());
                }
            }
            Outcome::Answered(Answer::Ended { .. }) => self.ended += 1,
            Outcome::Answered(Answer::Refused(_)) => self.refused += 1,
            Outcome::Malformed(_) => self.malformed += 1,
        }
        self.terminal.line(format_args!("line {number} {}", sentence(outcome)))?;
        if let Some(file) = &mut self.file {
            file.write(&object(number, key, outcome))?;
        }
        Ok(())
    }

    /// Writes the sum. Fails if a line was refused or malformed, if its key was used before for something that came to nothing, or if
    /// there was none.
    pub(super) fn finish(self, took: Duration) -> anyhow::Result<()> {
        let Report { done, repeated, ended, refused, malformed, .. } = self;
        let lines = done + ended + refused + malformed;
        let ended_before = if ended > 0 { format!(", {ended} ended before") } else { String::new() };
        self.terminal.line(format_args!(
            "{lines} lines: {done} ok ({repeated} of them done before){ended_before}, {refused} refused, {malformed} malformed; {:.0} per \
             second",
            rate(lines, took)
        ))?;
        self.file.map_or(Ok(()), ResultFile::finish)?;
        match (lines, ended, refused + malformed) {
            (0, ..) => bail!("nothing was sent: the file has no line besides its headings"),
            (_, 0, 0) => Ok(()),
            (_, 0, failed) => bail!("{failed} of {lines} lines were refused or malformed"),
            (_, ended, 0) => bail!("{ended} of {lines} lines were not handed over: their keys were used before"),
            (_, ended, failed) => bail!(
                "{failed} of {lines} lines were refused or malformed, and {ended} were not handed over: their keys were used before"
            ),
        }
    }
}

fn sentence(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Answered(Answer::Done { id, state, repeated, left_out, hints, open }) => {
            let again = if *repeated { " (done before)" } else { "" };
            let left_out: Vec<String> = left_out.iter().map(|&number| category(number)).collect();
            let left_out = if left_out.is_empty() { String::new() } else { format!(" without {}", left_out.join(",")) };
            let hints: String = hints.iter().map(|hint| format!("; {}", hint.message)).collect();
            let open = open.as_ref().map(|open| format!("; {}", open.hint)).unwrap_or_default();
            format!("ok {id} {state}{again}{left_out}{hints}{open}")
        }
        Outcome::Answered(Answer::Ended { id, state, reasons, hint }) => {
            let codes: Vec<String> = reasons.iter().map(|told| code(told.reason)).collect();
            let codes = if codes.is_empty() { String::new() } else { format!(" ({})", codes.join(",")) };
            format!("ended {id} {state}{codes}: {hint}")
        }
        Outcome::Answered(Answer::Refused(refused)) => format!("refused {refused}"),
        Outcome::Malformed(wrong) => {
            format!("malformed {}", wrong.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
        }
    }
}

fn object(number: u64, key: &str, outcome: &Outcome) -> Value {
    match outcome {
        Outcome::Answered(Answer::Done { id, state, repeated, left_out, hints, open }) => {
            let left_out: Vec<String> = left_out.iter().map(|&number| category(number)).collect();
            let mut result = json!({
                "line": number, "result": "ok", "key": key, "id": id, "state": state, "repeated": repeated,
                "leftOut": left_out, "hints": reasons(hints),
            });
            if let Some(OpenReferral { id, hint }) = open {
                result["openReferral"] = json!(id);
                result["hint"] = json!(hint);
            }
            result
        }
        Outcome::Answered(Answer::Ended { id, state, reasons: why, hint }) => json!({
            "line": number, "result": "ended", "key": key, "id": id, "state": state, "repeated": true, "reasons": reasons(why),
            "hint": hint,
        }),
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

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    fn ended() -> Outcome {
        let reasons = vec![agency::ReasonDetail { reason: Reason::ConsentWithdrawn as i32, ..Default::default() }];
        Outcome::Answered(Answer::Ended {
            id: "r-1".into(),
            state: "cancelled".into(),
            reasons,
            hint: "give it a key".into(),
        })
    }

    fn done() -> Outcome {
        let (id, state) = ("r-2".into(), "offered".into());
        Outcome::Answered(Answer::Done {
            id,
            state,
            repeated: true,
            left_out: Vec::new(),
            hints: Vec::new(),
            open: None,
        })
    }

    fn report(outcomes: &[Outcome]) -> (String, anyhow::Result<()>) {
        let printed = Arc::new(Mutex::new(Vec::new()));
        let mut report = Report::new(&Terminal::to(printed.clone()), None);
        (2..).zip(outcomes).for_each(|(number, outcome)| report.tell(number, "k", outcome).unwrap());
        let ended = report.finish(Duration::from_secs(1));
        (String::from_utf8(printed.lock().unwrap().clone()).unwrap(), ended)
    }

    #[test]
    fn a_key_that_came_to_nothing_is_not_ok_and_its_command_fails() {
        let (printed, result) = report(&[done(), ended()]);
        assert!(printed.contains("line 2 ok r-2 offered (done before)\n"), "{printed}");
        assert!(printed.contains("line 3 ended r-1 cancelled (CONSENT_WITHDRAWN): give it a key\n"), "{printed}");
        assert!(
            printed.contains("2 lines: 1 ok (1 of them done before), 1 ended before, 0 refused, 0 malformed"),
            "{printed}"
        );
        assert_eq!(result.unwrap_err().to_string(), "1 of 2 lines were not handed over: their keys were used before");
        let written = object(3, "k", &ended());
        assert_eq!(
            (&written["result"], &written["state"], &written["hint"]),
            (&"ended".into(), &"cancelled".into(), &"give it a key".into())
        );
        assert_eq!(written["reasons"][0]["reason"], "CONSENT_WITHDRAWN");
    }

    #[test]
    fn another_open_referral_is_named_and_only_what_was_open_before_is_replaced() {
        let done = |id: &str, open: &str| {
            let open = Some(OpenReferral { id: open.into(), hint: format!("{open} is open") });
            let (id, state) = (id.into(), "offered".into());
            Outcome::Answered(Answer::Done {
                id,
                state,
                repeated: false,
                left_out: Vec::new(),
                hints: Vec::new(),
                open,
            })
        };
        let (printed, _) = report(&[done("r-2", "r-1")]);
        assert!(printed.contains("line 2 ok r-2 offered; r-1 is open\n"), "{printed}");
        assert_eq!(object(2, "k", &done("r-2", "r-1"))["openReferral"], "r-1");
        let mut report = Report::new(&Terminal::to(Arc::new(Mutex::new(Vec::new()))), None).replacing();
        for outcome in [done("r-2", "r-1"), done("r-3", "r-2"), done("r-4", "r-1")] {
            report.tell(2, "k", &outcome).unwrap();
        }
        assert_eq!(report.take_replaced().ids().collect::<Vec<_>>(), ["r-1"], "r-2 is of the same file");
    }

    #[test]
    fn a_file_without_lines_is_an_error() {
        let (printed, result) = report(&[]);
        assert!(printed.starts_with("0 lines: 0 ok"), "{printed}");
        assert!(result.unwrap_err().to_string().contains("no line besides its headings"));
        assert!(report(&[done()]).1.is_ok());
    }
}
