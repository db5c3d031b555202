//! What the documents and deploy/ say is what the program does.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context as _, Result, ensure};
use clap::error::ErrorKind;
use lotse_node::commands::check;
use lotse_node::config::{Config, Template, template};
use lotse_tests::csv_columns;
use lotse_tests::document::{Named, commands, commands_of};
use lotse_tests::generated_file::{self, root};

/// The documents that name commands.
const DOCUMENTS: [&str; 6] =
    ["README.md", "certs/README.md", "deploy/KEYS.md", "deploy/OPERATIONS.md", "proto/README.md", "SECURITY.md"];

/// Leaves out dots that stand for further arguments, and puts examples in the place of what stands for something.
fn examples(named: &Named) -> Vec<&str> {
    let words = named.words.iter().map(String::as_str);
    let before = std::iter::once("").chain(words.clone());
    let kept = words.zip(before).filter(|(word, before)| *word != "…" || before.starts_with("--"));
    kept.map(|(word, _)| example(word)).collect()
}

/// Puts an example in the place of a word that stands for something.
fn example(word: &str) -> &str {
    match word {
        "ID" => "0198c5a4-7d3e-7cc0-8000-2f6a1b0c9d11",
        "INDEX" => "7",
        "DIGEST" => "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "AGENCY" => "aa-hanau.hessen.example",
        word => word,
    }
}

#[test]
fn every_command_in_the_documents_exists() -> Result<()> {
    let mut tried = 0;
    for document in DOCUMENTS {
        for named in commands(document)? {
            tried += 1;
            let Err(error) = check(examples(&named)) else { continue };
            if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
                continue;
            }
            // In a sentence the rest may be left out.
            let begun = matches!(
                error.kind(),
                ErrorKind::MissingRequiredArgument
                    | ErrorKind::MissingSubcommand
                    | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
            );
            ensure!(begun && !named.whole, "{document} says {:?}: {error}", named.words.join(" "));
        }
    }
    ensure!(tried > 60, "only {tried} commands were found");
    ensure!(check(["lotse", "log", "prune"]).is_err(), "what does not exist is noticed");
    Ok(())
}

/// Where the places that ARCHITECTURE.md names may lie.
const ROOTS: [&str; 5] = ["", "proto/lotse", "crates", "crates/lotse-node/src", "crates/lotse-store/src"];

/// Returns the spans of a text that are written as code.
fn spans(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// Tells whether a file, a module or a folder is there.
fn is_there(place: &str) -> bool {
    let place = place.trim_end_matches('/');
    ROOTS
        .iter()
        .map(|folder| root().join(folder))
        .any(|folder| folder.join(place).exists() || folder.join(format!("{place}.rs")).exists())
}

#[test]
fn every_place_in_the_architecture_exists_and_every_module_of_the_node_stands_there() -> Result<()> {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md"))?;
    let letter = |letter: char| letter.is_ascii_alphanumeric() || "_-./".contains(letter);
    let places: Vec<&str> = spans(&text).filter(|span| span.contains('/') && span.chars().all(letter)).collect();
    let missing: Vec<&&str> = places.iter().filter(|place| !is_there(place)).collect();
    ensure!(missing.is_empty(), "ARCHITECTURE.md names what is not there: {missing:?}");
    ensure!(places.len() > 40, "only {places:?}");
    ensure!(!is_there("action/send_referral") && is_there("action/take_batch") && is_there("engine/directory.rs"));

    let (_, table) = text.split_once("Inside the node:").context("no table of the node")?;
    let rows = table.lines().skip_while(|line| !line.starts_with("| `")).take_while(|line| line.starts_with("| `"));
    let named: BTreeSet<&str> = rows
        .filter_map(|row| row.split('|').nth(1))
        .flat_map(spans)
        .map(|module| module.trim_end_matches('/'))
        .collect();
    let mut modules = BTreeSet::new();
    for entry in fs::read_dir(root().join("crates/lotse-node/src"))? {
        let path = entry?.path();
        modules.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
    }
    modules.retain(|module| !matches!(module.as_str(), "lib" | "main"));
    ensure!(named == modules.iter().map(String::as_str).collect(), "the table has {named:?}, the node {modules:?}");
    Ok(())
}

#[test]
fn the_table_of_log_commands_says_of_which_node() -> Result<()> {
    let readme = fs::read_to_string(root().join("README.md"))?;
    let table = readme.lines().filter(|line| line.starts_with("| to "));
    let spans = table.flat_map(|line| line.split('`').skip(1).step_by(2)).filter(|span| span.starts_with("lotse log "));
    let without: Vec<&str> = spans.clone().filter(|span| !span.contains(" --folder ")).collect();
    ensure!(without.is_empty(), "{without:?}");
    ensure!(spans.count() >= 5);
    Ok(())
}

#[test]
fn no_fingerprint_in_the_readme_looks_real() -> Result<()> {
    let given = |named: &Named| named.words.iter().skip_while(|word| *word != "--fingerprint").nth(1).cloned();
    let given: Vec<String> = commands("README.md")?.iter().filter_map(given).collect();
    ensure!(given.len() >= 5, "only {given:?}");
    ensure!(!given.concat().contains(|letter: char| letter.is_ascii_digit()), "somebody could compare with {given:?}");
    Ok(())
}

#[test]
fn the_list_of_csv_columns_follows_the_code() -> Result<()> {
    generated_file::check("proto/schema/csv.md", |_| csv_columns::render())
}

#[test]
fn the_sample_configuration_is_what_init_writes_and_a_node_reads_it() -> Result<()> {
    let text = template(&Template {
        id: &"jc-hanau.hessen.example".parse()?,
        name: "Jobcenter Hanau",
        kind: lotse_core::agency::AgencyKind::JobcenterGe,
        addresses: &["lotse.jc-hanau.example:8443".into()],
        listen_peer: "0.0.0.0:8443".parse()?,
        listen_agency: "127.0.0.1:8444".parse()?,
        listen_pages: None,
        allow_loopback: false,
        database: None,
        systems: &["akte".into()],
        existing_pki: None,
    });
    generated_file::check("deploy/lotse.toml", |_| Ok(text))?;
    let sample = fs::read_to_string(root().join("deploy/lotse.toml"))?;
    let config = Config::parse(&sample).map_err(anyhow::Error::msg)?;
    ensure!(config.system("akte").is_some());
    Ok(())
}

/// Returns the values of a key or instruction in a unit or a Containerfile.
fn values<'a>(text: &'a str, key: &str) -> Vec<&'a str> {
    text.lines().filter_map(|line| line.strip_prefix(key)).map(str::trim).collect()
}

#[test]
fn the_systemd_unit_gives_a_command_that_exists_and_takes_away_what_a_node_does_not_need() -> Result<()> {
    let unit = fs::read_to_string(root().join("deploy/lotse.service"))?;
    let start = values(&unit, "ExecStart=");
    let words: Vec<&str> = start.first().context("no ExecStart")?.split(' ').collect();
    check(&words)?;
    for (key, value) in [
        ("Type=", "notify"),
        ("User=", "lotse"),
        ("KillSignal=", "SIGTERM"),
        ("NoNewPrivileges=", "yes"),
        ("ProtectSystem=", "strict"),
        ("CapabilityBoundingSet=", ""),
        ("MemoryDenyWriteExecute=", "yes"),
        ("LimitCORE=", "0"),
        ("UMask=", "0077"),
    ] {
        ensure!(values(&unit, key) == [value], "{key} {value}");
    }
    let folder = words.last().context("no folder")?;
    ensure!(
        folder.starts_with(&format!("/var/lib/{}/", values(&unit, "StateDirectory=")[0])),
        "the node may write there"
    );
    Ok(())
}

#[test]
fn the_containerfile_copies_what_is_there_and_runs_what_exists_without_being_root() -> Result<()> {
    let text = fs::read_to_string(root().join("deploy/Containerfile"))?.replace("\\\n", " ");
    let (build, run) = text.rsplit_once("\nFROM ").context("two stages")?;
    for line in values(build, "COPY ") {
        let mut sources: Vec<&str> = line.split(' ').collect();
        sources.pop();
        ensure!(!sources.is_empty());
        for source in sources {
            ensure!(root().join(source).exists(), "{source} is not there");
        }
    }
    let manifest = fs::read_to_string(root().join("Cargo.toml"))?;
    let rust = values(&manifest, "rust-version = ").first().context("no rust-version")?.trim_matches('"').to_string();
    ensure!(build.contains(&format!("docker.io/library/rust:{rust}-slim-")), "built with the version of Cargo.toml");
    ensure!(run.starts_with("docker.io/library/debian:"), "run on Debian");
    let user = values(run, "USER ");
    ensure!(user.len() == 1 && !user[0].starts_with('0') && user[0] != "root", "not root: {user:?}");
    ensure!(values(run, "COPY ") == ["--from=build /src/target/release/lotse /usr/local/bin/lotse"]);
    let list = |key| -> Result<Vec<String>> { Ok(serde_json::from_str(values(run, key)[0])?) };
    let program = list("ENTRYPOINT ")?;
    ensure!(program == ["/usr/local/bin/lotse"]);
    check(program.into_iter().chain(list("CMD ")?))?;
    let health = values(run, "HEALTHCHECK ")[0];
    let health: Vec<String> = serde_json::from_str(health.split_once("CMD ").context("no CMD")?.1)?;
    check(health)?;
    Ok(())
}

#[test]
fn a_command_that_a_document_invents_is_noticed() {
    let named = commands_of("```\nlotse backup --everything\n```\n");
    assert!(named[0].whole && check(&named[0].words).is_err());
}
