//! Calls to the running node: over mutual TLS, with a certificate from the node's folder.

use std::fmt::Display;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, anyhow, bail};
use lotse_core::reason::Reason;
use lotse_core::time::Clock;
use lotse_proto::admin::v1::admin_service_client::AdminServiceClient;
use lotse_proto::agency::v1::referral_service_client::ReferralServiceClient;
use tonic::Status;
use tonic::transport::Channel;
use tonic_types::StatusExt;

use crate::config::Config;
use crate::edge::{Addresses, CallFault, Connector, MAX_MESSAGE_BYTES};
use crate::folder::{Folder, FolderError};
use crate::identity::{Role, Side};
use crate::start::Ports;
use crate::tls::{Credentials, Refusal, TlsFiles, TrustStore};

/// The administrator's certificate that commands use.
pub const ADMIN_NAME: &str = "default";

/// The officer's certificate that `lotse log` uses.
pub const OFFICER_NAME: &str = "default";

/// Tells whether a node, or a command, holds the folder.
pub fn is_running(folder: &Folder) -> anyhow::Result<bool> {
    match folder.lock() {
        Ok(_lock) => Ok(false),
        Err(FolderError::Held(_)) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

/// Opens the admin service of the running node.
pub fn admin(folder: &Folder, clock: &Arc<dyn Clock>) -> anyhow::Result<AdminServiceClient<Channel>> {
    let channel = channel(folder, Role::Admin, ADMIN_NAME, clock)?;
    Ok(AdminServiceClient::new(channel)
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES))
}

/// Opens the referral service of the running node for a system.
pub fn referral(
    folder: &Folder,
    system: &str,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<ReferralServiceClient<Channel>> {
    let channel = channel(folder, Role::System, system, clock)?;
    Ok(ReferralServiceClient::new(channel)
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES))
}

/// Opens a channel to the agency port of the running node, with an issued certificate of the folder.
pub fn channel(folder: &Folder, role: Role, name: &str, clock: &Arc<dyn Clock>) -> anyhow::Result<Channel> {
    let config = Config::load(folder)?;
    let [chain, key] = issued_files(folder, role, name);
    if !chain.exists() {
        bail!(
            "{} is not there: `lotse cert issue --role {role} {name}` makes it; with a PKI of your own, put certificate and key there",
            chain.display()
        );
    }
    let files = TlsFiles { chain: chain.clone(), key, ..config.files.tls(folder) };
    let credentials = Credentials::load(files, Arc::new(TrustStore::default()), clock.now())?;
    // A node that refuses it may hang up without a word.
    let unusable = |refusal| UnusableCertificate::new(&chain, (role, name), refusal);
    credentials.check(Side::Client, clock.clone()).map_err(unusable)?;
    let connector = Connector { credentials, clock: clock.clone(), addresses: Addresses::RoutedAndLoopback };
    let address = address(folder, &config)?;
    Ok(connector.channel(&address.to_string(), &config.agency.id)?)
}

/// Returns where certificate and key of an issued leaf lie.
pub fn issued_files(folder: &Folder, role: Role, name: &str) -> [PathBuf; 2] {
    ["crt", "key"].map(|end| folder.issued().join(format!("{role}-{name}.{end}")))
}

/// Where the node listens for its agency: what it wrote when it started, else what is configured.
fn address(folder: &Folder, config: &Config) -> anyhow::Result<SocketAddr> {
    let mut address = match fs::read_to_string(folder.ports()) {
        Ok(text) => {
            toml::from_str::<Ports>(&text).context("run/ports.toml is not understood: start the node again")?.agency
        }
        Err(_) => config.listen.agency,
    };
    if address.port() == 0 {
        bail!("the node of {} does not run: start it with `lotse run`", folder.path().display());
    }
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    Ok(address)
}

/// What to do where the node is not.
const ELSEWHERE: &str = "give the command on the machine and in the network namespace where the node runs; nodes of several agencies on \
    one machine need a port each (`agency` below [listen] in lotse.toml)";

/// Another agency's node answered where the own one was called.
#[derive(Debug, thiserror::Error)]
#[error("at {0} another agency's node answers, not this one: {ELSEWHERE}")]
pub struct OtherNode(String);

/// The certificate of the running node was refused by a command of its own agency.
#[derive(Debug, thiserror::Error)]
#[error("the node at {address} runs with a certificate that does not count: {refusal}; {todo}")]
pub struct RefusedNode {
    address: String,
    refusal: Refusal,
    todo: &'static str,
}

impl RefusedNode {
    fn new(address: &str, refusal: &Refusal) -> RefusedNode {
        let todo = match refusal {
            Refusal::RevocationListExpired(_) | Refusal::RevocationUnknown => {
                "`lotse cert revoke` signs a new list, which the node takes within half a minute"
            }
            _ => "`lotse cert issue --role node 1` makes another, which the node takes within half a minute",
        };
        RefusedNode { address: address.into(), refusal: refusal.clone(), todo }
    }
}

/// The certificate of a command would be refused by the node.
#[derive(Debug, thiserror::Error)]
#[error("the certificate of this command, {file}, does not count: {refusal}; {todo}")]
pub struct UnusableCertificate {
    file: String,
    refusal: Refusal,
    todo: String,
}

impl UnusableCertificate {
    fn new(file: &Path, (role, name): (Role, &str), refusal: Refusal) -> UnusableCertificate {
        let todo = match refusal {
            Refusal::RevocationListExpired(_) | Refusal::RevocationUnknown => {
                "`lotse cert revoke` signs a new list, which the node takes within half a minute".into()
            }
            Refusal::NotYetValid => "compare the clock of this machine with a time source".into(),
            _ => format!("`lotse cert issue --role {role} {name}` makes another, or your own PKI"),
        };
        UnusableCertificate { file: file.display().to_string(), refusal, todo }
    }
}

/// Says what the node answered, as a sentence with its reason.
pub fn explained(status: Status) -> anyhow::Error {
    match CallFault::of(&status) {
        CallFault::Refused(unreachable, Refusal::OtherAgency) => OtherNode(unreachable.address.clone()).into(),
        CallFault::Refused(unreachable, refusal) => RefusedNode::new(&unreachable.address, refusal).into(),
        CallFault::HungUp(unreachable) => anyhow!(
            "{unreachable}: something listens there and closed the connection during the handshake; a node does so that has too many \
             connections: its journal names the limit and the caller; or another program has this port: see `agency` below [listen]"
        ),
        CallFault::CertificateRefused(cause) => anyhow!(
            "the node refuses the certificate of this command: {cause}; it was revoked, is over, or another authority made it, and \
             `lotse cert issue` makes another; or the revocation list is over, and `lotse cert revoke` makes a new one: \
             `lotse doctor` says which"
        ),
        CallFault::Unreachable(unreachable) => silent(&unreachable.to_string()),
        CallFault::Broken(cause) => silent(&cause),
        CallFault::Answered(status) => match status.get_error_details().error_info() {
            Some(info) => anyhow!("{} [{}]", status.message(), info.metadata.get("reasons").unwrap_or(&info.reason)),
            None => anyhow!("{} [{:?}]", status.message(), status.code()),
        },
    }
}

fn silent(cause: &str) -> anyhow::Error {
    anyhow!(
        "the node does not answer: {cause}; start it with `lotse run`, or give the command on the machine and in the network namespace where it runs"
    )
}

/// Says what the node answered; where it found nothing, what was looked for and which command shows what there is.
pub fn looked_for(status: Status, sought: impl Display) -> anyhow::Error {
    if status.code() == tonic::Code::NotFound { anyhow!("{sought} [{}]", Reason::NotFound) } else { explained(status) }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use lotse_core::time::DAY;
    use lotse_proto::admin::v1::GetStatusRequest;

    use super::*;
    use crate::action::get_status::get_status;
    use crate::ambient::{SystemClock, SystemRandom};
    use crate::commands::cert::issue;
    use crate::commands::terminal::Terminal;
    use crate::commands::{Context, run};
    use crate::start::{Overrides, start};

    fn context() -> Context {
        let terminal = Terminal::to(Arc::new(Mutex::new(Vec::new())));
        Context { terminal, clock: Arc::new(SystemClock), random: Arc::new(SystemRandom) }
    }

    #[tokio::test]
    async fn in_a_folder_that_is_no_nodes_commands_make_nothing_and_say_once_what_is_missing() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().display().to_string();
        for line in ["status", "log list", "log verify", "peer list", "run"] {
            let words = std::iter::once("lotse").chain(line.split(' ')).chain(["--folder", &path]);
            let refused = format!("{:#}", run(words.collect::<Vec<_>>(), &context()).await.unwrap_err());
            assert_eq!(refused.matches("lotse.toml").count(), 1, "{line}: {refused}");
            assert!(refused.matches("No such file").count() <= 1, "{line}: {refused}");
            assert!(refused.contains("run `lotse init`, or name the node's folder with --folder"), "{line}: {refused}");
            assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0, "{line} leaves something behind");
        }
    }

    #[tokio::test]
    async fn another_agencys_node_at_the_own_port_is_told_as_the_wrong_place_and_not_as_a_wrong_card() {
        let place = tempfile::tempdir().unwrap();
        let line = "lotse init --name X --kind jobcenter_ge --peer-address lotse.jc.example:8443 --listen-peer 127.0.0.1:0 \
                    --listen-agency 127.0.0.1:0";
        let folder = |agency: &str| place.path().join(agency).display().to_string();
        for agency in ["jc.example", "aa.example"] {
            let words = line.split_whitespace().map(String::from);
            let words = words.chain(["--agency".into(), agency.into(), "--folder".into(), folder(agency)]);
            run(words.collect::<Vec<_>>(), &context()).await.unwrap();
        }
        let other = start(&Folder::new(folder("aa.example")), Overrides::default()).await.unwrap();
        let own = Folder::new(folder("jc.example"));
        let lock = own.lock().unwrap();
        fs::copy(Folder::new(folder("aa.example")).ports(), own.ports()).unwrap();

        let told =
            run(["lotse", "status", "--folder", &folder("jc.example")], &context()).await.unwrap_err().to_string();
        let here = other.ports().agency;
        assert!(
            told.starts_with(&format!("at {here} another agency's node answers, not this one: give the")),
            "{told}"
        );
        let printed = Arc::new(Mutex::new(Vec::new()));
        let context = Context { terminal: Terminal::to(printed.clone()), ..context() };
        run(["lotse", "doctor", "--folder", &folder("jc.example")], &context).await.unwrap_err();
        let printed = String::from_utf8(printed.lock().unwrap().clone()).unwrap();
        assert!(printed.contains("another agency's node answers"), "{printed}");
        assert!(printed.contains("to do: look again on the machine and in the network namespace where"), "{printed}");
        drop(lock);
        other.stop().await.unwrap();
    }

    #[tokio::test]
    async fn a_certificate_that_is_revoked_or_expired_is_named_before_the_node_is_called() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::new(place.path().join("jc"));
        let path = folder.path().display().to_string();
        let line = "lotse init --agency jc.example --name X --kind jobcenter_ge --peer-address lotse.jc.example:8443 \
                    --listen-peer 127.0.0.1:0 --listen-agency 127.0.0.1:0 --folder";
        run(line.split_whitespace().chain([&*path]).collect::<Vec<_>>(), &context()).await.unwrap();
        let [certificate, _] = issued_files(&folder, Role::Admin, "default").map(|file| file.display().to_string());
        let revoke = ["lotse", "cert", "revoke", "--certificate", &certificate, "--folder", &path];
        run(revoke, &context()).await.unwrap();
        let node = start(&folder, Overrides::default()).await.unwrap();
        let todo = "`lotse cert issue --role admin default` makes another";
        let asked = async || run(["lotse", "status", "--folder", &path], &context()).await.unwrap_err().to_string();
        let said = asked().await;
        assert!(said.contains("admin-default.crt, does not count: the certificate was revoked"), "{said}");
        assert!(said.contains(todo), "{said}");
        let config = Config::load(&folder).unwrap();
        let request = issue::Request { days: 1, ..issue::Request::new(Role::Admin, "default") };
        issue::issue(&folder, &config, &request, SystemClock.now().minus(DAY * 2), &SystemRandom).unwrap();
        let said = asked().await;
        assert!(said.contains("the certificate has expired on ") && said.contains(todo), "{said}");

        let printed = Arc::new(Mutex::new(Vec::new()));
        let doctor = Context { terminal: Terminal::to(printed.clone()), ..context() };
        Box::pin(run(["lotse", "doctor", "--folder", &path], &doctor)).await.unwrap_err();
        let printed = String::from_utf8(printed.lock().unwrap().clone()).unwrap();
        assert!(printed.contains("of the certificate of the commands above"), "{printed}");
        assert!(!printed.contains("stop it and start it again"), "{printed}");
        node.stop().await.unwrap();
    }

    #[tokio::test]
    async fn an_expired_certificate_of_the_node_is_told_with_the_command_that_renews_it_and_not_as_a_node_that_does_not_run()
     {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::new(place.path().join("jc"));
        let path = folder.path().display().to_string();
        let line = "lotse init --agency jc.example --name X --kind jobcenter_ge --peer-address lotse.jc.example:8443 \
                    --listen-peer 127.0.0.1:0 --listen-agency 127.0.0.1:0 --folder";
        run(line.split_whitespace().chain([&*path]).collect::<Vec<_>>(), &context()).await.unwrap();
        let config = Config::load(&folder).unwrap();
        let request = issue::Request { days: 1, ..issue::Request::new(Role::Node, "1") };
        issue::issue(&folder, &config, &request, SystemClock.now().minus(DAY * 2), &SystemRandom).unwrap();
        let node = start(&folder, Overrides::default()).await.unwrap();

        let told = run(["lotse", "status", "--folder", &path], &context()).await.unwrap_err().to_string();
        assert!(told.contains("the certificate has expired on "), "{told}");
        assert!(told.contains("`lotse cert issue --role node 1`") && !told.contains("lotse run"), "{told}");
        let alarms = get_status(node.node()).await.unwrap().alarms;
        let alarm = alarms.iter().find(|alarm| alarm.starts_with("own certificate: ")).unwrap();
        assert!(alarm.contains("has expired on") && alarm.contains("`lotse cert issue --role node 1`"), "{alarm}");

        let printed = Arc::new(Mutex::new(Vec::new()));
        let doctor = Context { terminal: Terminal::to(printed.clone()), ..context() };
        Box::pin(run(["lotse", "doctor", "--folder", &path], &doctor)).await.unwrap_err();
        let printed = String::from_utf8(printed.lock().unwrap().clone()).unwrap();
        let renewal = format!("to do: `lotse cert issue --role node 1 --folder {path}`");
        assert!(printed.contains(&renewal) && printed.contains("of the node's certificate above"), "{printed}");
        assert!(!printed.contains("stop it and start it again"), "{printed}");
        node.stop().await.unwrap();
    }

    /// The message of a command whose node is to answer at this address.
    async fn asked_at(address: &str) -> String {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("node").display().to_string();
        let line =
            "lotse init --agency jc.example --name Jobcenter --kind jobcenter_ge --peer-address lotse.jc.example:8443";
        let words = line.split(' ').chain(["--listen-agency", address, "--folder", &path]);
        run(words.collect::<Vec<_>>(), &context()).await.unwrap();
        let mut node = admin(&Folder::new(&path), &context().clock).unwrap();
        explained(node.get_status(GetStatusRequest {}).await.unwrap_err()).to_string()
    }

    #[tokio::test]
    async fn a_node_that_hangs_up_during_the_handshake_is_told_apart_from_one_that_does_not_run() {
        let busy = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = busy.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            while let Ok((refused, _)) = busy.accept().await {
                drop(refused)
            }
        });
        let told = asked_at(&address).await;
        assert!(told.starts_with(&format!("cannot connect to {address}: ")), "{told}");
        assert!(told.contains("too many connections") && !told.contains("start it with"), "{told}");
    }

    #[tokio::test]
    async fn a_node_that_does_not_answer_is_told_with_the_address_that_was_tried_and_what_to_do() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap().to_string();
        drop(taken);
        let told = asked_at(&address).await;
        assert!(told.starts_with(&format!("the node does not answer: cannot connect to {address}: ")), "{told}");
        assert!(told.contains("start it with `lotse run`"), "{told}");
    }
}
