//! What `lotse init` makes is what a node starts from; what it refuses leaves nothing behind.

use std::fs;
use std::sync::{Arc, Mutex};

use lotse_core::time::{DAY, Timestamp};

use crate::ambient::SystemRandom;
use crate::card_file;
use crate::commands::terminal::Terminal;
use crate::commands::{Context, run};
use crate::config::Config;
use crate::folder::Folder;
use crate::key_file::{NodeKeyFile, read_root};
use crate::start::{Overrides, start};
use crate::testing::ManualClock;

struct Desk {
    place: tempfile::TempDir,
    context: Context,
    clock: Arc<ManualClock>,
    output: Arc<Mutex<Vec<u8>>>,
}

impl Desk {
    fn new() -> Desk {
        let (clock, output) = (ManualClock::new(), Arc::new(Mutex::new(Vec::new())));
        let terminal = Terminal::to(output.clone());
        let context = Context { terminal, clock: clock.clone(), random: Arc::new(SystemRandom) };
        Desk { place: tempfile::tempdir().unwrap(), context, clock, output }
    }

    fn folder(&self, name: &str) -> Folder {
        Folder::new(self.place.path().join(name))
    }

    /// Gives a command about a folder; returns what it printed.
    async fn give(&self, line: &str, folder: &str) -> anyhow::Result<String> {
        let path = self.folder(folder).path().display().to_string();
        let arguments = std::iter::once("lotse").chain(line.split(' ')).chain(["--folder", &path]);
        run(arguments.map(String::from).collect::<Vec<_>>(), &self.context).await?;
        Ok(String::from_utf8(std::mem::take(&mut *self.output.lock().unwrap())).unwrap())
    }

    async fn init(&self, folder: &str, more: &str) -> anyhow::Result<String> {
        let line = "init --agency jc.example --name Jobcenter --kind jobcenter_ge --peer-address lotse.jc.example:8443";
        self.give(&format!("{line}{more}"), folder).await
    }
}

#[tokio::test]
async fn init_makes_everything_a_node_starts_from() {
    let desk = Desk::new();
    let printed = desk.init("node", " --system akte --system portal").await.unwrap();
    let folder = desk.folder("node");
    let config = Config::load(&folder).unwrap();
    assert_eq!(config.systems.len(), 2);
    let card_file::CardFile { seal, card } = card_file::read(&folder.own_card()).unwrap();
    assert!(card.is_signed(&seal) && card.fault().is_none());
    assert_eq!(card.version, 1);
    assert_eq!(card.endpoints, ["lotse.jc.example:8443"]);
    let root = read_root(&folder.root_key()).unwrap();
    assert!(printed.contains(&root.public().fingerprint().to_string()));
    NodeKeyFile::read(&folder.node_keys()).unwrap();
    let listed = desk.give("cert list", "node").await.unwrap();
    for id in ["node/1", "admin/default", "officer/default", "system/akte", "system/portal"] {
        assert!(listed.contains(&format!("spiffe://jc.example/{id}")), "{listed}");
    }
}

#[tokio::test]
async fn the_nodes_certificate_names_where_peers_and_own_systems_reach_it() {
    use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};
    let desk = Desk::new();
    desk.init("node", " --listen-agency 10.1.0.5:8444").await.unwrap();
    let folder = desk.folder("node");
    let text = fs::read_to_string(folder.config()).unwrap();
    fs::write(folder.config(), text.replace("# agency_names", "agency_names")).unwrap();
    desk.give("cert issue --role node 1", "node").await.unwrap();
    let pem = fs::read(folder.node_certificate()).unwrap();
    let (_, pem) = x509_parser::pem::parse_x509_pem(&pem).unwrap();
    let (_, certificate) = X509Certificate::from_der(&pem.contents).unwrap();
    let names = &certificate.subject_alternative_name().unwrap().unwrap().value.general_names;
    for wanted in [
        GeneralName::URI("spiffe://jc.example/node/1"),
        GeneralName::DNSName("lotse.jc.example"),
        GeneralName::DNSName("lotse.intern"),
        GeneralName::IPAddress(&[10, 1, 0, 5]),
    ] {
        assert!(names.contains(&wanted), "{wanted} is missing: {names:?}");
    }
}

#[tokio::test]
async fn a_node_whose_keys_are_missing_does_not_start_and_says_where_they_come_from() {
    let desk = Desk::new();
    desk.init("node", "").await.unwrap();
    let folder = desk.folder("node");
    for missing in [folder.vault_keys(), folder.node_keys()] {
        fs::remove_file(&missing).unwrap();
        let refused = format!("{:#}", start(&folder, Overrides::default()).await.err().unwrap());
        assert!(refused.contains(&format!("put {} back from its backup", missing.display())), "{refused}");
    }
}

#[tokio::test]
async fn a_node_with_another_nodes_keys_does_not_start_and_signs_nothing() {
    let desk = Desk::new();
    desk.init("node", "").await.unwrap();
    desk.init("other", "").await.unwrap();
    let folder = desk.folder("node");
    fs::copy(desk.folder("other").node_keys(), folder.node_keys()).unwrap();
    let refused = format!("{:#}", start(&folder, Overrides::default()).await.err().unwrap());
    assert!(refused.contains("the sealing key of the node is not among the valid ones of its card"), "{refused}");
    assert!(refused.contains("put the right key file back"), "{refused}");
    assert!(fs::read_dir(folder.head()).unwrap().next().is_none(), "no head was stored");
}

#[tokio::test]
async fn a_node_with_another_agencys_card_does_not_start() {
    let desk = Desk::new();
    desk.init("node", "").await.unwrap();
    let folder = desk.folder("node");
    let text = fs::read_to_string(folder.config()).unwrap();
    fs::write(folder.config(), text.replace("\"jc.example\"", "\"aa.example\"")).unwrap();
    let refused = format!("{:#}", start(&folder, Overrides::default()).await.err().unwrap());
    assert!(refused.contains("is the card of jc.example, lotse.toml says aa.example"), "{refused}");
}

#[tokio::test]
async fn what_is_explained_is_one_referral_as_json_and_a_csv_file_is_told_so() {
    let desk = Desk::new();
    desk.init("node", "").await.unwrap();
    let file = desk.place.path().join("referrals.csv");
    fs::write(&file, b"Aktenzeichen;Stra\xdfe\r\nAkte-1;Nussallee 7\r\n").unwrap();
    let refused = format!("{:#}", desk.give(&format!("explain --file {}", file.display()), "node").await.unwrap_err());
    assert!(
        refused.contains("is not one referral as proto JSON, the only format that is explained (no CSV"),
        "{refused}"
    );
    assert!(!refused.contains("Nussallee"), "{refused}");
}

#[tokio::test]
async fn init_refuses_a_folder_with_something_in_it() {
    let desk = Desk::new();
    desk.init("node", "").await.unwrap();
    let before = fs::read(desk.folder("node").root_key()).unwrap();
    let refused = desk.init("node", "").await.unwrap_err();
    assert!(refused.to_string().contains("is not empty"), "{refused}");
    assert_eq!(fs::read(desk.folder("node").root_key()).unwrap(), before);
}

#[tokio::test]
async fn an_address_that_no_node_calls_is_refused_and_leaves_nothing_behind() {
    let desk = Desk::new();
    let refused = desk.init("node", " --peer-address 127.0.0.1:8443").await.unwrap_err().to_string();
    assert!(refused.starts_with("other agencies' nodes do not call 127.0.0.1:8443: give --peer-address"), "{refused}");
    assert!(!desk.folder("node").path().exists());
    desk.init("node", " --peer-address 127.0.0.1:8443 --allow-loopback").await.unwrap();
    desk.init("other", " --peer-address 169.254.0.7:8443 --allow-loopback").await.unwrap_err();
}

#[tokio::test]
async fn an_existing_pki_is_used_where_it_is_and_must_be_this_agencys() {
    let desk = Desk::new();
    desk.init("pki", "").await.unwrap();
    let pki = desk.folder("pki").path().join("pki").display().to_string();
    let existing = |leaf: &str| {
        format!(
            " --existing-bundle {pki}/ca.crt --existing-certificate {pki}/{leaf}.crt --existing-key {pki}/{leaf}.key"
        )
    };
    let refused = desk.init("node", &existing("issued/admin-default")).await.unwrap_err();
    assert!(refused.to_string().contains("spiffe://jc.example/node/"), "{refused}");
    assert!(!desk.folder("node").path().exists(), "what is refused leaves nothing behind");
    desk.init("node", &existing("node")).await.unwrap();
    let folder = desk.folder("node");
    assert!(Config::load(&folder).unwrap().files.tls(&folder).chain.ends_with("pki/pki/node.crt"));
    assert!(!folder.ca_key().exists());
    let refused = desk.give("cert issue --role admin x", "node").await.unwrap_err();
    assert!(refused.to_string().contains("PKI of its own"), "{refused}");
    assert!(desk.init("other", &format!(" --existing-bundle {pki}/ca.crt")).await.is_err(), "all three or none");
}

#[tokio::test]
async fn a_card_is_drafted_signed_elsewhere_and_installed_on_a_stopped_node() {
    let desk = Desk::new();
    desk.init("node", "").await.unwrap();
    let folder = desk.folder("node");
    let first = card_file::read(&folder.own_card()).unwrap().card;
    let away = desk.place.path().join("safe.key");
    fs::rename(folder.root_key(), &away).unwrap();
    NodeKeyFile::create(&folder.node_keys(), desk.context.clock.now(), &SystemRandom).unwrap();
    desk.clock.turn(DAY);
    desk.give("card draft", "node").await.unwrap();
    desk.give("card sign", "node").await.unwrap_err();
    desk.give(&format!("card sign --key {}", away.display()), "node").await.unwrap();
    let held = folder.lock().unwrap();
    desk.give("card install", "node").await.unwrap_err();
    drop(held);
    desk.give("card install", "node").await.unwrap();
    let second = card_file::read(&folder.own_card()).unwrap().card;
    assert_eq!((second.version, second.generation), (2, 1));
    assert!(second.valid_until > first.valid_until);
    assert_eq!(second.keys.len(), 6, "exchanged keys still count for what they signed");
    let retired = |at: Timestamp| second.keys.iter().filter(|key| key.not_after == at).count();
    assert_eq!(retired(desk.context.clock.now()), 3);
}

#[tokio::test]
async fn a_card_that_is_not_the_next_one_of_this_root_is_not_installed() {
    let desk = Desk::new();
    desk.init("node", "").await.unwrap();
    desk.init("twin", "").await.unwrap();
    let path = |name: &str| desk.folder(name).own_card().display().to_string();
    desk.give("card draft", "twin").await.unwrap();
    desk.give("card sign", "twin").await.unwrap();
    let foreign = desk.folder("twin").path().join("cards/next.card").display().to_string();
    let refused = desk.give(&format!("card install {foreign}"), "node").await.unwrap_err();
    assert!(refused.to_string().contains("CARD_ROOT_CHANGED"), "{refused}");
    desk.give(&format!("card install {}", path("node")), "node").await.unwrap();
}

#[tokio::test]
async fn an_issued_certificate_says_role_name_and_end() {
    let desk = Desk::new();
    desk.init("node", "").await.unwrap();
    let printed = desk.give("cert issue --role officer m.sommer --days 30", "node").await.unwrap();
    assert!(printed.contains("spiffe://jc.example/officer/m.sommer"), "{printed}");
    let printed = desk.give("cert issue --role system neu", "node").await.unwrap();
    assert!(printed.contains("may call nothing yet"), "{printed}");
    for wrong in ["--role clerk x", "--role system .. ", "--role system x --days 4000"] {
        assert!(desk.give(&format!("cert issue {wrong}"), "node").await.is_err(), "{wrong}");
    }
}
