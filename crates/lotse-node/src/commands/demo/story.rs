//! How the story is told: acts, sentences, lines; and what did not hold.

use std::fmt::Display;
use std::sync::{Mutex, PoisonError};

use lotse_core::category::Category;
use lotse_proto::agency::v1::ReasonDetail;
use lotse_proto::exchange::v1::Reason;

use crate::commands::terminal::Terminal;

/// Columns of a line.
const WIDTH: usize = 112;

/// Tells the story.
pub(super) struct Story {
    terminal: Terminal,
    told: Mutex<Told>,
}

#[derive(Default)]
struct Told {
    acts: usize,
    findings: Vec<String>,
    reasons: Vec<i32>,
}

impl Story {
    pub(super) fn new(terminal: Terminal) -> Story {
        Story { terminal, told: Mutex::default() }
    }

    /// Begins an act.
    pub(super) fn act(&self, title: &str) -> anyhow::Result<()> {
        let number = {
            let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            told.acts += 1;
            told.acts
        };
        self.terminal.line(format_args!("\n{number}. {title}\n"))
    }

    /// Says something in whole lines.
    pub(super) fn say(&self, text: impl Display) -> anyhow::Result<()> {
        self.terminal.line(wrapped(&text.to_string(), 3))
    }

    /// Adds a detail to what was said.
    pub(super) fn detail(&self, text: impl Display) -> anyhow::Result<()> {
        self.terminal.line(wrapped(&text.to_string(), 7))
    }

    /// Writes a line as it is.
    pub(super) fn line(&self, text: impl Display) -> anyhow::Result<()> {
        self.terminal.line(text)
    }

    /// Writes rows under headings.
    pub(super) fn table(&self, headings: &[&str], rows: &[Vec<String>]) -> anyhow::Result<()> {
        self.terminal.table(headings, rows)
    }

    /// Notes what did not hold, where it was told.
    pub(super) fn expect(&self, held: bool, what: impl Display) -> anyhow::Result<()> {
        if held {
            return Ok(());
        }
        self.told.lock().unwrap_or_else(PoisonError::into_inner).findings.push(what.to_string());
        self.say(format_args!("THIS DID NOT HOLD: {what}"))
    }

    /// Returns what did not hold.
    pub(super) fn findings(&self) -> Vec<String> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).findings.clone()
    }

    /// Says why something was refused: each reason with its sentence when it comes up for the first time.
    pub(super) fn reasons(&self, reasons: &[ReasonDetail]) -> anyhow::Result<()> {
        for reason in reasons {
            let is_new = {
                let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
                let is_new = !told.reasons.contains(&reason.reason);
                told.reasons.push(reason.reason);
                is_new
            };
            if is_new {
                self.detail(format_args!("{}: {}", code(reason.reason), reason.message))?;
            }
        }
        Ok(())
    }
}

/// Breaks a text into lines with an indent; the following lines are indented a little more.
fn wrapped(text: &str, indent: usize) -> String {
    let mut lines = Vec::new();
    let mut line = " ".repeat(indent);
    let mut is_empty = true;
    for word in text.split_whitespace() {
        if !is_empty && line.chars().count() + 1 + word.chars().count() > WIDTH {
            lines.push(std::mem::replace(&mut line, " ".repeat(indent + 2)));
            is_empty = true;
        }
        if !is_empty {
            line.push(' ');
        }
        line.push_str(word);
        is_empty = false;
    }
    lines.push(line);
    lines.join("\n")
}

/// Writes a reason's stable code.
pub(super) fn code(reason: i32) -> String {
    let known = Reason::try_from(reason).map_or("UNKNOWN", |reason| reason.as_str_name());
    known.trim_start_matches("REASON_").to_string()
}

/// Writes the codes of reasons, each once.
pub(super) fn codes(reasons: &[ReasonDetail]) -> String {
    let mut codes: Vec<String> = Vec::new();
    for reason in reasons {
        let code = code(reason.reason);
        if !codes.contains(&code) {
            codes.push(code);
        }
    }
    codes.join(", ")
}

/// Writes categories.
pub(super) fn categories(numbers: &[i32]) -> String {
    let name = |&number: &i32| Category::from_number(number).map_or("unknown", Category::name);
    numbers.iter().map(name).collect::<Vec<_>>().join(", ")
}

/// Writes a number with what is counted.
pub(super) fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

/// Writes a code of a list as words: `OUTCOME_APPRENTICESHIP` without `OUTCOME_` is "apprenticeship".
pub(super) fn words(name: &str, prefix: &str) -> String {
    name.trim_start_matches(prefix).to_lowercase().replace('_', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_sentences_are_broken_between_words() {
        let text = wrapped(&"Straße ".repeat(40), 3);
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        assert_eq!(text.split_whitespace().count(), 40);
    }

    #[test]
    fn codes_are_written_as_words() {
        assert_eq!(words("OUTCOME_MEASURE_STARTED", "OUTCOME_"), "measure started");
        assert_eq!((count(1, "item"), count(2, "item")), ("1 item".into(), "2 items".into()));
        assert_eq!(code(23), "CONSENT_WITHDRAWN");
        assert_eq!(categories(&[1, 14]), "identity, health");
    }
}
