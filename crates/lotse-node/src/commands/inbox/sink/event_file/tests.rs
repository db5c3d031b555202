use std::fs;
use std::os::unix::fs::symlink;

use super::*;

const HEADING: &str = "Cursor;Gründe";

fn table() -> Beginning {
    Beginning { heading: Some(HEADING.into()), first_line: "" }
}

fn objects() -> Beginning {
    Beginning { heading: None, first_line: "{\"cursor\":" }
}

fn line(number: u64) -> String {
    format!("{{\"cursor\":{number}}}")
}

fn write(path: &Path, beginning: Beginning, line: &str) -> anyhow::Result<bool> {
    EventFile::open(path, beginning)?.write(&[line.to_owned()])
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

#[test]
fn a_file_goes_on_in_its_format_and_in_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let [one, other] = ["table.csv", "objects.ndjson"].map(|name| folder.path().join(name));
    for _ in 0..2 {
        write(&one, table(), "1;x").unwrap();
        write(&other, objects(), &line(1)).unwrap();
    }
    let otherwise = Beginning { heading: Some("Cursor;Vorgang".into()), ..table() };
    let longer = Beginning { heading: Some("Cursor;Gründe;Vorgang".into()), ..table() };
    for (path, beginning) in [(&one, objects()), (&other, table()), (&one, otherwise), (&one, longer)] {
        let refused = format!("{:#}", write(path, beginning, "1").unwrap_err());
        assert!(refused.contains("give another --out, or the --format that it has"), "{refused}");
    }
    assert_eq!(text(&one), "\u{feff}Cursor;Gründe\n1;x\n1;x\n");
    assert_eq!(text(&other), "{\"cursor\":1}\n{\"cursor\":1}\n");
}

#[test]
fn what_other_commands_read_is_not_written_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("referrals.ndjson");
    let referral = "{\"idempotencyKey\":\"k\"}\n";
    fs::write(&path, referral).unwrap();
    assert!(write(&path, objects(), &line(1)).is_err());
    assert_eq!(text(&path), referral);
}

/// Rotates the file at a path as `logrotate` does: renamed, made anew by it or not, the old one deleted.
#[test]
fn lines_are_in_the_file_that_the_path_leads_to_after_a_rotation() {
    let folder = tempfile::tempdir().unwrap();
    for (name, is_made_anew, is_kept) in
        [("a", true, false), ("b", false, false), ("c", true, true), ("d", false, true)]
    {
        for beginning in [table(), objects()] {
            let [path, moved] = [name.to_string(), format!("{name}.1")].map(|name| folder.path().join(name));
            let is_table = beginning.heading.is_some();
            let mut file = EventFile::open(&path, beginning).unwrap();
            assert!(!file.write(&[line(1)]).unwrap());
            fs::rename(&path, &moved).unwrap();
            if is_made_anew {
                fs::write(&path, "").unwrap();
            }
            if !is_kept {
                fs::remove_file(&moved).unwrap();
            }
            assert!(file.write(&[line(2)]).unwrap(), "the move is reported once");
            assert!(!file.write(&[line(3)]).unwrap(), "and only once");
            let heading = if is_table { "\u{feff}Cursor;Gründe\n" } else { "" };
            assert_eq!(text(&path), format!("{heading}{}\n{}\n", line(2), line(3)));
            [path, moved].iter().for_each(|path| drop(fs::remove_file(path)));
        }
    }
}

#[test]
fn lines_are_not_written_into_another_format_that_was_put_in_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("objects.ndjson");
    let mut file = EventFile::open(&path, objects()).unwrap();
    fs::remove_file(&path).unwrap();
    fs::write(&path, "something else\n").unwrap();
    let refused = format!("{:#}", file.write(&[line(1)]).unwrap_err());
    assert!(refused.contains("cannot open") && refused.contains("begins otherwise"), "{refused}");
    assert_eq!(text(&path), "something else\n");
}

#[test]
fn lines_go_where_a_link_leads_after_it_was_turned() {
    let folder = tempfile::tempdir().unwrap();
    let [link, one, other] = ["link", "one", "other"].map(|name| folder.path().join(name));
    symlink(&one, &link).unwrap();
    let mut file = EventFile::open(&link, objects()).unwrap();
    file.write(&[line(1)]).unwrap();
    fs::remove_file(&link).unwrap();
    symlink(&other, &link).unwrap();
    file.write(&[line(2)]).unwrap();
    assert_eq!(text(&other), format!("{}\n", line(2)));
}

#[test]
fn a_beginning_that_was_cut_off_is_written_anew_and_one_with_a_mark_is_recognised() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("table.csv");
    let whole = "\u{feff}Cursor;Gründe\n";
    for cut in 0..whole.len() {
        fs::write(&path, &whole.as_bytes()[..cut]).unwrap();
        write(&path, table(), "1;x").unwrap();
        assert_eq!(text(&path), format!("{whole}1;x\n"), "{cut} bytes");
    }
    for begun in ["Cursor;Gründe\n1;x\n", "\u{feff}Cursor;Gründe\r\n1;x\r\n"] {
        fs::write(&path, begun).unwrap();
        write(&path, table(), "2;x").unwrap();
        assert_eq!(text(&path), format!("{begun}2;x\n"));
    }
    fs::write(&path, format!("\u{feff}{}\n", line(1))).unwrap();
    write(&path, objects(), &line(2)).unwrap();
    assert_eq!(text(&path), format!("\u{feff}{}\n{}\n", line(1), line(2)));
}

#[test]
fn a_file_that_was_cut_begins_with_its_headings_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("table.csv");
    let mut file = EventFile::open(&path, table()).unwrap();
    file.write(&["1;x".into()]).unwrap();
    OpenOptions::new().write(true).open(&path).unwrap().set_len(0).unwrap();
    assert!(file.write(&["2;x".into()]).unwrap());
    assert_eq!(text(&path), format!("\u{feff}{HEADING}\n2;x\n"));
}

#[test]
fn a_line_that_was_cut_off_is_ended_before_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("objects.ndjson");
    fs::write(&path, "{\"cursor\":1,\"ev").unwrap();
    write(&path, objects(), &line(1)).unwrap();
    assert_eq!(text(&path), format!("{{\"cursor\":1,\"ev\n{}\n", line(1)));
}

#[test]
fn one_file_has_one_writer_and_is_no_device() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("objects.ndjson");
    let first = EventFile::open(&path, objects()).unwrap();
    let refused = format!("{:#}", EventFile::open(&path, objects()).err().unwrap());
    assert!(refused.contains("another command writes to it"), "{refused}");
    drop(first);
    EventFile::open(&path, objects()).unwrap();
    let refused = format!("{:#}", EventFile::open(Path::new("/dev/null"), objects()).err().unwrap());
    assert!(refused.contains("it is no plain file"), "{refused}");
}

#[test]
fn what_a_full_disk_cuts_off_leaves_no_part_of_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("objects.ndjson");
    let mut file = EventFile::open(&path, objects()).unwrap();
    file.write(&[line(1)]).unwrap();
    // A handle that cannot write fails as a full disk does: after the length was looked up, before the lines are durable.
    let writable = std::mem::replace(&mut file.file, File::open(&path).unwrap());
    assert!(file.write(&[line(2)]).is_err());
    file.file = writable;
    file.write(&[line(3)]).unwrap();
    assert_eq!(text(&path), format!("{}\n{}\n", line(1), line(3)));
}
