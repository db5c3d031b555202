//! What was found, and what to do about it.

use std::fmt;

use serde::Serialize;

use crate::ending::NearEnd;

/// What a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Area {
    Configuration,
    Node,
    Certificate,
    Key,
    Card,
    Clock,
    Database,
    Disk,
    HeadStore,
    Log,
    Peer,
    Agreement,
    Outbox,
    Alarm,
}

/// How it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Health {
    /// In order.
    Ok,
    /// It works, and somebody should look at it.
    Warning,
    /// Something does not work.
    Problem,
}

/// What was found.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Finding {
    pub(super) area: Area,
    /// Which one: a file, a peer, an agreement.
    pub(super) about: String,
    pub(super) health: Health,
    pub(super) seen: String,
    /// What to do; commands stand between backquotes. Empty where nothing is to be done.
    pub(super) todo: String,
}

impl Finding {
    pub(super) fn ok(area: Area, about: impl Into<String>, seen: impl Into<String>) -> Finding {
        Finding { area, about: about.into(), health: Health::Ok, seen: seen.into(), todo: String::new() }
    }

    pub(super) fn warning(area: Area, about: impl Into<String>, seen: impl Into<String>, todo: String) -> Finding {
        Finding { area, about: about.into(), health: Health::Warning, seen: seen.into(), todo }
    }

    pub(super) fn problem(area: Area, about: impl Into<String>, seen: impl Into<String>, todo: String) -> Finding {
        Finding { area, about: about.into(), health: Health::Problem, seen: seen.into(), todo }
    }

    /// Takes what ends soon, a warning, or has ended, a problem.
    pub(super) fn of_end(area: Area, about: impl Into<String>, end: NearEnd, todo: String) -> Finding {
        if end.has_ended {
            Finding::problem(area, about, end.seen, todo)
        } else {
            Finding::warning(area, about, end.seen, todo)
        }
    }

    /// Takes an error, whose text says what was tried and what to do.
    pub(super) fn broken(area: Area, about: impl Into<String>, error: &anyhow::Error) -> Finding {
        let todo = "put right what the message names, then look again".to_string();
        Finding::problem(area, about, format!("{error:#}"), todo)
    }
}

impl fmt::Display for Area {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Area::Configuration => "configuration",
            Area::Node => "node",
            Area::Certificate => "certificate",
            Area::Key => "key",
            Area::Card => "card",
            Area::Clock => "clock",
            Area::Database => "database",
            Area::Disk => "disk",
            Area::HeadStore => "head store",
            Area::Log => "log",
            Area::Peer => "peer",
            Area::Agreement => "agreement",
            Area::Outbox => "outbox",
            Area::Alarm => "alarm",
        })
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let health = match self.health {
            Health::Ok => "ok",
            Health::Warning => "warning",
            Health::Problem => "PROBLEM",
        };
        write!(f, "{health:8} {area:13} {about}: {seen}", area = self.area, about = self.about, seen = self.seen)?;
        if self.todo.is_empty() { Ok(()) } else { write!(f, "\n         to do: {}", self.todo) }
    }
}
