//! The demonstration's files with canaries in every personal field, and who may hear which of them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::canary::{self, Needles, files_below, text};

/// Personal values of files that stay as they are; shorter ones stand in other words too.
const SHORTEST: usize = 6;

/// Fields whose values are searched for where files stay as they are.
const TELLING: [&str; 6] = ["familyName", "street", "phone", "email", "birthDate", "subjectReference"];

/// What was planted.
#[derive(Default)]
pub struct Planted {
    /// Recipient of each referral, by key.
    recipients: BTreeMap<String, String>,
    /// Personal values of the agency whose files stay as they are.
    others: Vec<String>,
}

/// Puts canaries into every personal field of files that `lotse demo --write-input` wrote. The files of one agency stay as they
/// are: their values must be found nowhere either.
pub fn plant(folder: &Path, unchanged: &str) -> Result<Planted> {
    let mut planted = Planted::default();
    for path in files_below(folder)? {
        if path.extension().is_none_or(|extension| extension != "ndjson") {
            continue;
        }
        let is_unchanged = path.file_stem().is_some_and(|stem| stem == unchanged);
        let mut lines = String::new();
        for line in fs::read_to_string(&path)?.lines() {
            let mut line: Value = serde_json::from_str(line)?;
            planted.note_recipient(&line);
            if is_unchanged {
                planted.remember(&line);
            } else {
                let key = line["idempotencyKey"].as_str().unwrap_or("consent").to_string();
                replace(&mut line, "", &key);
            }
            lines += &format!("{line}\n");
        }
        fs::write(&path, lines)?;
    }
    ensure!(!planted.recipients.is_empty() && !planted.others.is_empty(), "nothing was planted");
    Ok(planted)
}

impl Planted {
    fn note_recipient(&mut self, line: &Value) {
        if let (Some(key), Some(recipient)) = (line["idempotencyKey"].as_str(), line["recipient"].as_str()) {
            self.recipients.insert(key.into(), recipient.into());
        }
    }

    fn remember(&mut self, value: &Value) {
        match value {
            Value::Object(fields) => {
                let told = fields.iter().filter(|(field, _)| TELLING.contains(&field.as_str()));
                let texts = told.filter_map(|(_, value)| value.as_str()).filter(|text| text.len() >= SHORTEST);
                self.others.extend(texts.map(String::from));
                fields.values().for_each(|value| self.remember(value));
            }
            Value::Array(items) => items.iter().for_each(|value| self.remember(value)),
            _ => {}
        }
    }

    /// Returns all that must not be found in files and messages.
    pub fn needles(&self) -> Needles {
        Needles::canaries().and(self.others.clone())
    }

    /// Checks what the demonstration tells: people are named only where an agency's own system reads what it has received, and
    /// only those handed over to it. Returns how often a canary was named there.
    pub fn check_story(&self, story: &str, agencies: &BTreeMap<String, String>) -> Result<usize> {
        let needles = self.needles();
        let mut reader = None;
        let mut named = 0;
        for line in story.lines() {
            reader = match line.strip_prefix("       ") {
                Some(_) => reader,
                None => line.trim_start().split_once(" has received ").map(|(name, _)| name),
            };
            match reader.filter(|_| line.starts_with("       ")) {
                Some(reader) => named += self.check_names(line, agencies.get(reader).context("an unknown reader")?)?,
                None => ensure!(needles.find(line.as_bytes()).is_empty(), "the story tells: {line}"),
            }
        }
        Ok(named)
    }

    fn check_names(&self, line: &str, reader: &str) -> Result<usize> {
        let mut named = 0;
        for canary in line.split([' ', ',']).filter_map(|word| word.strip_prefix(&text(""))) {
            let key = canary.rsplit_once('-').map_or(canary, |(key, _)| key);
            let recipient = self.recipients.get(key).with_context(|| format!("no referral {key}"))?;
            ensure!(recipient == reader, "{reader} was told of {key}, which is for {recipient}");
            named += 1;
        }
        Ok(named)
    }
}

/// Replaces every personal value.
fn replace(value: &mut Value, field: &str, key: &str) {
    match value {
        Value::Object(fields) => fields.iter_mut().for_each(|(field, value)| replace(value, field, key)),
        Value::Array(items) => items.iter_mut().for_each(|value| replace(value, field, key)),
        Value::String(old) => {
            if let Some(new) = canary_of(field, old, key) {
                *old = new;
            }
        }
        _ => {}
    }
}

/// The canary of a field; none where nothing personal stands, or something whose very form is the point.
fn canary_of(field: &str, old: &str, key: &str) -> Option<String> {
    // One person is refused for a day that there is not.
    let is_day = !old.ends_with("-02-31");
    Some(match field {
        "familyName" | "givenNames" | "birthName" | "street" | "city" | "boundEmployer" | "legalParagraph"
        | "title" | "institution" | "occupation" | "labels" | "text" => text(&format!("{key}-{field}")),
        "assessedByRole" | "releasedFromSecrecy" => text(field),
        "subjectReference" => text(old),
        "phone" => format!("{}-06181", text(&format!("{key}-{field}"))),
        "email" => format!("{}@muster.example", text(&format!("{key}-{field}"))),
        "postalCode" => text("P"),
        "birthDate" if is_day => canary::BIRTH_DATE.into(),
        "ags" => canary::RESIDENCE.into(),
        "obligationAgs" => canary::OBLIGATION.into(),
        "obligationUntil" => canary::OBLIGATION_UNTIL.into(),
        "since" => canary::BENEFITS_SINCE.into(),
        "drivingLicences" => canary::LICENCE.into(),
        "preferredLanguage" | "tag" if old != "de" => canary::LANGUAGE.into(),
        "formSha256" => canary::sha256(),
        _ => return None,
    })
}
