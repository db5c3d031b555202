//! The proof that an entry is in the log: verified here as anybody else would, and given away as a file.

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use lotse_core::id::Digest;
use lotse_core::log::checkpoint::{Checkpoint, Origin};
use lotse_core::log::note::VerifierKey;
use lotse_core::reason::Reason;
use maud::{Markup, html};

use super::entry::{Of, place};
use super::frame::{Mood, badge};
use super::visit::Visit;
use crate::action::get_entry::{ProvenEntry, get_entry};
use crate::failure::{ErrorKind, Failure};
use crate::proof_file::ProofFile;

/// Gives the proof as a file, as `lotse log prove` writes it.
pub(super) async fn download(
    visit: Visit,
    index: Result<Path<u64>, PathRejection>,
    of: Result<Query<Of>, QueryRejection>,
) -> Response {
    match file(&visit, index, of).await {
        Ok((index, text)) => {
            let name = format!("attachment; filename=\"entry-{index}.proof\"");
            let headers = [(CONTENT_TYPE, "text/plain; charset=utf-8".to_string()), (CONTENT_DISPOSITION, name)];
            (headers, text).into_response()
        }
        Err(failure) => visit.answer(Err(failure)),
    }
}

async fn file(
    visit: &Visit,
    index: Result<Path<u64>, PathRejection>,
    of: Result<Query<Of>, QueryRejection>,
) -> Result<(u64, String), Failure> {
    let (generation, index) = place(visit, index, of)?;
    let proven = get_entry(&visit.node.store, generation, index).await?;
    let not_yet =
        || Failure::new(ErrorKind::Unavailable, Reason::Unavailable, "the entry is not signed yet; try again");
    Ok((index, proof_of(proven).ok_or_else(not_yet)?.to_text()))
}

fn proof_of(proven: ProvenEntry) -> Option<ProofFile> {
    let (leaf, proof) = (proven.leaf, proven.proof?);
    Some(ProofFile { entry: leaf.entry.bytes, index: leaf.index, path: proof.path, checkpoint: proof.checkpoint })
}

/// Shows the proof, what was checked, and how to check it elsewhere.
pub(super) fn section(visit: &Visit, generation: u32, proven: &ProvenEntry) -> Markup {
    let key = Origin { agency: visit.node.agency.clone(), generation }.verifier_key(visit.node.keys.log.public());
    html! {
        section aria-labelledby="proof" {
            h2 #proof { (visit.say("Beweis", "Proof")) }
            @match proof_of(proven.clone()) {
                None => p {
                    (badge(Mood::Waiting, visit.say("noch nicht signiert", "not signed yet"))) " "
                    (visit.say(
                        "Der nächste Kontrollpunkt umfasst diesen Eintrag. Das dauert höchstens einige Sekunden.",
                        "The next checkpoint covers this entry. That takes a few seconds at most.",
                    ))
                },
                Some(proof) => (verified(visit, generation, &proof, &key)),
            }
        }
    }
}

fn verified(visit: &Visit, generation: u32, proof: &ProofFile, key: &VerifierKey) -> Markup {
    match proof.verify(std::slice::from_ref(key)) {
        Ok(checkpoint) => holds(visit, generation, proof, key, &checkpoint),
        Err(_) => html! {
            p {
                (badge(Mood::Bad, visit.say("lässt sich nicht bestätigen", "does not verify"))) " "
                (visit.say(
                    "Der Kontrollpunkt trägt keine Signatur des heutigen Protokollschlüssels. Ein Eintrag einer früheren \
                     Generation kann mit einem früheren Schlüssel signiert sein; sonst ist das ein Fall für die Administration: \
                     lotse log verify.",
                    "The checkpoint has no signature of the present log key. An entry of an earlier generation may be signed with \
                     an earlier key; otherwise this is a matter for the administrators: lotse log verify.",
                ))
            }
        },
    }
}

fn holds(visit: &Visit, generation: u32, proof: &ProofFile, key: &VerifierKey, checkpoint: &Checkpoint) -> Markup {
    let (index, size) = (proof.index, checkpoint.head.size);
    let suffix = if generation == visit.node.generation { String::new() } else { format!("?generation={generation}") };
    html! {
        p {
            (badge(Mood::Good, visit.say("geprüft", "verified"))) " "
            (visit.say(
                "Dieser Knoten hat eben nachgerechnet: Der Hash des Eintrags führt über die Hashes unten zu genau der Wurzel, die \
                 im Kontrollpunkt steht, und der Kontrollpunkt ist mit dem Protokollschlüssel dieser Stelle signiert.",
                "This node has just computed it: the entry's hash leads by the hashes below to exactly the root that stands in \
                 the checkpoint, and the checkpoint is signed with the log key of this agency.",
            ))
        }
        dl .facts {
            dt { (visit.say("Protokoll", "Log")) } dd { (checkpoint.origin) }
            dt { (visit.say("Stelle im Baum", "Place in the tree")) } dd { (index) (visit.say(" von ", " of ")) (size) }
            dt { (visit.say("Hash des Eintrags", "Hash of the entry")) } dd { code { (Digest::of_leaf(&proof.entry)) } }
            dt { (visit.say("Wurzel", "Root")) }
            dd {
                code { (checkpoint.head.root) } br;
                (visit.say("in base64, wie im Kontrollpunkt: ", "in base64, as in the checkpoint: "))
                code { (STANDARD.encode(checkpoint.head.root.as_bytes())) }
            }
            dt { (visit.say("Prüfschlüssel des Protokolls", "Verifier key of the log")) } dd { code { (key) } }
        }
        details {
            summary { (proof.path.len()) (visit.say(" Hashes vom Eintrag zur Wurzel", " hashes from the entry to the root")) }
            ol { @for hash in &proof.path { li { code { (hash) } } } }
        }
        h3 { (visit.say("Kontrollpunkt", "Checkpoint")) }
        pre tabindex="0" aria-label=(visit.say("Kontrollpunkt", "Checkpoint")) { (proof.checkpoint) }
        h3 { (visit.say("Anderswo prüfen", "Check it elsewhere")) }
        p {
            (visit.say(
                "Die Beweisdatei (C2SP tlog-proof) braucht zum Prüfen weder diesen Knoten noch ein Netz. Wer sie prüft, nimmt den \
                 Schlüssel nicht von dieser Seite, sondern aus der Karte der Stelle, deren Fingerabdruck am Telefon verglichen wurde.",
                "The proof file (C2SP tlog-proof) is checked without this node and without a network. Whoever checks it takes the \
                 key not from this page but from the agency's card, whose fingerprint was compared by telephone.",
            ))
        }
        p {
            a .button href={ "/log/" (index) "/proof" (suffix) } {
                (visit.say("Beweisdatei herunterladen", "Download the proof file"))
            }
        }
        pre tabindex="0" aria-label=(visit.say("Befehl", "Command")) {
            "lotse verify entry-" (index) ".proof --card " (visit.node.agency) ".card --fingerprint \"…\""
        }
    }
}
