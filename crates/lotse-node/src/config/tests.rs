use lotse_core::purpose::Purpose;

use super::*;

const SHORT: &str = r#"
[agency]
id = "jc.example"
name = "Jobcenter"
kind = "jobcenter_ge"

[listen]
peer = "127.0.0.1:0"
agency = "127.0.0.1:0"
"#;

fn written() -> String {
    template(&Template {
        id: &"jc-hanau.example".parse().unwrap(),
        name: "Jobcenter \"Mitte\"\nHanau",
        kind: lotse_core::agency::AgencyKind::JobcenterGe,
        addresses: &["lotse.jc.example:8443".into()],
        listen_peer: "0.0.0.0:8443".parse().unwrap(),
        listen_agency: "127.0.0.1:8444".parse().unwrap(),
        listen_pages: None,
        allow_loopback: false,
        database: None,
        systems: &["akte".into()],
        existing_pki: None,
    })
}

#[test]
fn what_init_writes_is_read_and_grants_its_systems_everything() {
    let config = Config::parse(&written()).unwrap();
    assert_eq!(config.agency.name, "Jobcenter \"Mitte\"\nHanau");
    assert_eq!(config.peer.addresses, ["lotse.jc.example:8443"]);
    let system = config.system("akte").unwrap();
    assert!(system.may_call(GrantedService::Inbox) && system.works_for(Purpose::Orientation));
    assert!(config.system("other").is_none());
}

/// Every commented key of the file is one that exists, with its default where it has one.
#[test]
fn every_commented_key_can_be_uncommented() {
    let is_key = |line: &str| line.starts_with("# ") && line.contains(" = ") && !line.contains(": ");
    let uncommented: Vec<_> =
        written().lines().map(|line| if is_key(line) { line[2..].to_string() } else { line.to_string() }).collect();
    let config = Config::parse(&uncommented.join("\n")).unwrap();
    let default = Config::parse(SHORT).unwrap();
    assert_eq!(config.custody.payload_days, default.custody.payload_days);
    assert_eq!(config.listen.limits().grace, default.listen.limits().grace);
    assert_eq!(config.listen.max_age_seconds, default.listen.max_age_seconds);
    assert_eq!(config.listen.connections, default.listen.connections);
    assert_eq!(config.database.waiting_works, default.database.waiting_works);
    assert_eq!(config.telemetry.trace_share, default.telemetry.trace_share);
    assert_eq!(config.telemetry.interval_seconds, default.telemetry.interval_seconds);
}

#[test]
fn a_mistake_is_told_with_its_line() {
    for (addition, line, word) in [
        ("typo = 1", "line 9", "typo"),
        ("[database]\nreplicas = 2", "line 10", "replicas = 1"),
        ("[database]\nurl = \"postgres://lotse:secret@db/lotse\"", "line 10", "PGPASSFILE"),
        ("[peer]\naddresses = [\"https://x\"]", "line 10", "host:port"),
        ("[agency]", "line 9", "agency"),
        ("[log]\nretention_days = 180", "line 10", "not pruned yet"),
    ] {
        let error = Config::parse(&format!("{}{addition}\n", SHORT.trim_start())).unwrap_err();
        assert!(error.contains(line) && error.contains(word), "{error}");
    }
    let wrong_id = SHORT.replace("jc.example", "JC.example");
    assert!(Config::parse(&wrong_id).unwrap_err().contains("agency id"));
    let twice = format!("{SHORT}{}{}", system_entry(), system_entry());
    assert!(Config::parse(&twice).unwrap_err().contains("twice"));
}

#[test]
fn no_message_repeats_a_password_or_its_line() {
    for addition in [
        "[database]\nurl = \"postgres://lotse:geheim@db/lotse\"",
        "[database]\nurl = \"postgres://lotse@db/lotse?password=geheim\"",
        "[database]\nurl = \"postgres://lotse:geheim@db/lotse",
        "[database]\nurl = postgres://lotse:geheim@db/lotse",
        "[database]\npassword = \"geheim\"",
        "[database]\nreplicas = \"geheim\"",
        "database = \"postgres://lotse:geheim@db/lotse\"",
        "database = \"ge\\\"heim, expected geheim\"",
        "[telemetry]\nlog_format = \"geheim\"",
        "[telemetry]\nendpoint = \"https://user:geheim@collector\"",
        "[listen]\npages = \"geheim\"",
    ] {
        let error = Config::parse(&format!("{}{addition}\n", SHORT.trim_start())).unwrap_err();
        assert!(!error.contains("geheim") && !error.contains("heim"), "{error}");
        assert!(error.contains("line "), "{error}");
    }
}

fn system_entry() -> &'static str {
    "[[system]]\nname = \"a\"\nservices = []\npurposes = []\n"
}

#[test]
fn a_configuration_that_cannot_be_read_says_what_to_do() {
    let told = |kind: ErrorKind| ConfigError::Read { path: "lotse.toml".into(), cause: kind.into() }.to_string();
    assert!(told(ErrorKind::PermissionDenied).ends_with("; give the command as the user who runs the node"));
    assert!(told(ErrorKind::NotFound).ends_with("; run `lotse init`, or name the node's folder with --folder"));
}
