//! The head store: there, writable, and telling of the same log as the database.

use lotse_core::log::checkpoint::Origin;

use super::finding::{Area, Finding};
use super::place::Place;
use super::stored::Stored;
use crate::head_store::{Head, HeadStore};

/// Reads the head and tries the folder. None if the head cannot be read.
pub(super) fn read(place: &Place, findings: &mut Vec<Finding>) -> Option<Option<Head>> {
    let folder = place.config.files.head_store(&place.folder);
    let about = place.short(&folder);
    match HeadStore::try_out(&folder) {
        Ok(()) => findings.push(Finding::ok(Area::HeadStore, &about, "can be written and flushed")),
        Err(error) => {
            let todo = format!(
                "make {} a folder that the node's user may write; nothing is signed without it",
                folder.display()
            );
            findings.push(Finding::problem(Area::HeadStore, &about, error.to_string(), todo));
        }
    }
    match HeadStore::look(&folder) {
        Ok(head) => Some(head),
        Err(error) => {
            findings.push(Finding::problem(Area::HeadStore, about, error.to_string(), ways_out(place)));
            None
        }
    }
}

/// Compares the head with the database.
pub(super) fn compare(place: &Place, head: Option<&Head>, stored: &Stored) -> Finding {
    let about = place.short(&place.config.files.head_store(&place.folder));
    let problem = |seen: String| Finding::problem(Area::HeadStore, &about, seen, ways_out(place));
    let signed = stored.checkpoint.as_ref().map_or(0, |head| head.size);
    let Some(head) = head else {
        return match signed {
            0 => Finding::ok(Area::HeadStore, &about, "nothing is signed yet"),
            size => problem(format!("the head is not there, and the database has one of size {size}")),
        };
    };
    let own = stored.generation.map(|generation| Origin { agency: place.config.agency.id.clone(), generation });
    if own.as_ref() != Some(&head.origin) {
        let own = own.map_or("none".to_string(), |own| own.to_string());
        return problem(format!("the head is of the log {}, the database has {own}", head.origin));
    }
    let size = head.tree.size;
    match &stored.checkpoint {
        Some(row) if row.size == size && row.root != head.tree.root => {
            problem(format!("head and database name different roots at size {size}"))
        }
        _ if size > stored.written => problem(format!(
            "the head covers {size} entries, the database has {}: it was put back from a backup",
            stored.written
        )),
        _ if size < signed && !place.is_running => problem(format!(
            "the head covers {size} entries, the database has signed {signed}: the head is an old copy"
        )),
        _ => Finding::ok(Area::HeadStore, &about, format!("agrees with the database, {size} entries signed")),
    }
}

fn ways_out(place: &Place) -> String {
    format!(
        "{} says what is missing; put the newest copy back, else stop the node and {} (deploy/OPERATIONS.md, \"Log hold\")",
        place.command("log verify"),
        place.command("log resume --reason 'put back from the backup of …'")
    )
}
