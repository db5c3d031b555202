//! What lies where in an export. The names of tlog-tiles for the log itself; beside it the documents that its entries name.

use lotse_core::id::AgencyId;
use lotse_core::log::tile::{Bundle, TILE_WIDTH, Tile};

/// The signed head, a note (C2SP tlog-checkpoint).
pub(crate) const CHECKPOINT: &str = "checkpoint";
/// The key that signed it, as text (C2SP signed-note vkey).
pub(crate) const VERIFIER_KEY: &str = "log.vkey";
/// The card of the agency whose log it is (DSSE, JSON).
pub(crate) const OWN_CARD: &str = "agency.card";
/// Is there while an export is being written, and stays where one was interrupted.
pub(crate) const INCOMPLETE: &str = "INCOMPLETE";

/// Folder and end of the cards of other agencies (DSSE, JSON).
const CARDS: (&str, &str) = ("card/", ".card");
/// Folder of the documents that entries name.
const SEALS: &str = "seal/";
/// What the paths of entry bundles begin with.
const BUNDLES: &str = "tile/entries/";

/// A document that an entry names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Document {
    /// The sender's seal over a batch (DSSE, JSON).
    Batch,
    /// The recipient's receipt for it (DSSE, JSON).
    Receipt,
    /// The receipt's items, each after its length in 16 bits: the receipt signs the root over them.
    Items,
    /// An agreement with the seals of all who had to seal it (DSSE, JSON).
    Agreement,
}

impl Document {
    const ALL: [Document; 4] = [Document::Batch, Document::Receipt, Document::Items, Document::Agreement];

    const fn end(self) -> &'static str {
        match self {
            Document::Batch => ".batch.json",
            Document::Receipt => ".receipt.json",
            Document::Items => ".items",
            Document::Agreement => ".agreement.json",
        }
    }
}

/// Any file of an export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Checkpoint, verifier key or own card.
    Head,
    /// Hashes.
    Tile(Tile),
    /// Entries.
    Bundle(Bundle),
    /// A document of the entry with this index.
    Document(u64, Document),
    /// Another agency's card.
    Card(AgencyId),
}

/// Returns where a document of an entry lies, for instance `seal/x001/067/273299.receipt.json`: below the bundle of the entry.
pub(crate) fn of_document(index: u64, document: Document) -> String {
    let bundle = Tile::full(0, index / TILE_WIDTH as u64).to_string();
    format!("{SEALS}{}/{index}{}", bundle.trim_start_matches("tile/0/"), document.end())
}

/// Returns where another agency's card lies.
pub(crate) fn of_card(agency: &AgencyId) -> String {
    format!("{}{agency}{}", CARDS.0, CARDS.1)
}

impl Place {
    /// Reads the path of a file below the export's folder; nothing if an export has no such file.
    pub(crate) fn parse(path: &str) -> Option<Place> {
        if [CHECKPOINT, VERIFIER_KEY, OWN_CARD].contains(&path) {
            return Some(Place::Head);
        }
        if path.starts_with(BUNDLES) {
            return path.parse().ok().map(Place::Bundle);
        }
        if let Some(agency) = path.strip_prefix(CARDS.0).and_then(|name| name.strip_suffix(CARDS.1)) {
            return agency.parse().ok().map(Place::Card);
        }
        if path.starts_with(SEALS) {
            let name = path.rsplit('/').next()?;
            let of = |document: Document| Some((name.strip_suffix(document.end())?.parse().ok()?, document));
            let (index, document) = Document::ALL.into_iter().find_map(of)?;
            return (of_document(index, document) == path).then_some(Place::Document(index, document));
        }
        path.parse().ok().map(Place::Tile)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_has_one_place() {
        assert_eq!(of_document(273_299, Document::Receipt), "seal/x001/067/273299.receipt.json");
        let card = Place::Card("aa.example".parse().unwrap());
        assert_eq!(Place::parse("card/aa.example.card"), Some(card));
        assert_eq!(Place::parse("seal/000/17.items"), Some(Place::Document(17, Document::Items)));
        assert_eq!(Place::parse("tile/1/000.p/3"), Some(Place::Tile(Tile::of_tree(1, 0, 3 * 256).unwrap())));
        assert_eq!(Place::parse("tile/entries/000"), Some(Place::Bundle(Bundle::of_tree(0, 256).unwrap())));
        for other in [
            "",
            "readme",
            "seal/001/17.items",
            "seal/000/017.items",
            "seal/000/17.json",
            "card/AA.card",
            "tile/0/0",
            "checkpoint.new",
            "tile/entries/0",
        ] {
            assert_eq!(Place::parse(other), None, "{other}");
        }
    }
}
