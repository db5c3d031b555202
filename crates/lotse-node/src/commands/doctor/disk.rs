//! Room on the disks: a node that cannot write acknowledges nothing.

use super::finding::{Area, Finding};
use super::place::Place;
use crate::disk_space::{DiskSpace, LITTLE, TOO_LITTLE, measure, written_folders};

/// Looks at the room on the disks to which the node writes, once for each disk.
pub(super) fn examine(place: &Place) -> Vec<Finding> {
    let spaces = measure(written_folders(&place.folder, &place.config)).into_iter();
    let finding = |space| match space {
        Ok(space) => judge(&space),
        Err((folder, error)) => {
            let folder: crate::disk_space::WrittenFolder = folder;
            Finding::problem(
                Area::Disk,
                folder.what,
                format!("{} cannot be looked at: {error}", place.short(&folder.path)),
                format!("make sure that the disk of {} is mounted and readable for this user", folder.path.display()),
            )
        }
    };
    spaces.map(finding).collect()
}

fn judge(space: &DiskSpace) -> Finding {
    let (about, seen) = (space.folder.what.as_str(), space.sentence());
    let todo = "make room or give the node a larger disk; it acknowledges nothing that it cannot store".to_string();
    match space.free_bytes {
        0..TOO_LITTLE => Finding::problem(Area::Disk, about, seen, todo),
        TOO_LITTLE..LITTLE => Finding::warning(Area::Disk, about, seen, todo),
        _ => Finding::ok(Area::Disk, about, seen),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::doctor::finding::Health;
    use crate::disk_space::WrittenFolder;

    #[test]
    fn a_full_disk_is_a_problem_before_it_is_full() {
        let folder = WrittenFolder { what: "database".into(), path: "/".into() };
        for (free_bytes, health) in [(0, Health::Problem), (TOO_LITTLE, Health::Warning), (LITTLE, Health::Ok)] {
            assert_eq!(judge(&DiskSpace { folder: folder.clone(), free_bytes }).health, health);
        }
    }
}
