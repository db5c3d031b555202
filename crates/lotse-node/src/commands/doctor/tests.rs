//! Each finding comes from a folder that was broken for it. Nodes stand still here; running ones are in the stories.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lotse_core::id::AgencyId;
use lotse_core::reason::Reason;
use lotse_core::time::{Clock, DAY};
use lotse_proto::admin::v1::{GetStatusResponse, Peer};
use lotse_store::outbox::{Oldest, WaitReason, Waiting};
use serde_json::Value;

use super::*;
use crate::action::get_status::get_status;
use crate::ambient::SystemRandom;
use crate::commands::init::{InitOptions, init};
use crate::commands::terminal::Terminal;
use crate::commands::{check, run};
use crate::folder::Folder;
use crate::start::{Overrides, start};
use crate::testing::{ManualClock, TestNode, init_options};
use crate::tls::tests::kit::HandClock;

/// A node that ran once and stopped, and a doctor.
struct Ward {
    parent: tempfile::TempDir,
    clock: Arc<ManualClock>,
}

impl Ward {
    async fn new() -> Ward {
        let ward = Ward { parent: tempfile::tempdir().unwrap(), clock: ManualClock::new() };
        let peer_address = vec!["127.0.0.1:9".into()];
        let options = InitOptions { peer_address, allow_loopback: true, ..init_options(&["akte"]) };
        init(&ward.folder(), &options, ward.clock.now(), &SystemRandom).unwrap();
        ward.run_once().await;
        fs::rename(ward.folder().root_key(), ward.parent.path().join("root.key")).unwrap();
        ward
    }

    fn folder(&self) -> Folder {
        Folder::new(self.parent.path().join("node"))
    }

    async fn run_once(&self) {
        let overrides = Overrides { clock: self.clock.clone(), ..Overrides::default() };
        start(&self.folder(), overrides).await.unwrap().stop().await.unwrap();
    }

    async fn give(&self, line: &[&str]) -> (String, anyhow::Result<()>) {
        let output = Arc::new(Mutex::new(Vec::new()));
        let context = Context {
            terminal: Terminal::to(output.clone()),
            clock: self.clock.clone(),
            random: Arc::new(SystemRandom),
        };
        let path = self.folder().path().display().to_string();
        let arguments = [&["lotse"], line, &["--folder", path.as_str()]].concat();
        let done = run(arguments.into_iter().map(String::from).collect::<Vec<_>>(), &context).await;
        let printed = String::from_utf8(output.lock().unwrap().clone()).unwrap();
        (printed, done)
    }

    /// Lets the doctor look; every command that it names is one.
    async fn look(&self) -> Vec<Value> {
        let (printed, done) = self.give(&["doctor", "--json"]).await;
        let report: Value = serde_json::from_str(&printed).unwrap();
        let findings = report["findings"].as_array().unwrap().clone();
        let count = |health| findings.iter().filter(|finding| finding["health"] == health).count();
        let code = done.err().map_or(0, |error| error.downcast_ref::<Unwell>().unwrap().exit_code());
        let expected = if count("problem") > 0 { 2 } else { u8::from(count("warning") > 0) };
        assert_eq!(code, expected, "{printed}");
        for finding in &findings {
            assert_eq!(finding["health"] == "ok", finding["todo"] == "", "what is not well says what to do: {finding}");
            let todo = finding["todo"].as_str().unwrap();
            let commands = todo.split('`').skip(1).step_by(2).filter(|command| command.starts_with("lotse "));
            commands.for_each(known);
        }
        findings
    }

    /// Lets the doctor look, and finds what is not as it was in a healthy folder.
    async fn finds(&self, area: &str, health: &str, words: &str) {
        let findings = self.look().await;
        let found = findings.iter().find(|finding| {
            finding["area"] == area && finding["health"] == health && finding["seen"].as_str().unwrap().contains(words)
        });
        assert!(found.is_some(), "{area}, {health}, {words}: {}", serde_json::to_string_pretty(&findings).unwrap());
    }

    fn place(&self) -> Place {
        let terminal = Terminal::to(Arc::new(Mutex::new(Vec::new())));
        let context = Context { terminal, clock: self.clock.clone(), random: Arc::new(SystemRandom) };
        Place::enter(self.folder(), &context).unwrap()
    }

    fn configure(&self, old: &str, new: &str) {
        let text = fs::read_to_string(self.folder().config()).unwrap();
        assert_eq!(text.matches(old).count(), 1, "{old}");
        fs::write(self.folder().config(), text.replace(old, new)).unwrap();
    }
}

/// A command of a finding, with quotes as a shell reads them.
fn known(command: &str) {
    let mut words = Vec::new();
    for (number, part) in command.split('\'').enumerate() {
        if number % 2 == 1 {
            words.push(part.to_string())
        } else {
            words.extend(part.split_whitespace().map(String::from))
        }
    }
    check(&words).unwrap_or_else(|error| panic!("{command}: {error}"));
}

#[tokio::test]
async fn a_held_folder_whose_node_does_not_answer_is_told_once_with_the_address() {
    let ward = Ward::new().await;
    let _held = ward.folder().lock().unwrap();
    fs::write(ward.folder().ports(), "peer = \"127.0.0.1:1\"\nagency = \"127.0.0.1:1\"\n").unwrap();
    let findings = ward.look().await;
    let found = findings.iter().find(|finding| finding["area"] == "node" && finding["health"] == "problem").unwrap();
    let seen = found["seen"].as_str().unwrap();
    assert!(
        seen.starts_with("its folder is held, and the node does not answer: cannot connect to 127.0.0.1:"),
        "{seen}"
    );
    assert_eq!(seen.matches("does not answer").count(), 1, "{seen}");
}

#[tokio::test]
async fn a_stopped_node_without_peers_has_only_the_warnings_that_it_deserves() {
    let ward = Ward::new().await;
    let findings = ward.look().await;
    let unwell: Vec<_> = findings.iter().filter(|finding| finding["health"] != "ok").collect();
    let areas: Vec<_> = unwell.iter().map(|finding| finding["area"].as_str().unwrap()).collect();
    assert_eq!(areas, ["node", "peer", "agreement"], "{unwell:?}");
    for area in ["certificate", "key", "card", "clock", "database", "disk", "head_store", "log", "outbox"] {
        assert!(findings.iter().any(|finding| finding["area"] == area), "{area} was looked at");
    }
    let (printed, _) = ward.give(&["doctor"]).await;
    assert!(printed.contains("to do: `lotse run --folder ") && printed.contains("0 problems, 3 warnings"), "{printed}");
    ward.run_once().await;
}

#[tokio::test]
async fn certificates_that_end_or_have_ended_are_found() {
    let ward = Ward::new().await;
    ward.clock.turn(DAY * 340);
    ward.finds("certificate", "warning", "spiffe://jc.example/node/1 ends on").await;
    ward.finds("certificate", "warning", "spiffe://jc.example/admin/default ends on").await;
    ward.clock.turn(DAY * 30);
    ward.finds("certificate", "problem", "has expired").await;
    ward.finds("card", "problem", "nothing is released").await;
    ward.clock.turn(DAY * 3200);
    ward.finds("certificate", "warning", "the authority ends on").await;
    ward.clock.turn(DAY * 200);
    ward.finds("certificate", "problem", "the authority has expired").await;
}

#[tokio::test]
async fn certificates_of_another_key_agency_or_authority_are_found() {
    let ward = Ward::new().await;
    let folder = ward.folder();
    let admin = folder.issued().join("admin-default.crt");
    let (key, chain) = (fs::read(folder.node_key()).unwrap(), fs::read(folder.node_certificate()).unwrap());
    fs::copy(folder.issued().join("admin-default.key"), folder.node_key()).unwrap();
    ward.finds("certificate", "problem", "the key does not belong to the certificate").await;
    fs::write(folder.node_key(), key).unwrap();
    fs::copy(&admin, folder.node_certificate()).unwrap();
    ward.finds("certificate", "problem", "it is spiffe://jc.example/admin/default").await;
    fs::write(folder.node_certificate(), "nothing").unwrap();
    ward.finds("certificate", "problem", "holds no certificate").await;
    fs::write(folder.node_certificate(), &chain).unwrap();
    fs::remove_file(&admin).unwrap();
    ward.finds("certificate", "warning", "commands of the administrator").await;
    ward.configure("# agency_names", "agency_names");
    ward.finds("certificate", "warning", "it does not name lotse.intern").await;
    fs::write(folder.ca_certificate(), "nothing").unwrap();
    ward.finds("certificate", "problem", "holds no certificate").await;
}

#[tokio::test]
async fn keys_that_are_gone_open_to_others_or_online_are_found() {
    let ward = Ward::new().await;
    let folder = ward.folder();
    fs::set_permissions(folder.node_keys(), fs::Permissions::from_mode(0o640)).unwrap();
    ward.finds("key", "problem", "mode 640").await;
    fs::remove_file(folder.vault_keys()).unwrap();
    ward.finds("key", "problem", "cannot read").await;
    fs::write(folder.node_keys(), "nothing").unwrap();
    ward.finds("key", "problem", "no file of node keys").await;
    fs::copy(ward.parent.path().join("root.key"), folder.root_key()).unwrap();
    ward.finds("key", "warning", "the root key lies on the node").await;
}

#[tokio::test]
async fn a_card_that_is_gone_ends_or_says_something_else_is_found() {
    let ward = Ward::new().await;
    let folder = ward.folder();
    ward.configure("[\"127.0.0.1:9\"]", "[\"lotse.jc.example:8443\"]");
    ward.finds("card", "warning", "lotse.toml says lotse.jc.example:8443").await;
    let root = ward.parent.path().join("root.key").display().to_string();
    ward.give(&["card", "draft"]).await.1.unwrap();
    ward.give(&["card", "sign", "--key", &root]).await.1.unwrap();
    ward.give(&["card", "install"]).await.1.unwrap();
    ward.finds("card", "warning", "version 2 is not installed yet").await;
    ward.run_once().await;
    let card = fs::read(folder.own_card()).unwrap();
    fs::remove_file(folder.own_card()).unwrap();
    ward.finds("card", "warning", "the card is not there; the node has it").await;
    fs::write(folder.own_card(), "nothing").unwrap();
    ward.finds("card", "problem", "no card file").await;
    fs::copy(folder.card_draft(), folder.own_card()).unwrap();
    ward.finds("card", "problem", "its root key has not signed it").await;
    fs::write(folder.own_card(), card).unwrap();
    fs::copy(Ward::new().await.folder().node_keys(), folder.node_keys()).unwrap();
    ward.finds("card", "problem", "it does not name the node's sealing key").await;
    fs::copy(Ward::new().await.folder().ca_certificate(), folder.ca_certificate()).unwrap();
    ward.finds("card", "problem", "it does not name each authority").await;
    ward.finds("certificate", "problem", "no authority of the named agency issued the certificate").await;
}

#[tokio::test]
async fn a_node_with_foreign_keys_and_no_card_in_its_folder_does_not_start() {
    let ward = Ward::new().await;
    ward.run_once().await;
    fs::remove_file(ward.folder().own_card()).unwrap();
    ward.run_once().await;
    fs::copy(Ward::new().await.folder().node_keys(), ward.folder().node_keys()).unwrap();
    let overrides = Overrides { clock: ward.clock.clone(), ..Overrides::default() };
    let refused = format!("{:#}", start(&ward.folder(), overrides).await.err().unwrap());
    assert!(refused.contains("the sealing key of the node is not among the valid ones of its card"), "{refused}");
}

#[tokio::test]
async fn a_clock_behind_the_log_is_found() {
    let ward = Ward::new().await;
    ward.clock.turn_back(Duration::from_secs(121));
    ward.finds("clock", "problem", "lies 121 s ahead of the clock").await;
}

#[tokio::test]
async fn a_head_that_is_lost_broken_old_or_foreign_is_found() {
    let ward = Ward::new().await;
    let folder = ward.folder();
    let head = folder.head().join("head.toml");
    let good = fs::read_to_string(&head).unwrap();
    fs::remove_file(&head).unwrap();
    ward.finds("head_store", "problem", "the head is not there").await;
    fs::write(&head, good.replace("size = ", "size = 1")).unwrap();
    ward.finds("head_store", "problem", "the checksum differs").await;
    fs::copy(Ward::new().await.folder().head().join("head.toml"), &head).unwrap();
    ward.finds("head_store", "problem", "name different roots").await;
    fs::remove_dir_all(folder.head()).unwrap();
    ward.finds("head_store", "problem", "cannot use").await;
    assert!(!folder.head().exists(), "the doctor makes nothing");
}

#[tokio::test]
async fn a_database_that_was_put_back_is_lost_or_harmed_is_found() {
    let ward = Ward::new().await;
    let (folder, backup) = (ward.folder(), ward.parent.path().join("backup"));
    fs::copy(folder.database(), &backup).unwrap();
    ward.configure("[\"127.0.0.1:9\"]", "[\"lotse.jc.example:8443\"]");
    let root = ward.parent.path().join("root.key").display().to_string();
    for line in [&["card", "draft"][..], &["card", "sign", "--key", &root], &["card", "install"]] {
        ward.give(line).await.1.unwrap();
    }
    ward.run_once().await;
    ward.run_once().await;
    fs::copy(&backup, folder.database()).unwrap();
    ward.finds("head_store", "problem", "it was put back from a backup").await;
    fs::remove_file(folder.own_card()).unwrap();
    ward.finds("card", "problem", "version 2 was installed once, the database has 1").await;
    let mut bytes = fs::read(&backup).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..].fill(0x55);
    fs::write(folder.database(), &bytes).unwrap();
    ward.finds("database", "problem", "").await;
    fs::remove_file(folder.database()).unwrap();
    ward.finds("database", "problem", "there is none at").await;
}

#[tokio::test]
async fn a_revocation_list_that_ends_soon_or_has_ended_is_found() {
    let ward = Ward::new().await;
    ward.give(&["cert", "revoke"]).await.1.unwrap();
    ward.clock.turn(DAY * 21);
    ward.finds("certificate", "warning", "ends soon").await;
    ward.clock.turn(DAY * 10);
    ward.finds("certificate", "problem", "the revocation list has expired").await;
    let admin = ward.folder().issued().join("admin-default.crt").display().to_string();
    ward.give(&["cert", "revoke", "--certificate", &admin]).await.1.unwrap();
    ward.finds("certificate", "problem", "the certificate was revoked").await;
    let findings = ward.look().await;
    let revoked = findings.iter().find(|finding| finding["seen"].as_str().unwrap().contains("was revoked")).unwrap();
    let todo = revoked["todo"].as_str().unwrap();
    assert!(todo.starts_with("remove it and its key if that was meant; else "), "{todo}");
}

#[tokio::test]
async fn what_a_running_node_says_of_clocks_log_and_outbox_is_judged() {
    let ward = Ward::new().await;
    let place = ward.place();
    let mut stored = Stored::read(&place, &mut Vec::new()).await.unwrap();
    let skewed =
        |agency: &str, clock_difference_ms| Peer { agency: agency.into(), clock_difference_ms, ..Peer::default() };
    let peers = vec![skewed("a.example", 30_000), skewed("b.example", -31_000), skewed("c.example", 121_000)];
    let status = GetStatusResponse { log_hold: "root differs".into(), clock_stepped_back: true, ..Default::default() };
    let mut live = Live { status, peers };
    let clocks: Vec<_> = clock::examine(&place, &stored, Some(&live)).iter().map(|finding| finding.health).collect();
    assert_eq!(clocks, [Health::Problem, Health::Warning, Health::Problem], "own, b, c");
    assert!(log::examine(&place, &stored, Some(&live)).seen.contains("root differs"));
    live.status.log_hold.clear();
    assert_eq!(log::examine(&place, &stored, Some(&live)).health, Health::Ok);
    stored.unsigned_since = Some(place.now.minus(Duration::from_secs(61)));
    assert!(log::examine(&place, &stored, Some(&live)).seen.contains("has waited 61 s"));

    let peer: AgencyId = "a.example".parse().unwrap();
    stored.waiting = vec![Waiting { peer: peer.clone(), due: 1, in_doubt: 2 }];
    for (minutes, health) in [(60, Health::Ok), (61, Health::Warning)] {
        let since = place.now.minus(Duration::from_secs(60 * minutes));
        stored.oldest = vec![Oldest { peer: peer.clone(), since }];
        let findings = outbox::examine(&place, &stored);
        assert_eq!((findings.len(), findings[0].health), (2, health));
        assert!(findings[0].seen.contains(&format!("1 due, 2 in doubt, the oldest for {minutes} minutes")));
    }
    stored.wait_reasons = vec![WaitReason { peer, reason: Reason::PeerSuspended, items: 1 }];
    let findings = outbox::examine(&place, &stored);
    assert!(findings[0].seen.ends_with("1 tried, because the exchange with this agency is suspended (PEER_SUSPENDED)"));
}

#[tokio::test]
async fn record_ids_that_stand_in_the_outbox_twice_are_a_problem() {
    let ward = Ward::new().await;
    let mut stored = Stored::read(&ward.place(), &mut Vec::new()).await.unwrap();
    assert_eq!(stored.repeated, Some(0));
    for (repeated, health) in [(Some(0), Health::Ok), (Some(2), Health::Problem), (None, Health::Warning)] {
        stored.repeated = repeated;
        let findings = outbox::examine(&ward.place(), &stored);
        assert_eq!(findings.last().unwrap().health, health);
    }
}

#[tokio::test]
async fn a_peers_card_that_ends_has_ended_or_is_an_older_one_is_found() {
    let ward = Ward::new().await;
    let (one, two) = (TestNode::new("jc.example").await, TestNode::new("aa.example").await);
    one.accept(&two).await;
    let federation = one.federation.get();
    let known = &federation.peers[&two.agency];
    let seen = async |announced_card_version| {
        let answer = Peer { agency: "aa.example".into(), announced_card_version, ..Peer::default() };
        let live = Live { status: GetStatusResponse::default(), peers: vec![answer] };
        let finding = peer::card(&ward.place(), known, Some(&live));
        (finding.health, finding.seen)
    };
    assert!(seen(1).await.1.ends_with("no contact since this node started"));
    let (health, text) = seen(2).await;
    assert_eq!((health, text.as_str()), (Health::Warning, "its card 2 is not here yet, 1 is"));
    let waits =
        Peer { agency: "aa.example".into(), problem: "what is due waits".into(), items_due: 1, ..Peer::default() };
    let live = Live { status: GetStatusResponse::default(), peers: vec![waits] };
    let finding = peer::card(&ward.place(), known, Some(&live));
    assert_eq!((finding.health, finding.seen.as_str()), (Health::Warning, "what is due waits"));
    ward.clock.turn(DAY * 340);
    assert!(seen(1).await.1.contains("its card ends on"));
    ward.clock.turn(DAY * 30);
    assert_eq!(seen(1).await.0, Health::Problem);
}

#[tokio::test]
async fn a_configuration_that_cannot_be_read_is_the_one_finding() {
    let ward = Ward::new().await;
    ward.configure("[database]", "[databases]");
    ward.finds("configuration", "problem", "databases").await;
}

#[tokio::test]
async fn alarms_of_a_running_node_are_findings_unless_they_are_found_otherwise() {
    let (place, clock, printed) = (tempfile::tempdir().unwrap(), HandClock::new(), Arc::new(Mutex::new(Vec::new())));
    let folder = Folder::new(place.path().join("jc"));
    let path = folder.path().display().to_string();
    let context =
        || Context { terminal: Terminal::to(printed.clone()), clock: clock.clone(), random: Arc::new(SystemRandom) };
    let line = "lotse init --agency jc.example --name X --kind jobcenter_ge --peer-address lotse.jc.example:8443 \
                --listen-peer 127.0.0.1:0 --listen-agency 127.0.0.1:0 --folder";
    run(line.split_whitespace().chain([&*path]).collect::<Vec<_>>(), &context()).await.unwrap();
    let node = start(&folder, Overrides { clock: clock.clone(), ..Overrides::default() }).await.unwrap();
    clock.turn(DAY * 340);
    let peer: AgencyId = "aa.example".parse().unwrap();
    node.node().links.refuse(&peer, clock.now(), "a batch was refused: its seal is wrong".into());
    printed.lock().unwrap().clear();
    Box::pin(run(["lotse", "doctor", "--json", "--folder", &path], &context())).await.unwrap_err();
    let report: Value = serde_json::from_slice(&printed.lock().unwrap()).unwrap();
    let findings = report["findings"].as_array().unwrap();
    let alarms = get_status(node.node()).await.unwrap().alarms;
    assert!(alarms.len() >= 3, "of card, certificate and batch: {alarms:?}");
    for alarm in &alarms {
        let says = |finding: &&Value| finding["health"] != "ok" && alarm.contains(finding["seen"].as_str().unwrap());
        assert_eq!(findings.iter().filter(says).count(), 1, "{alarm}: {report:#}");
    }
    let listed: Vec<_> = findings.iter().filter(|finding| finding["area"] == "alarm").collect();
    assert_eq!(listed.len(), 1, "{listed:?}");
    assert!(listed[0]["seen"].as_str().unwrap().starts_with("aa.example: a batch was refused"), "{listed:?}");
    node.stop().await.unwrap();
}
