//! The `[[parties]]` of an agreement's text.

use std::collections::HashSet;

use super::reader::Section;
use super::{NAME_CHARACTERS, PARTIES};
use crate::agency::AgencyKind;
use crate::agreement::Party;
use crate::id::{AgencyId, Digest};

/// How many regions a party names at most.
const REGIONS: usize = 500;

const KEYS: &[&str] =
    &["agency", "root_fingerprint", "name", "kind", "regions", "supervisory_authority", "ended_on", "succeeded_by"];

/// Reads all parties; an agency is a party once.
pub(super) fn parties(top: &Section<'_>) -> Option<Vec<Party>> {
    let items = top.need("parties")?.items(PARTIES)?;
    let mut seen = HashSet::new();
    let read: Vec<Option<Party>> = items
        .iter()
        .map(|item| {
            let section = item.section(KEYS)?;
            let party = party(&section)?;
            if !seen.insert(party.agency.clone()) {
                section.refuse(format!("{} is a party already: remove one of the two", party.agency));
            }
            Some(party)
        })
        .collect();
    read.into_iter().collect()
}

fn party(section: &Section<'_>) -> Option<Party> {
    let agency = section.need("agency").and_then(|field| field.parsed::<AgencyId>());
    let root_fingerprint = section.need("root_fingerprint").and_then(|field| field.read(fingerprint));
    let name = section.need("name").and_then(|field| field.text(NAME_CHARACTERS));
    let kind = section.need("kind").and_then(|field| field.word::<AgencyKind>());
    let regions = regions(section);
    let supervisory_authority = match section.find("supervisory_authority") {
        Some(field) => field.text(NAME_CHARACTERS),
        None => Some(String::new()),
    };
    let ended_on = match section.find("ended_on") {
        Some(field) => field.day().map(Some),
        None => Some(None),
    };
    let succeeded_by = match section.find("succeeded_by") {
        Some(field) => field.parsed::<AgencyId>().map(Some),
        None => Some(None),
    };
    if ended_on == Some(None) && matches!(succeeded_by, Some(Some(_))) {
        section.refuse("succeeded_by without ended_on: add the day on which the agency ended".to_string());
    }
    if agency.is_some() && succeeded_by.as_ref().and_then(Option::as_ref) == agency.as_ref() {
        section.refuse("an agency does not succeed itself: name another agency in succeeded_by".to_string());
    }
    Some(Party {
        agency: agency?,
        root_fingerprint: root_fingerprint?,
        name: name?,
        kind: kind?,
        regions: regions?,
        supervisory_authority: supervisory_authority?,
        ended_on: ended_on?,
        succeeded_by: succeeded_by?,
    })
}

/// Reads municipality keys (AGS): a prefix of two to eight digits, a text because of its leading zero.
fn regions(section: &Section<'_>) -> Option<Vec<String>> {
    let Some(field) = section.find("regions") else {
        return Some(Vec::new());
    };
    let read: Vec<Option<String>> = field.items(0..=REGIONS)?.iter().map(|item| item.read(region)).collect();
    read.into_iter().collect()
}

fn region(text: &str) -> Result<String, &'static str> {
    let well_formed = (2..=8).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if well_formed { Ok(text.to_string()) } else { Err("give a municipality key of 2 to 8 digits, such as \"06415\"") }
}

fn fingerprint(text: &str) -> Result<Digest, &'static str> {
    text.parse().map_err(|_| "give the SHA-256 of the agency's root key: 64 hexadecimal digits, as its card shows them")
}
