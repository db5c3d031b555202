//! The log of a node that was set up, started and stopped, read by the commands.

use std::fs;
use std::sync::{Arc, Mutex};

use lotse_core::time::Calendar;
use lotse_store::testing::tamper;

use crate::ambient::{SystemClock, SystemRandom};
use crate::commands::terminal::Terminal;
use crate::commands::{Context, run};
use crate::folder::Folder;
use crate::start::{Overrides, start};

struct Desk {
    place: tempfile::TempDir,
    context: Context,
    output: Arc<Mutex<Vec<u8>>>,
}

impl Desk {
    /// A node that was started and stopped once.
    async fn new() -> Desk {
        let output = Arc::new(Mutex::new(Vec::new()));
        let terminal = Terminal::to(output.clone());
        let context = Context { terminal, clock: Arc::new(SystemClock), random: Arc::new(SystemRandom) };
        let desk = Desk { place: tempfile::tempdir().unwrap(), context, output };
        let init = "init --agency jc.example --name Jobcenter --kind jobcenter_ge --peer-address lotse.jc.example:8443";
        desk.give(init).await.unwrap();
        let config = fs::read_to_string(desk.folder().config()).unwrap();
        let listen = config.lines().map(|line| match line.split_once(" = ") {
            Some((key @ ("peer" | "agency"), value)) if value.starts_with('"') => format!("{key} = \"127.0.0.1:0\""),
            _ => line.to_owned(),
        });
        fs::write(desk.folder().config(), listen.collect::<Vec<_>>().join("\n")).unwrap();
        desk.run_once().await;
        desk
    }

    fn folder(&self) -> Folder {
        Folder::new(self.place.path().join("node"))
    }

    fn path(&self, name: &str) -> String {
        self.place.path().join(name).display().to_string()
    }

    async fn run_once(&self) {
        Box::pin(start(&self.folder(), Overrides::default())).await.unwrap().stop().await.unwrap();
    }

    /// Gives a command about the folder; returns what it printed, and how it ended.
    async fn ended(&self, line: &str) -> (String, anyhow::Result<()>) {
        let folder = self.folder().path().display().to_string();
        let needs_folder = !line.starts_with("verify") && !line.starts_with("card sign");
        let more = if needs_folder { vec!["--folder", &folder] } else { vec![] };
        let arguments = std::iter::once("lotse").chain(line.split(' ')).chain(more);
        let ended = run(arguments.map(String::from).collect::<Vec<_>>(), &self.context).await;
        (String::from_utf8(std::mem::take(&mut *self.output.lock().unwrap())).unwrap(), ended)
    }

    async fn give(&self, line: &str) -> anyhow::Result<String> {
        let (printed, ended) = self.ended(line).await;
        ended.map(|()| printed)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_nodes_log_is_listed_shown_and_verified() {
    let desk = Desk::new().await;
    let listed = desk.give("log list").await.unwrap();
    let lines: Vec<&str> = listed.lines().collect();
    assert!(lines[lines.len() - 1].ends_with("This log begins."), "{listed}");
    assert!(lines[0].ends_with("The node was started."), "{listed}");
    assert!(lines[1].ends_with("The own card, version 1, was installed."), "{listed}");
    let german = desk.give("log list --kind log-started --language de").await.unwrap();
    assert!(german.trim_end().ends_with("Dieses Protokoll beginnt."), "{german}");
    let shown = desk.give("log show 1").await.unwrap();
    assert!(shown.contains("Signed: jc.example/exchange-log/1, 3 entries"), "{shown}");
    let german = desk.give("log show 1 --language de").await.unwrap();
    assert!(german.contains("Signiert: jc.example/exchange-log/1, 3 Einträge"), "{german}");
    for line in ["log show 700", "log prove 700 --out never"] {
        let unknown = desk.give(line).await.unwrap_err().to_string();
        assert!(unknown.starts_with("there is no entry 700 in this log: `lotse log list` shows"), "{line}: {unknown}");
    }
    let verified = desk.give("log verify").await.unwrap();
    assert!(verified.contains("Generation 1: 3 entries, 3 of them under"), "{verified}");
    assert!(verified.contains("Everything is as it was written"), "{verified}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_is_narrowed_by_days_of_germany() {
    let desk = Desk::new().await;
    let today = Calendar::Germany.day_of(desk.context.clock.now());
    let all = desk.give("log list").await.unwrap();
    for narrowed in [format!("--from {today}"), format!("--until {today}"), format!("--from {today} --until {today}")] {
        assert_eq!(desk.give(&format!("log list {narrowed}")).await.unwrap(), all, "{narrowed}");
    }
    let (before, after) = (today.yesterday().unwrap(), today.tomorrow().unwrap());
    for narrowed in [format!("--until {before}"), format!("--from {}", after.strftime("%d.%m.%Y"))] {
        assert_eq!(desk.give(&format!("log list {narrowed}")).await.unwrap(), "", "{narrowed}");
    }
    let reversed = desk.give(&format!("log list --from {after} --until {before}")).await.unwrap_err();
    let typed = format!("--from {after} is not before --until {before}, so no entry lies between");
    assert!(reversed.to_string().starts_with(&typed), "{reversed}");
    let reversed = desk.give("log list --from 2026-12-01 --until 30.11.2026").await.unwrap_err().to_string();
    let todo = "write an earlier --from or a later --until";
    assert_eq!(
        reversed,
        format!("--from 2026-12-01 is not before --until 30.11.2026, so no entry lies between: {todo}")
    );
    let wrong = desk.give("log list --from yesterday").await.unwrap_err().to_string();
    assert!(wrong.contains("write a day that exists as 01.04.2026 or 2026-04-01, or a time as"), "{wrong}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agency_that_nobody_knows_is_named_and_no_list_is_empty_for_its_sake() {
    let desk = Desk::new().await;
    let unknown = "no card of aa.exmaple is accepted here: none is accepted yet (`lotse peer accept`)";
    let stopped = desk.give("log list --peer aa.exmaple").await.unwrap_err().to_string();
    assert_eq!(stopped, unknown);
    assert_eq!(desk.give("log list --peer jc.example --kind alarm").await.unwrap(), "", "the own agency is known");
    desk.give("cert issue --role officer anna").await.unwrap();
    let running = Box::pin(start(&desk.folder(), Overrides::default())).await.unwrap();
    let said = desk.give("log list --officer anna --peer aa.exmaple").await.unwrap_err().to_string();
    assert!(said.contains(unknown) && said.contains("PEER_UNKNOWN"), "{said}");
    running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_id_that_is_none_is_called_so_by_the_name_of_its_option() {
    let desk = Desk::new().await;
    for (line, says) in [
        ("--peer AA-Hanau.hessen.example", "'--peer <AGENCY>': not an agency id: use 1 to 255 of a-z 0-9"),
        ("--record 1234", "'--record <ID>': not an identifier: give a UUID such as"),
    ] {
        let wrong = desk.give(&format!("log list {line}")).await.unwrap_err().to_string();
        assert!(wrong.contains(says), "{wrong}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_whose_tables_are_missing_is_refused_and_left_as_it_is() {
    let desk = Desk::new().await;
    fs::write(desk.folder().database(), b"").unwrap();
    for line in ["log verify", "log list"] {
        let (_, ended) = desk.ended(line).await;
        let refused = format!("{:#}", ended.unwrap_err());
        assert!(refused.contains("older than this program"), "{refused}");
        assert_eq!(fs::metadata(desk.folder().database()).unwrap().len(), 0, "{line}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_log_is_told_with_its_place_and_fails_the_command() {
    let desk = Desk::new().await;
    let url = format!("sqlite://{}", desk.folder().database().display());
    tamper::flip_entry_bit(&url, 1, 300);
    let (printed, ended) = desk.ended("log verify").await;
    assert!(printed.contains("FINDING: generation 1, entry 1: is not the entry that was signed"), "{printed}");
    assert!(ended.unwrap_err().to_string().contains("not as it was written"));
    let (json, _) = desk.ended("log verify --json").await;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert!(!json["findings"].as_array().unwrap().is_empty(), "{json}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proof_is_verified_offline_by_key_or_by_card() {
    let desk = Desk::new().await;
    let file = desk.path("entry.tlog-proof");
    let written = desk.give(&format!("log prove 1 --out {file}")).await.unwrap();
    let vkey = written.trim_end().rsplit(' ').next().unwrap().to_owned();
    let verified = desk.give(&format!("verify {file} --vkey {vkey}")).await.unwrap();
    assert!(verified.contains("Verified: entry 1 of jc.example/exchange-log/1"), "{verified}");
    let card = desk.folder().own_card();
    let fingerprint = crate::card_file::read(&card).unwrap().card.root.fingerprint().to_string();
    let (card, fingerprint) = (card.display(), fingerprint.replace(' ', "-"));
    desk.give(&format!("verify {file} --card {card} --fingerprint {fingerprint}")).await.unwrap();
    let wrong = fingerprint.replace(|digit: char| digit.is_ascii_digit(), "1");
    desk.give(&format!("verify {file} --card {card} --fingerprint {wrong}")).await.unwrap_err();
    let changed = fs::read_to_string(&file).unwrap().replace("index 1", "index 0");
    fs::write(&file, changed).unwrap();
    desk.give(&format!("verify {file} --vkey {vkey}")).await.unwrap_err();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_proving_prints_is_what_somebody_else_verifies_with() {
    let desk = Desk::new().await;
    let file = desk.path("entry.tlog-proof");
    let written = desk.give(&format!("log prove 1 --out {file}")).await.unwrap();
    let sent = desk.path("jc.example.card");
    desk.give(&format!("peer card --out {sent}")).await.unwrap();
    let command = written.lines().find_map(|line| line.trim_start().strip_prefix("lotse ")).unwrap();
    let (begun, fingerprint) = command.split_once(" --fingerprint ").unwrap();
    assert_eq!(begun, format!("verify {file} --card jc.example.card"));
    let command = format!("verify {file} --card {sent} --fingerprint {}", fingerprint.replace([' ', '"'], ""));
    let verified = desk.give(&command).await.unwrap();
    assert!(verified.contains("Verified: entry 1 of jc.example/exchange-log/1"), "{verified}");
    let without = desk.give(&format!("verify {file} --fingerprint 1")).await.unwrap_err();
    assert!(without.to_string().contains("`lotse peer card` writes it"), "{without}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_node_resumes_with_the_root_key_at_hand() {
    let desk = Desk::new().await;
    let database = desk.folder().database();
    let copy = fs::read(&database).unwrap();
    let card = crate::card_file::read(&desk.folder().own_card()).unwrap().card;
    assert_eq!((card.version, card.generation), (1, 1));
    desk.give("card draft").await.unwrap();
    fs::write(&database, &copy).unwrap();
    fs::remove_file(desk.folder().head().join("head.toml")).unwrap();
    let resumed = desk.give("log resume --reason restored").await.unwrap();
    assert!(resumed.contains("The old log was in doubt: the database has a signed head of 3 entries"), "{resumed}");
    assert!(resumed.contains("Generation 2 begins, card 2"), "{resumed}");
    desk.run_once().await;
    let verified = desk.give("log verify").await.unwrap();
    assert!(verified.contains("Generation 1: 3 entries") && verified.contains("Generation 2: 3 entries"), "{verified}");
    let listed = desk.give("log list").await.unwrap();
    assert!(listed.lines().nth(1).unwrap().ends_with("The own card, version 2, was installed."), "{listed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_node_resumes_in_two_steps_where_the_root_key_is_elsewhere() {
    let desk = Desk::new().await;
    let root_key = desk.path("root.key");
    fs::rename(desk.folder().root_key(), &root_key).unwrap();
    let drafted = desk.give("log resume --reason restored").await.unwrap();
    assert!(drafted.contains("nothing has changed yet"), "{drafted}");
    let unsigned = format!("log resume --reason restored --card {}", desk.folder().card_draft().display());
    desk.give(&unsigned).await.unwrap_err();
    let signed = desk.path("signed.card");
    let draft = desk.folder().card_draft();
    desk.give(&format!("card sign --key {root_key} {} --out {signed}", draft.display())).await.unwrap();
    let resumed = desk.give(&format!("log resume --reason restored --card {signed}")).await.unwrap();
    assert!(resumed.contains("Generation 2 begins"), "{resumed}");
    let again = desk.give(&format!("log resume --reason restored --card {signed}")).await.unwrap_err();
    assert!(again.to_string().contains("the next generation of this node is 3, the card names 2"), "{again}");
    desk.run_once().await;
    desk.give("log verify").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_nodes_log_is_read_with_an_officers_certificate_and_each_look_is_told() {
    let desk = Desk::new().await;
    desk.give("cert issue --role officer anna").await.unwrap();
    let running = Box::pin(start(&desk.folder(), Overrides::default())).await.unwrap();
    let nobody = desk.give("log list --officer ben").await.unwrap_err();
    assert!(nobody.to_string().contains("lotse cert issue --role officer ben"), "{nobody}");
    let listed = desk.give("log list --officer anna").await.unwrap();
    assert!(listed.lines().next().unwrap().ends_with("An officer read the log."), "{listed}");
    let paged = desk.give("log list --officer anna --limit 2").await.unwrap();
    assert_eq!(paged.lines().count(), 2, "{paged}");
    let shown = desk.give("log show 5 --officer anna").await.unwrap();
    assert!(shown.contains("Actor: spiffe://jc.example/officer/anna"), "{shown}");
    assert!(shown.contains("Detail: list\n"), "{shown}");
    let narrowed = desk.give("log list --officer anna --kind officer-looked").await.unwrap();
    assert_eq!(narrowed.lines().count(), 1, "all looks of a minute are one entry: {narrowed}");
    let file = desk.path("entry.tlog-proof");
    desk.give(&format!("log prove 0 --out {file} --officer anna")).await.unwrap();
    let card = desk.folder().own_card();
    let fingerprint = crate::card_file::read(&card).unwrap().card.root.fingerprint().to_string();
    let fingerprint = fingerprint.replace(' ', "-");
    desk.give(&format!("verify {file} --card {} --fingerprint {fingerprint}", card.display())).await.unwrap();
    let verified = desk.give("log verify").await.unwrap();
    assert!(verified.starts_with("The node is running"), "{verified}");
    let refused = desk.give("log resume --reason test").await.unwrap_err();
    assert!(refused.to_string().contains("is running"), "{refused}");
    let unknown = desk.give("log show 999 --officer anna").await.unwrap_err();
    assert!(unknown.to_string().contains("NOT_FOUND"), "{unknown}");
    running.stop().await.unwrap();
    assert!(desk.give("log verify").await.unwrap().contains("Everything is as it was written"));
}

impl Desk {
    fn fingerprint(&self) -> String {
        let card = crate::card_file::read(&self.folder().own_card()).unwrap().card;
        card.root.fingerprint().to_string().replace(' ', "")
    }

    /// Verifies an export by the fingerprint alone.
    async fn verify_export(&self, out: &str) -> anyhow::Result<String> {
        self.give(&format!("verify {out} --fingerprint {}", self.fingerprint())).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_nodes_log_is_exported_and_verified_by_fingerprint_or_key() {
    let desk = Desk::new().await;
    let out = desk.path("export");
    let exported = desk.give(&format!("log export --out {out}")).await.unwrap();
    assert!(exported.contains("3 entries of jc.example/exchange-log/1, 3 of them new"), "{exported}");
    let verified = desk.verify_export(&out).await.unwrap();
    assert!(verified.contains("Verified: 3 entries of jc.example/exchange-log/1"), "{verified}");
    let again = desk.give(&format!("log export --out {out}")).await.unwrap();
    assert!(again.contains("0 of them new; new documents: 0"), "{again}");
    let vkey = fs::read_to_string(format!("{out}/log.vkey")).unwrap();
    desk.give(&format!("verify {out} --vkey {}", vkey.trim_end())).await.unwrap();
    let card = desk.folder().own_card();
    let fingerprint = desk.fingerprint();
    desk.give(&format!("verify {out} --fingerprint {fingerprint} --card {}", card.display())).await.unwrap();
    let other = fingerprint.replace(|digit: char| digit.is_ascii_digit(), "1");
    let refused = desk.give(&format!("verify {out} --fingerprint {other}")).await.unwrap_err();
    assert!(refused.to_string().contains("not signed by the root key with this fingerprint"), "{refused}");
    fs::write(format!("{out}/tile/entries/000.p/3"), "other").unwrap();
    let (printed, ended) = desk.ended(&format!("verify {out} --fingerprint {fingerprint}")).await;
    assert!(printed.contains("FINDING: tile/entries/000.p/3: "), "{printed}");
    ended.unwrap_err();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_generation_is_a_log_of_its_own_with_an_export_of_its_own() {
    let desk = Desk::new().await;
    let (first, second) = (desk.path("first"), desk.path("second"));
    desk.give(&format!("log export --out {first}")).await.unwrap();
    desk.give("log resume --reason restored").await.unwrap();
    desk.run_once().await;
    let refused = desk.give(&format!("log export --out {first}")).await.unwrap_err();
    assert!(
        refused.to_string().contains("holds the export of another log than jc.example/exchange-log/2"),
        "{refused}"
    );
    desk.verify_export(&first).await.unwrap();
    desk.give(&format!("log export --generation 1 --out {first}")).await.unwrap();
    desk.give(&format!("log export --out {second}")).await.unwrap();
    for (out, generation) in [(&first, 1), (&second, 2)] {
        let verified = desk.verify_export(out).await.unwrap();
        assert!(verified.contains(&format!("jc.example/exchange-log/{generation}")), "{verified}");
    }
    let proof = format!("verify {second} --fingerprint {} --since {first}/checkpoint", desk.fingerprint());
    assert!(desk.give(&proof).await.is_err(), "one log does not continue another");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_that_was_cut_back_to_an_older_head_shows_against_a_newer_one() {
    let desk = Desk::new().await;
    let (first, second) = (desk.path("first"), desk.path("second"));
    desk.give(&format!("log export --out {first}")).await.unwrap();
    desk.give("cert issue --role officer anna").await.unwrap();
    let running = Box::pin(start(&desk.folder(), Overrides::default())).await.unwrap();
    desk.give("log list --officer anna").await.unwrap();
    running.stop().await.unwrap();
    desk.give(&format!("log export --out {second}")).await.unwrap();
    let verify = format!("--fingerprint {} --since", desk.fingerprint());
    let continued = desk.give(&format!("verify {second} {verify} {first}/checkpoint")).await.unwrap();
    assert!(continued.contains("The log continues the older one of 3 entries"), "{continued}");
    let (printed, ended) = desk.ended(&format!("verify {first} {verify} {second}/checkpoint")).await;
    assert!(
        printed.contains("FINDING: checkpoint: has fewer entries than the checkpoint that it should continue"),
        "{printed}"
    );
    ended.unwrap_err();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_that_was_interrupted_says_so_and_is_completed_by_the_next() {
    let desk = Desk::new().await;
    let out = desk.path("export");
    desk.give(&format!("log export --out {out}")).await.unwrap();
    for left in ["INCOMPLETE", "tile/0/000.p/1", "tile/entries/000.p/3.new"] {
        fs::write(format!("{out}/{left}"), "").unwrap();
    }
    let (printed, ended) = desk.ended(&format!("verify {out} --fingerprint {}", desk.fingerprint())).await;
    assert!(printed.contains("FINDING: INCOMPLETE: the export was interrupted"), "{printed}");
    assert!(printed.contains("FINDING: tile/0/000.p/1: does not belong to this export"), "{printed}");
    ended.unwrap_err();
    desk.give(&format!("log export --out {out}")).await.unwrap();
    desk.verify_export(&out).await.unwrap();
    fs::remove_file(format!("{out}/checkpoint")).unwrap();
    let refused = desk.give(&format!("log export --out {out}")).await.unwrap_err();
    assert!(refused.to_string().contains("holds something else than an export"), "{refused}");
    let damaged = desk.verify_export(&out).await.unwrap_err();
    assert!(damaged.to_string().contains("there is no checkpoint"), "{damaged}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_that_the_nodes_log_does_not_continue_is_left_as_it_is() {
    let desk = Desk::new().await;
    let out = desk.path("export");
    desk.give(&format!("log export --out {out}")).await.unwrap();
    let url = format!("sqlite://{}", desk.folder().database().display());
    tamper::flip_entry_bit(&url, 1, 300);
    let refused = desk.give(&format!("log export --out {out}")).await.unwrap_err();
    assert!(refused.to_string().contains("the log does not continue the exported one of 3 entries"), "{refused}");
    desk.verify_export(&out).await.unwrap();
    let empty = desk.path("empty");
    let refused = desk.give(&format!("log export --out {empty}")).await.unwrap_err();
    assert!(refused.to_string().contains("do not hash to the head"), "{refused}");
}
