//! The files of which the demonstration tells: our own, or a stranger's. `demo/README.md` says what each is.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context as _, anyhow, bail};
use lotse_core::agreement::{Agreement, Party, text};
use lotse_core::id::{AgencyId, Digest};
use lotse_core::time::Timestamp;
use lotse_proto::agency::v1::{ReferralHandover, WithdrawConsentRequest};
use lotse_proto::record::v1::{Consent, ReferralAnswer};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use toml::Spanned;

use super::embedded::FILES;
use crate::plain_file;

/// The agreement, whose parties are the agencies.
const AGREEMENT: &str = "agreement.toml";

/// What becomes of our own referrals.
const EXPECTED: &str = "expected.txt";

/// What is read of a stranger's folder beside the agreement.
const FOLDERS: [&str; 4] = ["consents", "referrals", "answers", "outages"];

/// How deep files lie: `outages/ID/referrals/SENDER.ndjson`.
const DEPTH: usize = 3;

/// Largest file, bytes.
const FILE_BYTES: u64 = 16 * 1024 * 1024;

/// Most agencies: each is a process.
const AGENCIES: usize = 12;

/// The files.
pub(super) struct Files {
    texts: BTreeMap<String, String>,
}

/// What an agency answers to a referral.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct AnswerLine {
    /// Agency that sent the referral.
    pub owner: String,
    /// The referral's `senderReference`.
    pub sender_reference: String,
    /// The answer; without a day it speaks of today.
    pub answer: ReferralAnswer,
}

/// What the fingerprints' places in an agreement are found by.
#[derive(Deserialize)]
struct Places {
    #[serde(default)]
    parties: Vec<PartyPlace>,
}

#[derive(Deserialize)]
struct PartyPlace {
    agency: String,
    root_fingerprint: Spanned<String>,
}

impl Files {
    /// Returns our own files.
    pub(super) fn own() -> Files {
        Files { texts: FILES.iter().map(|(path, text)| (path.to_string(), text.to_string())).collect() }
    }

    /// Reads a stranger's folder. Nothing is expected of what becomes of its referrals.
    pub(super) fn read(folder: &Path) -> anyhow::Result<Files> {
        let mut texts = BTreeMap::from([(AGREEMENT.to_string(), read_text(&folder.join(AGREEMENT))?)]);
        for name in FOLDERS.into_iter().filter(|name| folder.join(name).exists()) {
            read_folder(folder, name, DEPTH, &mut texts)?;
        }
        let files = Files { texts };
        files.check_names(folder)?;
        Ok(files)
    }

    /// Writes our own files into a folder that is empty or not there yet.
    pub(super) fn write_own(folder: &Path) -> anyhow::Result<()> {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        if fs::read_dir(folder)?.next().is_some() {
            bail!("{} is not empty: name a folder that does not exist yet or is empty", folder.display());
        }
        for (path, text) in FILES.iter().filter(|(path, _)| *path != EXPECTED) {
            let path = folder.join(path);
            path.parent().map(fs::create_dir_all).transpose()?;
            fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(())
    }

    /// A file of an agency that is no party would be left unread, and its owner would wonder why.
    fn check_names(&self, folder: &Path) -> anyhow::Result<()> {
        let agencies: BTreeSet<String> = self.parties()?.iter().map(|party| party.agency.to_string()).collect();
        for path in self.texts.keys().filter(|path| *path != AGREEMENT) {
            let named = path.split('/').filter(|part| !FOLDERS.contains(part) && *part != "withdrawals");
            for name in named.map(|part| part.trim_end_matches(".ndjson")) {
                if !agencies.contains(name) {
                    bail!("{}: {name} is no party of {AGREEMENT}", folder.join(path).display());
                }
            }
        }
        Ok(())
    }

    /// Returns the parties of the agreement: the agencies. Their fingerprints say nothing yet.
    pub(super) fn parties(&self) -> anyhow::Result<Vec<Party>> {
        let parties = self.terms()?.parties;
        if parties.len() > AGENCIES {
            bail!("{AGREEMENT} has {} parties; the demonstration runs {AGENCIES} at most", parties.len());
        }
        Ok(parties)
    }

    fn terms(&self) -> anyhow::Result<Agreement> {
        let source = self.filled(|_| Some(Digest::from_bytes([0; 32])))?;
        let draft = text::parse(&source).map_err(|findings| {
            let line = |finding: &text::TextError| format!("\n{AGREEMENT}:{}: {}", finding.line, finding.message);
            anyhow!("this is no agreement yet:{}", findings.iter().map(line).collect::<String>())
        })?;
        Ok(draft.terms().clone())
    }

    /// Returns the agreement's text with the fingerprints of the parties' root keys, whatever stands in their places.
    pub(super) fn agreement(&self, fingerprints: &BTreeMap<AgencyId, Digest>) -> anyhow::Result<String> {
        self.filled(|agency| fingerprints.get(&agency.parse::<AgencyId>().ok()?).copied())
    }

    fn filled(&self, fingerprint: impl Fn(&str) -> Option<Digest>) -> anyhow::Result<String> {
        let mut source = self.texts.get(AGREEMENT).cloned().unwrap_or_default();
        let places: Places = toml::from_str(&source).with_context(|| format!("{AGREEMENT} is not understood"))?;
        let mut places: Vec<_> = places.parties.iter().map(|p| (p.root_fingerprint.span(), &p.agency)).collect();
        places.sort_by_key(|(span, _)| std::cmp::Reverse(span.start));
        for (span, agency) in places {
            let digest = fingerprint(agency).with_context(|| format!("{AGREEMENT}: {agency} has no node here"))?;
            source.replace_range(span, &format!("\"{digest}\""));
        }
        Ok(source)
    }

    /// Returns the consents that an agency records.
    pub(super) fn consents(&self, agency: &AgencyId) -> anyhow::Result<Vec<Consent>> {
        self.lines(&format!("consents/{agency}.ndjson"))
    }

    /// Returns the referrals that an agency hands over while all nodes run.
    pub(super) fn referrals(&self, agency: &AgencyId) -> anyhow::Result<Vec<ReferralHandover>> {
        self.lines(&format!("referrals/{agency}.ndjson"))
    }

    /// Returns what an agency answers.
    pub(super) fn answers(&self, agency: &AgencyId) -> anyhow::Result<Vec<AnswerLine>> {
        self.lines(&format!("answers/{agency}.ndjson"))
    }

    /// Tells whether anything happens while an agency's node is stopped.
    pub(super) fn has_outage(&self, stopped: &AgencyId) -> bool {
        let folder = format!("outages/{stopped}/");
        self.texts.keys().any(|path| path.starts_with(&folder))
    }

    /// Returns the referrals that an agency hands over while another's node is stopped.
    pub(super) fn outage_referrals(
        &self,
        stopped: &AgencyId,
        agency: &AgencyId,
    ) -> anyhow::Result<Vec<ReferralHandover>> {
        self.lines(&format!("outages/{stopped}/referrals/{agency}.ndjson"))
    }

    /// Returns what is withdrawn at an agency while another's node is stopped.
    pub(super) fn withdrawals(
        &self,
        stopped: &AgencyId,
        agency: &AgencyId,
    ) -> anyhow::Result<Vec<WithdrawConsentRequest>> {
        self.lines(&format!("outages/{stopped}/withdrawals/{agency}.ndjson"))
    }

    /// Returns what must become of referrals, by key; none if nothing is expected.
    pub(super) fn expected(&self) -> Option<BTreeMap<&str, &str>> {
        let lines = self.texts.get(EXPECTED)?.lines().filter(|line| !line.starts_with('#'));
        Some(lines.filter_map(|line| line.split_once(' ')).collect())
    }

    /// Reads every file, so that a mistake shows before anything is set up.
    pub(super) fn check(&self, now: Timestamp) -> anyhow::Result<()> {
        let terms = self.terms()?;
        if !terms.covers(now) {
            bail!(
                "{AGREEMENT} is in force from {} until the end of {}, and now is {now}: set valid_from and valid_until",
                terms.first_day(),
                terms.last_day()
            );
        }
        let parties = self.parties()?;
        for Party { agency, .. } in &parties {
            self.consents(agency)?;
            self.referrals(agency)?;
            self.answers(agency)?;
            for Party { agency: stopped, .. } in &parties {
                self.outage_referrals(stopped, agency)?;
                self.withdrawals(stopped, agency)?;
            }
        }
        Ok(())
    }

    /// Reads NDJSON; a file that is not there has no lines. The parser's error does not quote what stands there.
    fn lines<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<Vec<T>> {
        let text = self.texts.get(path).map(String::as_str).unwrap_or_default();
        let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        lines
            .map(|(number, line)| serde_json::from_str(line).with_context(|| format!("{path}:{}", number + 1)))
            .collect()
    }
}

fn read_folder(root: &Path, path: &str, depth: usize, texts: &mut BTreeMap<String, String>) -> anyhow::Result<()> {
    let folder = root.join(path);
    let entries = fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().into_string().map_err(|_| anyhow!("a file name in {path} is no UTF-8"))?;
        let inside = format!("{path}/{name}");
        if entry.path().is_dir() && depth > 0 {
            read_folder(root, &inside, depth - 1, texts)?;
        } else if name.ends_with(".ndjson") {
            texts.insert(inside, read_text(&entry.path())?);
        }
    }
    Ok(())
}

fn read_text(path: &Path) -> anyhow::Result<String> {
    let name = || format!("cannot read {}", path.display());
    plain_file::read_text(path, FILE_BYTES).with_context(name)
}

#[cfg(test)]
mod tests {
    use lotse_core::time::DAY;

    use super::*;

    /// The day on which the files were written.
    fn now() -> Timestamp {
        Timestamp::from_date("2026-11-22".parse().unwrap())
    }

    #[test]
    fn our_files_last_until_2030_and_say_then_what_to_change() {
        let last = Timestamp::from_date("2030-12-31".parse().unwrap());
        Files::own().check(last).unwrap();
        let refused = Files::own().check(last.plus(DAY)).unwrap_err().to_string();
        assert!(refused.contains("valid_until"), "{refused}");
    }

    #[test]
    fn our_own_files_are_well_formed_and_all_inside_the_program() {
        Files::own().check(now()).unwrap();
        let place = tempfile::tempdir().unwrap();
        Files::write_own(place.path()).unwrap();
        let read = Files::read(place.path()).unwrap();
        read.check(now()).unwrap();
        let mut outside = BTreeMap::new();
        let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("demo");
        FOLDERS.iter().for_each(|name| read_folder(&demo, name, DEPTH, &mut outside).unwrap());
        outside.insert(AGREEMENT.into(), read_text(&demo.join(AGREEMENT)).unwrap());
        assert_eq!(read.texts, outside);
    }

    #[test]
    fn every_referral_of_ours_is_expected_to_become_something() {
        let files = Files::own();
        let expected = files.expected().unwrap();
        let mut keys = BTreeSet::new();
        let parties = files.parties().unwrap();
        for Party { agency, .. } in &parties {
            let outages = parties.iter().map(|stopped| files.outage_referrals(&stopped.agency, agency).unwrap());
            let all = outages.flatten().chain(files.referrals(agency).unwrap());
            keys.extend(all.map(|handover| handover.idempotency_key));
        }
        assert!(keys.len() >= 50);
        assert_eq!(keys.iter().map(String::as_str).collect::<Vec<_>>(), expected.keys().copied().collect::<Vec<_>>());
    }

    #[test]
    fn a_file_of_an_agency_that_is_no_party_is_told() {
        let place = tempfile::tempdir().unwrap();
        Files::write_own(place.path()).unwrap();
        fs::write(place.path().join("consents/jc-hanau.example.ndjson"), "").unwrap();
        let refused = Files::read(place.path()).err().unwrap().to_string();
        assert!(refused.contains("jc-hanau.example is no party"), "{refused}");
    }

    #[test]
    fn a_mistake_is_told_with_file_and_line() {
        let place = tempfile::tempdir().unwrap();
        Files::write_own(place.path()).unwrap();
        let path = place.path().join("answers/jc-hanau.hessen.example.ndjson");
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replacen("\"answer\"", "\"anwser\"", 1)).unwrap();
        let refused = format!("{:#}", Files::read(place.path()).unwrap().check(now()).unwrap_err());
        assert!(refused.starts_with("answers/jc-hanau.hessen.example.ndjson:1: "), "{refused}");
        assert!(refused.contains("anwser"), "{refused}");
    }
}
