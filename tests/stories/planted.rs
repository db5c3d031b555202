//! The bugs of `tests/planted/bugs.toml` fit the tree as it is. Planting them takes a second build of the program and is done by
//! hand (`tests/planted/run`); that a refactoring has moved what they change is told here at once.

use std::fs;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

fn text<'a>(bug: &'a Value, key: &str) -> &'a str {
    bug.get(key).and_then(Value::as_str).unwrap_or_else(|| panic!("a bug has no {key}: {bug}"))
}

/// All Rust files below a folder, as one text.
fn rust_below(folder: PathBuf) -> String {
    let mut all = String::new();
    for path in fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            all += &rust_below(path);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            all += &fs::read_to_string(path).unwrap();
        }
    }
    all
}

/// What is wrong with a bug, given the file it is planted in and the sources of its crate.
fn misfit(bug: &Value, file: &str, sources: &str) -> Option<String> {
    let name = text(bug, "name");
    let places = file.matches(text(bug, "code")).count();
    if places != 1 {
        return Some(format!("{name}: its code stands {places} times in {}", text(bug, "file")));
    }
    let tests = bug.get("tests").and_then(Value::as_array).filter(|tests| !tests.is_empty());
    let Some(tests) = tests else { return Some(format!("{name}: no test is named")) };
    let is_missing = |test: &&Value| {
        let function = test.as_str().unwrap_or_default().rsplit("::").next().unwrap_or_default();
        !sources.contains(&format!("fn {function}("))
    };
    tests.iter().find(is_missing).map(|test| format!("{name}: there is no test {test}"))
}

#[test]
fn every_planted_bug_fits_the_code_and_names_tests_that_exist() {
    let bugs: Table = fs::read_to_string(root().join("tests/planted/bugs.toml")).unwrap().parse().unwrap();
    let bugs = bugs["bug"].as_array().unwrap();
    let misfits: Vec<String> = bugs
        .iter()
        .filter_map(|bug| {
            let file = fs::read_to_string(root().join(text(bug, "file"))).unwrap_or_default();
            misfit(bug, &file, &rust_below(root().join("crates").join(text(bug, "package")).join("src")))
        })
        .collect();
    assert!(misfits.is_empty(), "mend tests/planted/bugs.toml:\n  {}", misfits.join("\n  "));
    assert!(bugs.len() >= 10, "ten bugs at least are planted, here are {}", bugs.len());
}

#[test]
fn a_bug_that_fits_nowhere_is_told() {
    let bug: Table = "name = 'n'\nfile = 'f'\ncode = 'let a = 1;'\ntests = ['a::b::holds']".parse().unwrap();
    let bug = Value::Table(bug);
    assert_eq!(misfit(&bug, "let a = 1;", "fn holds() {}"), None);
    for (file, sources) in [("", "fn holds() {}"), ("let a = 1; let a = 1;", "fn holds() {}"), ("let a = 1;", "")] {
        assert!(misfit(&bug, file, sources).is_some(), "{file:?} and {sources:?} do not fit");
    }
}
