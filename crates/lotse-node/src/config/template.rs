//! The commented `lotse.toml` that `lotse init` writes.

use std::fmt::Display;
use std::net::SocketAddr;

use lotse_core::agency::AgencyKind;
use lotse_core::id::AgencyId;
use lotse_core::purpose::Purpose;

use crate::tls::TlsFiles;

const TEXT: &str = include_str!("template.toml");

/// What `lotse init` knows.
pub struct Template<'a> {
    /// Agency id.
    pub id: &'a AgencyId,
    /// Name.
    pub name: &'a str,
    /// Kind.
    pub kind: AgencyKind,
    /// Where peers reach the node.
    pub addresses: &'a [String],
    /// The peer port.
    pub listen_peer: SocketAddr,
    /// The agency port.
    pub listen_agency: SocketAddr,
    /// The pages' port.
    pub listen_pages: Option<SocketAddr>,
    /// Whether loopback addresses of peers are called.
    pub allow_loopback: bool,
    /// URL of the database, if not the default.
    pub database: Option<&'a str>,
    /// Systems, each with every service and purpose.
    pub systems: &'a [String],
    /// An existing PKI's files, if there is one.
    pub existing_pki: Option<&'a TlsFiles>,
}

/// Writes the configuration.
pub fn template(values: &Template<'_>) -> String {
    let addresses = values.addresses.iter().map(quoted).collect::<Vec<_>>().join(", ");
    let mut text = TEXT
        .replace("{id}", &quoted(values.id))
        .replace("{name}", &quoted(values.name))
        .replace("{kind}", &quoted(values.kind.name()))
        .replace("{listen_peer}", &quoted(values.listen_peer))
        .replace("{listen_agency}", &quoted(values.listen_agency))
        .replace("{pages}", &optional("pages", values.listen_pages.map(quoted), "127.0.0.1:8445"))
        .replace("{addresses}", &format!("[{addresses}]"))
        .replace("{allow_loopback}", &values.allow_loopback.to_string())
        .replace("{url}", &optional("url", values.database.map(quoted), "postgres://lotse@db.intern/lotse"))
        .replace("{files}", &files(values.existing_pki));
    values.systems.iter().for_each(|name| text.push_str(&system(name)));
    text
}

fn files(existing: Option<&TlsFiles>) -> String {
    let paths = existing.map(|tls| [tls.bundle.display(), tls.chain.display(), tls.key.display()].map(quoted));
    let [bundle, certificate, key] = paths.map_or([None, None, None], |paths| paths.map(Some));
    [
        optional("bundle", bundle, "pki/ca.crt"),
        optional("certificate", certificate, "pki/node.crt"),
        optional("key", key, "pki/node.key"),
    ]
    .join("\n")
}

/// Writes a key, or an example of it as a comment.
fn optional(key: &str, value: Option<String>, example: &str) -> String {
    match value {
        Some(value) => format!("{key} = {value}"),
        None => format!("# {key} = {}", quoted(example)),
    }
}

fn system(name: &str) -> String {
    let purposes = Purpose::ALL.map(|purpose| quoted(purpose.name())).join(", ");
    format!(
        "\n[[system]]\nname = {}\nservices = [\"referral\", \"consent\", \"inbox\"]\npurposes = [{purposes}]\n",
        quoted(name)
    )
}

/// Writes a TOML string.
fn quoted(text: impl Display) -> String {
    toml::Value::from(text.to_string()).to_string()
}
