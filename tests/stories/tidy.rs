//! The tidy test: reads the tree and refuses what the compiler and clippy cannot see. Each rule shows that it can fail.

mod source;

use std::collections::BTreeSet;
use std::path::Path;

use source::{Source, Tree, calls};

/// Lines of a Rust file, tests apart, above which it must be split.
const LINES_MAX: usize = 500;
/// Lines above which it is named as one to think about.
const LINES_TO_THINK: usize = 350;

/// The only arrows between crates: folder, and what of ours its manifest may name.
const ARROWS: [(&str, &[&str]); 5] = [
    ("crates/lotse-core", &[]),
    ("crates/lotse-proto", &[]),
    ("crates/lotse-store", &["lotse-core"]),
    ("crates/lotse-node", &["lotse-core", "lotse-store", "lotse-proto"]),
    ("tests", &["lotse-node", "lotse-proto", "lotse-core", "lotse-store"]),
];

/// What the sources below a folder never name as a path.
const WALLS: [(&str, &[&str]); 6] = [
    (
        "crates/lotse-core/",
        &["tokio", "sqlx", "rusqlite", "tonic", "prost", "fs", "lotse_store", "lotse_proto", "lotse_node"],
    ),
    ("crates/lotse-store/", &["tonic", "prost", "lotse_proto", "lotse_node"]),
    ("crates/lotse-proto/", &["sqlx", "rusqlite", "lotse_core", "lotse_store", "lotse_node"]),
    ("crates/lotse-node/src/action/", &["grpc", "web", "courier"]),
    ("crates/lotse-node/src/wire", &["action", "grpc", "web", "courier", "commands"]),
    ("crates/lotse-node/src/start", &["commands"]),
];

/// Names of files and folders that say nothing, so that everything ends up in them.
const EMPTY_NAMES: [&str; 6] = ["util", "utils", "common", "helper", "helpers", "misc"];

/// How a statement begins; a string that begins so is SQL.
const STATEMENTS: [&str; 8] =
    ["SELECT ", "INSERT INTO ", "UPDATE ", "DELETE FROM ", "CREATE TABLE ", "CREATE INDEX ", "PRAGMA ", "WITH "];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

/// Returns the findings of a rule about the tree as it lies here; fails the test if there are any.
#[track_caller]
fn holds(rule: fn(&Tree) -> Vec<String>) {
    let findings = rule(&Tree::read(root()));
    assert!(findings.is_empty(), "\n  {}\n", findings.join("\n  "));
}

/// Checks that a rule finds something in `bad` and nothing in `good`.
#[track_caller]
fn tells_apart(rule: fn(&Tree) -> Vec<String>, bad: &[(&str, &str)], good: &[(&str, &str)]) {
    let found = rule(&Tree::of(bad));
    assert_eq!(found.len(), 1, "a tree with one mistake: {found:?}");
    assert_eq!(rule(&Tree::of(good)), Vec::<String>::new(), "a tree without it");
}

fn rust_files_are_short(tree: &Tree) -> Vec<String> {
    longer_than(tree, LINES_MAX).map(|(path, lines)| format!("{path}: {lines} lines, split it by noun")).collect()
}

fn longer_than(tree: &Tree, limit: usize) -> impl Iterator<Item = (&str, usize)> {
    let lengths =
        tree.rust().filter(|file| !file.is_test()).map(|file| (file.path.as_str(), file.lines_without_tests()));
    lengths.filter(move |(_, lines)| *lines > limit)
}

#[test]
fn no_rust_file_is_longer_than_500_lines() {
    for (path, lines) in longer_than(&Tree::read(root()), LINES_TO_THINK) {
        println!("to think about: {path} has {lines} lines");
    }
    holds(rust_files_are_short);
    let long = "let a = 1;\n".repeat(LINES_MAX + 1);
    let tested = format!("let a = 1;\n#[cfg(test)]\nmod tests {{\n{long}}}\n");
    let sibling = "crates/lotse-core/src/seal/tests.rs";
    tells_apart(rust_files_are_short, &[("crates/lotse-core/src/a.rs", &long)], &[("a.rs", &tested), (sibling, &long)]);
}

fn crates_depend_only_along_the_arrows(tree: &Tree) -> Vec<String> {
    let mut findings = Vec::new();
    for manifest in tree.crate_manifests() {
        let folder = manifest.path.trim_end_matches("/Cargo.toml");
        let Some((_, allowed)) = ARROWS.iter().find(|(known, _)| *known == folder) else {
            findings.push(format!("{}: a crate that is not drawn in ARCHITECTURE.md", manifest.path));
            continue;
        };
        for (number, line) in manifest.dependency_lines() {
            let name = line.split(['.', '=', ' ']).next().unwrap_or_default();
            if name.starts_with("lotse-") && !allowed.contains(&name) {
                findings.push(format!("{}:{number}: no arrow leads from here to {name}", manifest.path));
            }
        }
    }
    findings
}

#[test]
fn crates_depend_on_each_other_only_as_drawn() {
    holds(crates_depend_only_along_the_arrows);
    let bad = "[dependencies]\nlotse-core.workspace = true\nlotse-proto.workspace = true\n";
    let good = "[package]\nname = \"lotse-store\"\n[dependencies]\nlotse-core.workspace = true\n";
    let path = "crates/lotse-store/Cargo.toml";
    tells_apart(crates_depend_only_along_the_arrows, &[(path, bad)], &[(path, good)]);
    tells_apart(crates_depend_only_along_the_arrows, &[("crates/lotse-types/Cargo.toml", "")], &[("Cargo.toml", bad)]);
}

fn sources_respect_the_walls(tree: &Tree) -> Vec<String> {
    let mut findings = Vec::new();
    for file in tree.rust() {
        let walls = WALLS.iter().filter(|(folder, _)| file.path.starts_with(folder));
        for name in walls.flat_map(|(_, names)| *names) {
            let lines = file.lines_that_name(name);
            findings.extend(lines.into_iter().map(|line| format!("{}:{line}: names {name}", file.path)));
        }
    }
    findings
}

#[test]
fn no_layer_names_what_lies_above_it() {
    holds(sources_respect_the_walls);
    let core = "crates/lotse-core/src/a.rs";
    let remark = "// tokio::spawn is not for core\nfn a() -> &'static str { \"sqlx::query\" }\nlet tonic = 1;\n";
    tells_apart(sources_respect_the_walls, &[(core, "use lotse_proto::v1;\n")], &[(core, remark)]);
    tells_apart(sources_respect_the_walls, &[(core, "fn a() { std::fs::read(p) }\n")], &[("tests/a.rs", "use tokio;")]);
    let wire = "crates/lotse-node/src/wire/audit.rs";
    tells_apart(
        sources_respect_the_walls,
        &[(wire, "use crate::action::get_entry;\n")],
        &[("a.rs", "use crate::action;\n")],
    );
    let action = "crates/lotse-node/src/action/submit_referrals.rs";
    let grouped = "use crate::{\n    clock,\n    courier,\n};\n";
    tells_apart(sources_respect_the_walls, &[(action, grouped)], &[(action, "let web = courier + grpc;\n")]);
}

fn both_engines_have_the_same_migrations(tree: &Tree) -> Vec<String> {
    let numbers = |engine: &str| -> Vec<&str> {
        let folder = format!("crates/lotse-store/migrations/{engine}/");
        let names = tree.files.iter().filter_map(|file| file.path.strip_prefix(folder.as_str()));
        names.filter_map(|name| name.split('_').next()).collect()
    };
    let (sqlite, postgres) = (numbers("sqlite"), numbers("postgres"));
    let both = sqlite.iter().chain(&postgres).collect::<BTreeSet<_>>();
    let count = |numbers: &[&str], number: &str| numbers.iter().filter(|&&other| other == number).count();
    let wrong =
        both.into_iter().filter(|number| [&sqlite, &postgres].iter().any(|numbers| count(numbers, number) != 1));
    wrong.map(|number| format!("migration {number} is not there once for each engine")).collect()
}

#[test]
fn each_migration_is_there_for_both_engines() {
    holds(both_engines_have_the_same_migrations);
    let (sqlite, postgres) = (
        "crates/lotse-store/migrations/sqlite/0001_start.sql",
        "crates/lotse-store/migrations/postgres/0001_start.sql",
    );
    tells_apart(both_engines_have_the_same_migrations, &[(sqlite, "")], &[(sqlite, ""), (postgres, "")]);
    let again = "crates/lotse-store/migrations/sqlite/0001_again.sql";
    tells_apart(both_engines_have_the_same_migrations, &[(sqlite, ""), (again, ""), (postgres, "")], &[]);
}

fn names_say_something(tree: &Tree) -> Vec<String> {
    let code = tree.files.iter().filter(|file| file.path.starts_with("crates/") || file.path.starts_with("tests/"));
    let empty = code.filter(|file| {
        file.path.split('/').any(|part| EMPTY_NAMES.contains(&part.split('.').next().unwrap_or_default()))
    });
    empty.map(|file| format!("{}: name it after its noun or action", file.path)).collect()
}

#[test]
fn no_file_has_a_name_that_says_nothing() {
    holds(names_say_something);
    tells_apart(names_say_something, &[("tests/src/common/mod.rs", "")], &[("crates/lotse-core/src/community.rs", "")]);
}

fn sql_stays_in_the_store(tree: &Tree) -> Vec<String> {
    let mut findings = Vec::new();
    for file in tree.rust().filter(|file| !file.path.starts_with("crates/lotse-store/")) {
        for driver in ["sqlx", "rusqlite"] {
            let lines = file.lines_that_name(driver);
            findings.extend(lines.into_iter().map(|line| format!("{}:{line}: names {driver}", file.path)));
        }
        let sql = file.strings().into_iter().filter(|(_, text)| STATEMENTS.iter().any(|start| text.starts_with(start)));
        let sql = sql.filter(|(_, text)| !STATEMENTS.contains(&text.as_str()));
        findings.extend(sql.map(|(line, _)| format!("{}:{line}: SQL outside lotse-store", file.path)));
    }
    findings
}

#[test]
fn sql_is_written_only_in_the_store() {
    holds(sql_stays_in_the_store);
    let (node, store) = ("crates/lotse-node/src/a.rs", "crates/lotse-store/src/a.rs");
    let statement = "fn a() { run(\"SELECT id FROM record\") }\n";
    tells_apart(sql_stays_in_the_store, &[(node, statement)], &[(store, statement), (node, "// SELECT id\n")]);
    tells_apart(sql_stays_in_the_store, &[(node, "let q = sqlx::query(text);\n")], &[(node, "say(\"SELECTED 1\");\n")]);
}

/// The nouns of the store; what lies in `engine/` knows none and has contract tests of its own.
const STORE: &str = "crates/lotse-store/src/";

/// A test names a function of its own noun as it is, and one of another noun by that noun or by its file.
fn store_functions_are_called_in_its_tests(tree: &Tree) -> Vec<String> {
    let of_store =
        || tree.rust().filter_map(|file| Some((file, file.path.strip_prefix(STORE)?.trim_end_matches(".rs"))));
    let noun = |path: &str| path.split('/').next().unwrap_or_default().to_owned();
    let tests: Vec<_> = of_store().map(|(file, path)| (noun(path), file.code_of_tests())).collect();
    let mut findings = Vec::new();
    for (file, path) in of_store().filter(|(_, path)| !["engine", "testing"].contains(&noun(path).as_str())) {
        let code = file.code_without_tests();
        for declared in code.split("pub async fn ").skip(1) {
            let name =
                declared.split(|letter: char| !letter.is_alphanumeric() && letter != '_').next().unwrap_or_default();
            let is_it = |tested: &str, named: Option<&str>| match named {
                None | Some("super") => tested == noun(path),
                Some(named) => path.split('/').any(|part| part == named),
            };
            if !tests.iter().any(|(tested, code)| calls(code, name).any(|named| is_it(tested, named))) {
                findings.push(format!("{}: no test of the store calls {name}", file.path));
            }
        }
    }
    findings
}

#[test]
fn every_function_of_the_store_is_called_in_a_test_of_the_store() {
    holds(store_functions_are_called_in_its_tests);
    let (batch, tests) = ("crates/lotse-store/src/batch.rs", "crates/lotse-store/src/batch/tests.rs");
    let (peer, claim) = ("crates/lotse-store/src/peer/tests.rs", "crates/lotse-store/src/outbox/claim.rs");
    let lapse = "pub async fn lapse(tx: &mut Tx) {}\n";
    let tested = format!("{lapse}#[cfg(test)]\nmod tests {{\n    fn a() {{ super::lapse(tx) }}\n}}\n");
    let named =
        "// lapse(tx)\nfn lapse() { \"lapse()\"; relapse(tx); map.lapse(tx); lapse_all(tx); peer::lapse(tx) }\n";
    let rule = store_functions_are_called_in_its_tests;
    tells_apart(rule, &[(batch, lapse), (tests, named)], &[(batch, lapse), (tests, "fn a() { lapse(tx) }\n")]);
    tells_apart(rule, &[(batch, lapse), (peer, "fn a() { lapse(tx) }\n")], &[(batch, &tested)]);
    let elsewhere = "fn a() { claim::lapse(tx) }\n";
    tells_apart(rule, &[(claim, lapse), ("tests/stories/a.rs", elsewhere)], &[(claim, lapse), (peer, elsewhere)]);
    let engine = "crates/lotse-store/src/engine/tx.rs";
    tells_apart(rule, &[(claim, lapse), (batch, &tested)], &[(engine, lapse)]);
}

fn crates_take_the_lints_of_the_workspace(tree: &Tree) -> Vec<String> {
    let bare = tree.crate_manifests().filter(|manifest| !manifest.text.contains("[lints]\nworkspace = true"));
    bare.map(|manifest| format!("{}: has no `[lints] workspace = true`", manifest.path)).collect()
}

#[test]
fn every_crate_takes_the_lints_of_the_workspace() {
    holds(crates_take_the_lints_of_the_workspace);
    let path = "crates/lotse-core/Cargo.toml";
    tells_apart(
        crates_take_the_lints_of_the_workspace,
        &[(path, "[lints]\n")],
        &[(path, "[lints]\nworkspace = true\n")],
    );
}

fn versions_stand_in_the_root(tree: &Tree) -> Vec<String> {
    let mut findings = Vec::new();
    for manifest in tree.crate_manifests() {
        let own = manifest.dependency_lines().into_iter().filter(|(_, line)| !line.contains("workspace = true"));
        findings
            .extend(own.map(|(number, line)| format!("{}:{number}: `{line}` belongs into the root", manifest.path)));
    }
    findings
}

#[test]
fn versions_of_dependencies_stand_only_in_the_root() {
    holds(versions_stand_in_the_root);
    let path = "crates/lotse-core/Cargo.toml";
    let bad = "[dev-dependencies]\nproptest = \"1\"\n";
    let good = "[dependencies]\n# why\nhex = { workspace = true, features = [\"x\"] }\n\n[lints]\nworkspace = true\n";
    tells_apart(versions_stand_in_the_root, &[(path, bad)], &[(path, good), ("Cargo.toml", bad)]);
}

fn no_key_lies_in_the_tree(tree: &Tree) -> Vec<String> {
    let keys = tree.files.iter().filter(|file| file.holds_private_key());
    keys.map(|file| format!("{}: a private key; keep keys outside this tree", file.path)).collect()
}

#[test]
fn no_private_key_is_committed() {
    holds(no_key_lies_in_the_tree);
    let marker = format!("-----BEGIN {} KEY-----", "PRIVATE");
    let key = format!("{marker}\n{}\n", "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg");
    let told = format!("A file that begins with {marker}\nis a key.\n");
    tells_apart(no_key_lies_in_the_tree, &[("tests/node.txt", &key)], &[("certs/README.md", &told)]);
    tells_apart(no_key_lies_in_the_tree, &[("certs/node.p12", "")], &[("certs/node.pem", "")]);
}

/// A rule that reads nothing would hold for ever.
#[test]
fn the_tree_that_is_read_is_this_one() {
    let tree = Tree::read(root());
    let manifests = tree.crate_manifests().count();
    assert_eq!(manifests, ARROWS.len(), "crates");
    let this = Source { path: "tests/stories/tidy.rs".to_owned(), text: include_str!("tidy.rs").to_owned() };
    assert!(tree.files.contains(&this), "the tree has this very file");
    assert!(tree.rust().filter(|file| file.path.starts_with("crates/")).count() >= 4, "each crate has sources");
}
