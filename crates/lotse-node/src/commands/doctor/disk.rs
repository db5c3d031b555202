//! Room on the disks: a node that cannot write acknowledges nothing.

use std::path::Path;

use super::finding::{Area, Finding};
use super::place::Place;

/// Below this a disk is a warning, bytes.
const LITTLE: u64 = 2 << 30;

/// Below this a disk is a problem, bytes.
const TOO_LITTLE: u64 = 256 << 20;

/// Looks at the room on the disk on which a folder lies.
pub(super) fn examine(place: &Place, what: &str, folder: &Path) -> Finding {
    match rustix::fs::statvfs(folder) {
        Ok(about) => judge(what, about.f_bavail.saturating_mul(about.f_frsize)),
        Err(error) => Finding::problem(
            Area::Disk,
            what,
            format!("{} cannot be looked at: {error}", place.short(folder)),
            format!("make sure that the disk of {} is mounted and readable for this user", folder.display()),
        ),
    }
}

fn judge(what: &str, free_bytes: u64) -> Finding {
    let seen = format!("{} MiB free", free_bytes >> 20);
    let todo = "make room or give the node a larger disk; it acknowledges nothing that it cannot store".to_string();
    match free_bytes {
        0..TOO_LITTLE => Finding::problem(Area::Disk, what, seen, todo),
        TOO_LITTLE..LITTLE => Finding::warning(Area::Disk, what, seen, todo),
        _ => Finding::ok(Area::Disk, what, seen),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::doctor::finding::Health;

    #[test]
    fn a_full_disk_is_a_problem_before_it_is_full() {
        for (free, health) in [(0, Health::Problem), (TOO_LITTLE, Health::Warning), (LITTLE, Health::Ok)] {
            assert_eq!(judge("test", free).health, health);
        }
    }
}
