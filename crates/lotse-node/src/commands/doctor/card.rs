//! The own card: installed, valid, and saying what configuration, keys and certificates say now.

use lotse_core::card::Card;

use super::finding::{Area, Finding};
use super::place::Place;
use super::stored::Stored;
use crate::card_file;
use crate::ending::NearEnd;
use crate::head_store::Head;
use crate::key_file::NodeKeyFile;
use crate::node::NodeKeys;
use crate::pem_file::{self, PEM_BYTES};
use crate::plain_file;

/// Looks at the own card.
pub(super) fn examine(place: &Place, stored: &Stored, head: Option<&Head>) -> Vec<Finding> {
    let own = stored.federation.own.as_ref().map(|known| &known.card);
    let mut findings = Vec::new();
    findings.extend(folder(place, own));
    let Some(card) = own else { return findings };
    findings.push(validity(place, card));
    let deviations = deviations(place, card, stored);
    findings.extend(deviations.into_iter().map(|(seen, todo)| Finding::problem(Area::Card, "own", seen, todo)));
    if card.endpoints != place.config.peer.addresses {
        let seen = format!(
            "it says {}, lotse.toml says {}",
            card.endpoints.join(", "),
            place.config.peer.addresses.join(", ")
        );
        findings.push(Finding::warning(Area::Card, "addresses", seen, place.new_card()));
    }
    // Where the newer one lies in the folder, the next start installs it.
    let in_folder = card_file::read(&place.folder.own_card()).map_or(0, |found| found.card.version);
    if let Some(head) = head.filter(|head| head.card_version > card.version.max(in_folder)) {
        let seen = format!(
            "version {} was installed once, the database has {}: it is an old one",
            head.card_version, card.version
        );
        findings.push(Finding::problem(Area::Card, "own", seen, place.new_card()));
    }
    findings
}

/// Looks at the card in the folder, which a starting node installs.
fn folder(place: &Place, installed: Option<&Card>) -> Option<Finding> {
    let path = place.folder.own_card();
    let about = place.short(&path);
    if !path.exists() {
        let seen = "the card is not there";
        return Some(match installed {
            Some(_) => {
                Finding::warning(Area::Card, about, format!("{seen}; the node has it"), place.command("peer card"))
            }
            None => Finding::problem(
                Area::Card,
                about,
                seen,
                format!("put it back from the backup, or {}", place.new_card()),
            ),
        });
    }
    let found = match card_file::read(&path) {
        Ok(found) => found,
        Err(error) => return Some(Finding::broken(Area::Card, about, &error)),
    };
    if !found.card.is_signed(&found.seal) {
        return Some(Finding::problem(Area::Card, about, "its root key has not signed it", place.new_card()));
    }
    let newer = installed.is_none_or(|installed| found.card.version > installed.version);
    newer.then(|| {
        let seen = format!("version {} is not installed yet", found.card.version);
        Finding::warning(Area::Card, about, seen, format!("the next start installs it, {}", place.command("run")))
    })
}

fn validity(place: &Place, card: &Card) -> Finding {
    let (version, until) = (card.version, card.valid_until);
    match NearEnd::of_own_card(card, place.now) {
        Some(end) => Finding::of_end(Area::Card, "own", end, place.new_card()),
        None => Finding::ok(Area::Card, "own", format!("version {version}, until {}", until.date())),
    }
}

/// Compares the card with what this node signs and presents: peers believe the card.
fn deviations(place: &Place, card: &Card, stored: &Stored) -> Vec<(String, String)> {
    let mut found = Vec::new();
    if let Ok(keys) = NodeKeyFile::read(&place.config.files.node_keys(&place.folder)) {
        for end in NearEnd::of_own_keys(card, &NodeKeys::from(keys), place.now) {
            found.push((end.seen, format!("put the right key file back, or {}", place.new_card())));
        }
    }
    // A bundle that cannot be read is a finding of the certificates.
    let bundle = plain_file::read(&place.config.files.tls(&place.folder).bundle, PEM_BYTES).unwrap_or_default();
    let roots = pem_file::certificates(&bundle).unwrap_or_default();
    if roots.into_iter().any(|root| !card.trust_bundle.iter().any(|named| named.as_slice() == root.as_ref())) {
        let seen =
            "it does not name each authority of the bundle: peers refuse the certificates that one issues".to_string();
        found.push((seen, place.new_card()));
    }
    if stored.generation.is_some_and(|generation| generation != card.generation) {
        let seen =
            format!("it is of generation {}, the node of {}", card.generation, stored.generation.unwrap_or_default());
        found.push((seen, place.new_card()));
    }
    found
}
