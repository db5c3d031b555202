//! Certificates: the authority's, the node's, and those that were issued here.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use lotse_core::time::Timestamp;
use rustls::pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

use super::finding::{Area, Finding};
use super::place::Place;
use crate::commands::cert::issue;
use crate::commands::cert::list::certificates;
use crate::commands::client::{ADMIN_NAME, issued_files};
use crate::ending::NearEnd;
use crate::identity::{Identity, Role, Side};
use crate::pem_file::{self, PEM_BYTES};
use crate::pki::revocation_list;
use crate::plain_file;
use crate::tls::{Bundle, Credentials, Refusal, Standing, TlsFiles, TrustStore, authority_end};

/// Looks at all certificates.
pub(super) fn examine(place: &Place) -> Vec<Finding> {
    let tls = place.config.files.tls(&place.folder);
    let mut findings = authority(place, &tls.bundle);
    let trust = match trust(place, &tls) {
        Ok(trust) => trust,
        Err(error) => {
            let about = place.short(tls.revocation_lists.file().ok().flatten().unwrap_or(&tls.bundle));
            findings.push(Finding::broken(Area::Certificate, about, &error));
            return findings;
        }
    };
    findings.push(leaf(place, &tls, &trust, Role::Node));
    findings.extend(names(place, &tls.chain));
    findings.extend(tls.revocation_lists.file().ok().flatten().and_then(|lists| revocation(place, lists)));
    let issued = certificates(&place.folder.issued()).unwrap_or_default();
    for chain in issued {
        let files = TlsFiles { key: chain.with_extension("key"), chain, ..tls.clone() };
        let role = files.chain.file_stem().and_then(|stem| stem.to_str()?.split('-').next()?.parse().ok());
        findings.push(leaf(place, &files, &trust, role.unwrap_or(Role::System)));
    }
    let [admin, _] = issued_files(&place.folder, Role::Admin, ADMIN_NAME);
    if !admin.exists() {
        findings.push(Finding::warning(
            Area::Certificate,
            place.short(&admin),
            "is not there: commands of the administrator cannot talk to the running node",
            renewal(place, Role::Admin, ADMIN_NAME),
        ));
    }
    findings
}

fn authority(place: &Place, bundle: &Path) -> Vec<Finding> {
    let about = place.short(bundle);
    let roots = match pem(bundle) {
        Ok(roots) => roots,
        Err(error) => return vec![Finding::broken(Area::Certificate, about, &error)],
    };
    let successor = format!(
        "put the next authority's certificate beside it, then make a new card ({}): certs/README.md, \"Changing them\"",
        place.new_card()
    );
    let ends = roots.iter().filter_map(|der| authority_end(der));
    ends.map(|end| match NearEnd::of_authority(end, place.now) {
        Some(near) => Finding::of_end(Area::Certificate, &about, near, successor.clone()),
        None => Finding::ok(Area::Certificate, &about, format!("authority, until {}", end.date())),
    })
    .collect()
}

fn trust(place: &Place, files: &TlsFiles) -> anyhow::Result<Arc<TrustStore>> {
    let read =
        |path: &Path| plain_file::read(path, PEM_BYTES).with_context(|| format!("cannot read {}", path.display()));
    let lists = files.revocation_lists.file()?.map(read).transpose()?;
    let bundle = Bundle::from_pem(&read(&files.bundle)?, lists.as_deref())?;
    let trust = Arc::new(TrustStore::default());
    trust.set(place.config.agency.id.clone(), bundle);
    Ok(trust)
}

/// Looks at a leaf: what it says, whether it verifies now, until when, and whether the key beside it is its own.
fn leaf(place: &Place, files: &TlsFiles, trust: &Arc<TrustStore>, role: Role) -> Finding {
    let about = place.short(&files.chain);
    let fallback = || renewal(place, role, if role == Role::Node { "1" } else { "NAME" });
    let bad = |seen: String, todo: String| Finding::problem(Area::Certificate, &about, seen, todo);
    let chain = match pem(&files.chain) {
        Ok(chain) => chain,
        Err(error) => return bad(format!("{error:#}"), fallback()),
    };
    let standing = match Standing::new(&chain, Side::Client, trust.clone(), place.clock.clone()) {
        Ok(standing) => standing,
        Err(refusal) => return bad(refusal.to_string(), fallback()),
    };
    let identity = standing.identity().clone();
    let todo = renewal(place, identity.role(), identity.name());
    if identity.agency() != &place.config.agency.id || role == Role::Node && identity.role() != Role::Node {
        return bad(format!("it is {identity}, lotse.toml says {}", place.config.agency.id), todo);
    }
    match standing.check() {
        Ok(()) => {}
        Err(refusal @ Refusal::RevocationListExpired(_)) => {
            return bad(refusal.to_string(), format!("{} signs a new list", place.command("cert revoke")));
        }
        Err(Refusal::Revoked) if role != Role::Node => {
            let todo = format!("remove it and its key if that was meant; else {todo}");
            return bad(Refusal::Revoked.to_string(), todo);
        }
        Err(Refusal::Expired(_)) => return until(&about, &identity, place.now, todo),
        Err(refusal) => return bad(refusal.to_string(), todo),
    }
    if files.key.exists() || role == Role::Node {
        let loaded = Credentials::load(files.clone(), Arc::new(TrustStore::default()), place.now);
        if let Err(error) = loaded {
            return bad(error.to_string(), todo);
        }
    }
    until(&about, &identity, place.now, todo)
}

fn until(about: &str, identity: &Identity, now: Timestamp, todo: String) -> Finding {
    match NearEnd::of_certificate(identity, now) {
        Some(end) => Finding::of_end(Area::Certificate, about, end, todo),
        None => Finding::ok(Area::Certificate, about, format!("{identity}, until {}", identity.not_after().date())),
    }
}

/// Looks whether a revocation list ends soon; one that has ended refuses every leaf, which is said of each.
fn revocation(place: &Place, path: &Path) -> Option<Finding> {
    let list = revocation_list::read(path).ok()?;
    let end = list.into_iter().map(|list| list.next_update).min()?;
    let todo = format!("{} signs it anew; without it every certificate is refused then", place.command("cert revoke"));
    Some(match NearEnd::of_list(end, place.now) {
        Some(near) => Finding::of_end(Area::Certificate, place.short(path), near, todo),
        None => Finding::ok(Area::Certificate, place.short(path), format!("until {}", end.date())),
    })
}

/// Looks whether the node's certificate names the hosts under which the agency's own systems look for it.
fn names(place: &Place, chain: &Path) -> Option<Finding> {
    let wanted = issue::hosts(&place.config).ok()?;
    let der = pem(chain).ok()?.into_iter().next()?;
    let named = named(&der);
    let missing: Vec<String> = wanted.iter().map(ToString::to_string).filter(|host| !named.contains(host)).collect();
    (!missing.is_empty()).then(|| {
        Finding::warning(
            Area::Certificate,
            place.short(chain),
            format!("it does not name {}: systems that connect there refuse it", missing.join(", ")),
            renewal(place, Role::Node, "1"),
        )
    })
}

/// Reads the DNS names and addresses of a certificate, as text.
fn named(der: &[u8]) -> Vec<String> {
    let Ok((_, certificate)) = X509Certificate::from_der(der) else { return Vec::new() };
    let names = certificate.subject_alternative_name().ok().flatten();
    let names = names.map(|names| names.value.general_names.as_slice()).unwrap_or_default();
    let text = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some((*name).to_string()),
        GeneralName::IPAddress(bytes) => match (<[u8; 4]>::try_from(*bytes), <[u8; 16]>::try_from(*bytes)) {
            (Ok(four), _) => Some(IpAddr::from(four).to_string()),
            (_, Ok(sixteen)) => Some(IpAddr::from(sixteen).to_string()),
            _ => None,
        },
        _ => None,
    };
    names.iter().filter_map(text).collect()
}

fn renewal(place: &Place, role: Role, name: &str) -> String {
    if place.folder.ca_key().exists() {
        return place.command(&format!("cert issue --role {role} {name}"));
    }
    format!(
        "let the agency's PKI issue spiffe://{}/{role}/{name}, or bring {} back for the moment and {}",
        place.config.agency.id,
        place.short(&place.folder.ca_key()),
        place.command(&format!("cert issue --role {role} {name}"))
    )
}

fn pem(path: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let name = || format!("cannot read {}", path.display());
    let found = pem_file::certificates(&plain_file::read(path, PEM_BYTES).with_context(name)?).with_context(name)?;
    if found.is_empty() { Err(anyhow::anyhow!("{} holds no certificate", path.display())) } else { Ok(found) }
}
