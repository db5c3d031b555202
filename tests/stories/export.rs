//! The log of a running node as files: exported, verified without the node, by other people's tools too, and after changes.

mod change;
mod foreign;
mod forge;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use anyhow::{Context as _, Result, ensure};
use lotse_core::agency::AgencyKind;
use lotse_core::seal::Seal;
use lotse_node::ambient::{SystemClock, SystemRandom};
use lotse_node::commands::terminal::Terminal;
use lotse_node::commands::{Context, run};
use lotse_node::key_file::read_root;
use lotse_proto::agency::v1::SubmitReferralsRequest;
use lotse_proto::agency::v1::referral_service_client::ReferralServiceClient;
use lotse_tests::dice::Dice;
use lotse_tests::federation::{Agency, Federation, OFFICER, eventually};
use lotse_tests::records::{consent, handover, record};
use serde_json::Value;

const OWNER: &str = "jc-hanau.hessen.example";
const HOLDER: &str = "aa-hanau.hessen.example";
/// Changes of an export that must all be found.
const CHANGES: usize = 200;

/// Two agencies, and a person who consented.
async fn two_agencies() -> Result<Federation> {
    let kinds = [(OWNER, AgencyKind::JobcenterGe), (HOLDER, AgencyKind::EmploymentAgency)];
    let federation = Federation::agreed(&kinds).await?.0;
    record(federation.agency(OWNER), consent("0198c5a4-7d3e-7cc0-8000-000000000001", "person-1", &[HOLDER])).await?;
    Ok(federation)
}

/// Hands referrals over and waits until the log tells of a receipt for each, under a signed head.
async fn exchange(owner: &Agency, numbers: std::ops::Range<usize>) -> Result<()> {
    let all = numbers.end as u64;
    let request =
        |number| SubmitReferralsRequest { handover: Some(handover(&format!("key-{number}"), "person-1", HOLDER)) };
    let requests: Vec<_> = numbers.map(request).collect();
    let mut client = ReferralServiceClient::new(owner.system()?);
    let mut answers = client.submit_referrals(tokio_stream::iter(requests)).await?.into_inner();
    while answers.message().await?.is_some() {}
    eventually("a receipt for each", async || Ok(taken(owner).await? == all)).await?;
    let newest = owner.command(&["log", "list", "--officer", OFFICER, "--limit", "1", "--json"]).await?;
    let newest = serde_json::from_str::<Value>(&newest)?["index"].as_str().unwrap_or("0").to_owned();
    let show = ["log", "show", &newest, "--officer", OFFICER];
    eventually("a signed head", async || Ok(owner.command(&show).await?.contains("Signed: "))).await
}

async fn taken(owner: &Agency) -> Result<u64> {
    let list = ["log", "list", "--officer", OFFICER, "--json", "--limit", "2000", "--kind", "receipt-recorded"];
    let mut taken = 0;
    for line in owner.command(&list).await?.lines() {
        let entry: Value = serde_json::from_str(line)?;
        taken += entry["entry"]["batch"]["taken"].as_u64().context("no count")?;
    }
    Ok(taken)
}

async fn export(agency: &Agency, out: &Path) -> Result<String> {
    agency.command(&["log", "export", "--officer", OFFICER, "--out", &out.display().to_string()]).await
}

/// Gives `lotse verify`, which knows no node.
async fn verify(path: &Path, arguments: &[&str]) -> Result<String> {
    let output = Arc::new(Mutex::new(Vec::new()));
    let terminal = Terminal::to(output.clone());
    let context = Context { terminal, clock: Arc::new(SystemClock), random: Arc::new(SystemRandom) };
    let path = path.display().to_string();
    let arguments = ["lotse", "verify", &path].into_iter().chain(arguments.iter().copied());
    let ended = Box::pin(run(arguments.map(String::from).collect::<Vec<_>>(), &context)).await;
    let printed = String::from_utf8(output.lock().unwrap().clone())?;
    ended.map(|()| printed.clone()).with_context(|| printed)
}

fn fingerprint(agency: &Agency) -> Result<String> {
    let federation = agency.node().node().federation.get();
    Ok(federation.own.as_ref().context("no card")?.card.root.fingerprint().to_string())
}

/// A seal as an export holds it.
fn text_of(seal: &Seal) -> Result<String> {
    Ok(serde_json::to_string_pretty(seal)? + "\n")
}

/// Every file below a folder.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() { files.extend(self::files(&path)?) } else { files.push(path) }
    }
    files.sort();
    Ok(files)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exported_log_grows_and_is_verified_by_us_and_by_others() -> Result<()> {
    let federation = two_agencies().await?;
    let owner = federation.agency(OWNER);
    let place = tempfile::tempdir()?;
    let (out, old) = (place.path().join("export"), place.path().join("old"));
    exchange(owner, 0..300).await?;
    let told = export(owner, &out).await?;
    ensure!(told.contains("Anyone verifies it with: lotse verify"), "{told}");
    let trusted = ["--fingerprint", &fingerprint(owner)?];
    let first = verify(&out, &trusted).await?;
    ensure!(first.contains(&format!("of {OWNER}/exchange-log/1, all tiles over them")), "{first}");
    ensure!(first.contains("1 agreements") && first.contains(&format!("sealed by {HOLDER}")), "{first}");
    foreign::verify(&out, None)?;

    fs::copy(out.join("checkpoint"), &old)?;
    let full = ["tile/0/000", "tile/entries/000"].map(|name| out.join(name));
    let written = || full.iter().map(|path| fs::metadata(path)?.modified()).collect::<std::io::Result<Vec<_>>>();
    let before = written()?;
    exchange(owner, 300..560).await?;
    export(owner, &out).await?;
    assert_eq!(written()?, before, "what is full is not written again");
    let since = [trusted[0], trusted[1], "--since", &old.display().to_string()];
    let second = verify(&out, &since).await?;
    ensure!(second.contains("The log continues the older one of"), "{second}");
    foreign::verify(&out, Some(&old))?;
    let stranger = ["--fingerprint", &fingerprint(federation.agency(HOLDER))?];
    ensure!(verify(&out, &stranger).await.is_err(), "another agency's fingerprint");
    federation.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_changes_of_an_export_are_all_found() -> Result<()> {
    let federation = two_agencies().await?;
    let owner = federation.agency(OWNER);
    let place = tempfile::tempdir()?;
    let out = place.path().join("export");
    exchange(owner, 0..280).await?;
    export(owner, &out).await?;
    let trusted = ["--fingerprint", &fingerprint(owner)?];
    let good = verify(&out, &trusted).await?;
    ensure!(good.contains(&format!("sealed by {HOLDER}")), "{good}");
    let mut dice = Dice::from_environment()?;
    let files = files(&out)?;
    ensure!(files.iter().any(|file| file.ends_with("tile/1/000.p/1")), "more than one bundle of entries");
    let mut escaped = Vec::new();
    for number in 0..CHANGES {
        let change = change::plant(number, &out, &files, &mut dice)?;
        if verify(&out, &trusted).await.is_ok() {
            escaped.push(change.what.clone());
        }
        change.undo()?;
    }
    assert_eq!(escaped, [""; 0], "with LOTSE_SEED={}", dice.seed());
    verify(&out, &trusted).await.context("and what was put back is good again")?;
    federation.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_with_forged_cards_and_seals_is_refused_with_each_way_of_trust() -> Result<()> {
    let federation = two_agencies().await?;
    let owner = federation.agency(OWNER);
    let place = tempfile::tempdir()?;
    let (out, own) = (place.path().join("export"), place.path().join("own.card"));
    exchange(owner, 0..3).await?;
    export(owner, &out).await?;
    fs::copy(out.join("agency.card"), &own)?;
    let (key, own) = (fs::read_to_string(out.join("log.vkey"))?, own.display().to_string());
    let root = fingerprint(owner)?;
    let by_root = ["--fingerprint", &root];
    let by_card = ["--fingerprint", &root, "--card", &own];
    let by_key = ["--vkey", key.trim()];
    for trusted in [&by_root[..], &by_card, &by_key] {
        verify(&out, trusted).await.with_context(|| format!("as exported, with {trusted:?}"))?;
    }

    let stray = out.join("x\nVerified: all\u{1b}[2K\u{202E}");
    fs::write(&stray, "")?;
    let told = format!("{:#}", verify(&out, &by_root).await.unwrap_err());
    let expected = "FINDING: x\u{FFFD}Verified: all\u{FFFD}[2K\u{FFFD}: does not belong to this export\n";
    ensure!(told.starts_with(expected), "{told:?}");
    fs::remove_file(stray)?;

    let cards = ["agency.card", &format!("card/{HOLDER}.card")].map(|name| out.join(name));
    let genuine = fs::read(&cards[1])?;
    let later = |card: &mut lotse_core::card::Card| card.generation += 1;
    forge::rewrite(&cards[0], &read_root(&owner.folder.root_key())?, later)?;
    verify(&out, &by_root).await.context("the agency itself says that a later generation has begun")?;
    verify(&out, &by_card).await.context("the same, with an older card of it")?;
    let refused = verify(&out, &by_key).await.unwrap_err();
    ensure!(format!("{refused:#}").contains("agency.card: is none that this log names"), "{refused:#}");

    forge::card(&cards[1], |_| {})?;
    forge::seals(&out, HOLDER)?;
    let refused = verify(&out, &by_root).await.unwrap_err();
    let expected = format!("card/{HOLDER}.card: its root key is none that the agreements of this log name");
    ensure!(format!("{refused:#}").contains(&expected), "{refused:#}");

    fs::write(&cards[1], genuine)?;
    forge::card(&cards[0], later)?;
    forge::card(&cards[1], |_| {})?;
    [OWNER, HOLDER].iter().try_for_each(|agency| forge::seals(&out, agency))?;
    for (trusted, why) in [
        (&by_root[..], "not signed by the root key with this fingerprint"),
        (&by_card, "agency.card: is not signed by the root key that you trust"),
        (&by_key, "agency.card: is none that this log names"),
    ] {
        let refused = format!("{:#}", verify(&out, trusted).await.unwrap_err());
        ensure!(refused.contains(why), "with {trusted:?}: {refused}");
    }
    federation.stop().await
}
