//! Real files through real nodes: consents in, referrals out, the inbox on the other side.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use lotse_core::agency::AgencyKind;
use lotse_tests::federation::{Agency, Federation, eventually};
use lotse_tests::process::{NodeProcess, lotse};
use serde_json::Value;

const OWNER: &str = "jc-hanau.hessen.example";
const HOLDER: &str = "aa-hanau.hessen.example";

const CONSENT: &str = "Einwilligung;Aktenzeichen;Art_der_Person;Erteilt_durch;Altersgruppe;Empfänger;Zwecke;Datensatzarten;\
Datenkategorien;Rückmeldung;Erteilt_am;Gültig_bis;Form;Textsprache;Textfassung;Hinweis_Zweck;\
Hinweis_Folgen_der_Verweigerung;Hinweis_Widerruf;Formular_SHA256;Erfasst_durch";

const REFERRAL: &str =
    "Schlüssel;Aktenzeichen;Art;Zweck;Gewünschte_Leistungen;Familienname;Vornamen;Geburtsdatum;Sprachen;Straße";

async fn two_agencies() -> Result<Federation> {
    let kinds = [(OWNER, AgencyKind::JobcenterGe), (HOLDER, AgencyKind::EmploymentAgency)];
    Ok(Federation::agreed(&kinds).await?.0)
}

fn consent(number: usize) -> String {
    format!(
        "0198c5a4-7d3e-7cc0-8000-{number:012};Akte-{number};Person;selbst;volljährig;{HOLDER};Erstorientierung;Zuweisung;\
        \"Identität, Kontakt, Sprachen\";Ergebnis;01.02.2026;31.12.2029;schriftlich;de;2026-01;ja;ja;ja;{};mb-17",
        "ab".repeat(32)
    )
}

fn referral(key: &str, number: usize) -> String {
    format!(
        "{key};Akte-{number};Erstorientierung Geflüchtete;Erstorientierung;Sprachkurs;Özdemir-Großmann;Jürgen;01.04.1990;\
        uk:Muttersprache,de:A2;\"Am Freiheitsplatz {number}; Hof\""
    )
}

/// Writes a file as an older German program does: Windows-1252, lines ended by CR and LF.
fn write(path: &Path, heading: &str, lines: impl IntoIterator<Item = String>) -> Result<()> {
    let lines: String = [heading.to_string()].into_iter().chain(lines).flat_map(|line| [line, "\r\n".into()]).collect();
    let bytes = lines.chars().map(u8::try_from).collect::<Result<Vec<u8>, _>>()?;
    Ok(fs::write(path, bytes)?)
}

/// Where an agency's files lie.
fn place(agency: &Agency, name: &str) -> PathBuf {
    agency.folder.path().join(name)
}

fn objects(path: &Path) -> Result<Vec<Value>> {
    let text = fs::read_to_string(path)?;
    text.lines().map(|line| serde_json::from_str(line).with_context(|| line.to_string())).collect()
}

/// Follows the inbox until nothing is left, and returns what is in the file then.
async fn follow(agency: &Agency) -> Result<Vec<Value>> {
    let out = place(agency, "inbox.ndjson");
    agency.command(&["inbox", "follow", "--once", "--out", &out.display().to_string()]).await?;
    objects(&out)
}

fn received(lines: &[Value]) -> Vec<&Value> {
    lines.iter().filter(|line| line["event"].get("referralReceived").is_some()).collect()
}

/// Gives a command that ends with an error, and returns the results that it wrote into a file.
async fn refused(agency: &Agency, arguments: &[&str]) -> Result<(String, Vec<Value>)> {
    let results = place(agency, "results.ndjson");
    let path = results.display().to_string();
    let Err(error) = agency.command(&[arguments, &["--results", &path]].concat()).await else {
        bail!("nothing was refused")
    };
    Ok((error.to_string(), objects(&results)?))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_in_windows_1252_go_in_and_arrive_at_the_other_agency() -> Result<()> {
    const COUNT: usize = 200;
    let federation = two_agencies().await?;
    let (owner, holder) = (federation.agency(OWNER), federation.agency(HOLDER));
    let (consents, referrals) = (place(owner, "consents.csv"), place(owner, "referrals.csv"));
    write(&consents, CONSENT, (0..COUNT).map(consent))?;
    write(&referrals, REFERRAL, (0..COUNT).map(|number| referral("", number)))?;
    let (consents, referrals) = (consents.display().to_string(), referrals.display().to_string());

    let printed = owner.command(&["consent", "import", "--file", &consents]).await?;
    assert!(printed.contains("200 lines: 200 ok (0 of them done before), 0 refused, 0 malformed"), "{printed}");
    let send = ["referral", "send", "--file", referrals.as_str(), "--to", HOLDER];
    let printed = owner.command(&send).await?;
    assert!(printed.contains("200 lines: 200 ok (0 of them done before)"), "{printed}");
    assert_eq!(printed.lines().filter(|line| line.starts_with("line ") && line.ends_with(" offered")).count(), COUNT);
    let again = owner.command(&send).await?;
    assert!(again.contains("200 lines: 200 ok (200 of them done before)"), "keys follow from the lines: {again}");

    eventually("all referrals", async || Ok(received(&follow(holder).await?).len() >= COUNT)).await?;
    let lines = follow(holder).await?;
    let ids: HashSet<&str> = received(&lines).iter().filter_map(|line| line["record"]["recordId"].as_str()).collect();
    assert_eq!((ids.len(), received(&lines).len()), (COUNT, COUNT), "each once, because each was acknowledged");
    let person = &received(&lines)[0]["record"]["referral"];
    assert_eq!(person["identity"]["familyName"], "Özdemir-Großmann");
    assert_eq!(person["identity"]["birthDate"], "1990-04-01");
    assert_eq!(person["languages"]["items"][0]["level"], "LANGUAGE_LEVEL_NATIVE");

    let (told, rest) = lines.split_at(lines.len() / 2);
    let cursor = told.last().context("a line")?["cursor"].to_string();
    let behind = holder.command(&["inbox", "follow", "--once", "--from", &cursor]).await?;
    let behind = behind.lines().map(serde_json::from_str).collect::<Result<Vec<Value>, _>>()?;
    for line in rest {
        assert!(behind.iter().any(|again| again["event"] == line["event"]), "missed behind cursor {cursor}: {line}");
    }

    let folder = holder.folder.path().display().to_string();
    let nothing = lotse(&["inbox", "follow", "--once", "--folder", &folder])?.output().await?;
    let noted = String::from_utf8(nothing.stderr)?;
    assert!(nothing.status.success() && noted.contains("Nothing new for this system."), "{noted}");
    for (limit, is_noted) in [("3", true), ("5000", false)] {
        let listed = lotse(&["log", "list", "--limit", limit, "--folder", &folder])?.output().await?;
        let noted = String::from_utf8(listed.stderr)?;
        assert_eq!(noted.contains("There are older entries: these are the newest 3."), is_noted, "{noted}");
    }

    let again = ["inbox", "follow", "--once", "--from", "0", "--format", "csv"];
    let table = holder.command(&again).await?;
    assert_eq!(table.lines().filter(|line| line.contains(";Zuweisung eingegangen;")).count(), COUNT);
    assert!(
        !table.contains("Am Freiheitsplatz"),
        "what every system has confirmed has no content here any more: {table}"
    );

    const MORE: [&str; 3] = ["more-1", "more-2", "more-3"];
    write(Path::new(&referrals), REFERRAL, MORE.map(|key| referral(key, 0)))?;
    owner.command(&send).await?;
    let mut table = String::new();
    let told = |table: &str| table.lines().filter(|line| line.contains(";Zuweisung eingegangen;")).count();
    eventually("more referrals", async || {
        table.push_str(&holder.command(&["inbox", "follow", "--once", "--format", "csv"]).await?);
        Ok(told(&table) == MORE.len())
    })
    .await?;
    let cursors: Vec<u64> =
        table.lines().filter_map(|line| line.trim_start_matches('\u{feff}').split(';').next()?.parse().ok()).collect();
    let acknowledged = lines.iter().filter_map(|line| line["cursor"].as_u64()).max();
    assert!(cursors.iter().all(|&cursor| Some(cursor) >= acknowledged), "{acknowledged:?} is behind: {table}");
    assert!(cursors.len() >= MORE.len(), "{table}");
    assert!(table.contains(";\"Am Freiheitsplatz 0; Hof\";"), "{table}");
    federation.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_line_that_cannot_go_says_why_and_stops_no_other() -> Result<()> {
    let federation = two_agencies().await?;
    let owner = federation.agency(OWNER);
    let (consents, referrals) = (place(owner, "consents.csv"), place(owner, "referrals.csv"));
    write(
        &consents,
        CONSENT,
        [consent(1), consent(2).replace("schriftlich", "getanzt"), consent(3).replace(";mb-17", ";")],
    )?;
    let file = consents.display().to_string();
    let (error, results) = refused(owner, &["consent", "import", "--file", &file]).await?;
    assert_eq!(error, "2 of 3 lines were refused or malformed");
    let line = |number: u64| results.iter().find(|result| result["line"] == number).unwrap();
    assert_eq!((&line(2)["result"], &line(2)["state"]), (&"ok".into(), &"given".into()));
    assert_eq!((&line(3)["result"], &line(3)["reasons"][0]["field"]), (&"malformed".into(), &"Form".into()));
    assert!(line(3)["reasons"][0]["message"].as_str().unwrap().contains("written (schriftlich)"));
    let missing = &line(4)["reasons"][0];
    assert_eq!((&missing["reason"], &missing["field"]), (&"FIELD_MISSING".into(), &"Erfasst_durch".into()));
    assert_eq!(
        missing["message"], "Erfasst_durch: is required",
        "the column, as the file has no fields of the protocol"
    );

    let bad_day = referral("k-3", 1).replace("01.04.1990", "31.02.1990");
    write(
        &referrals,
        REFERRAL,
        [referral("k-1", 1), referral("k-2", 99), bad_day, referral("k-1", 1), referral("k-1", 2)],
    )?;
    let file = referrals.display().to_string();
    let (error, results) = refused(owner, &["referral", "send", "--file", &file, "--to", HOLDER]).await?;
    assert_eq!(error, "3 of 5 lines were refused or malformed");
    let (_, nowhere) = refused(owner, &["referral", "send", "--file", &file]).await?;
    let told = nowhere[0]["reasons"][0]["message"].as_str().unwrap();
    assert!(told.contains("--to") && told.contains("Empfänger"), "{nowhere:?}");
    let line = |number: u64| results.iter().find(|result| result["line"] == number).unwrap();
    assert_eq!(line(3)["reasons"][0]["reason"], "NO_CONSENT", "{results:?}");
    assert_eq!(line(4)["reasons"][0]["field"], "Geburtsdatum");
    assert_eq!((&line(5)["repeated"], &line(5)["id"]), (&true.into(), &line(2)["id"]));
    assert_eq!(line(6)["reasons"][0]["reason"], "IDEMPOTENCY_KEY_REUSED");
    federation.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_corrected_line_cancels_what_it_replaces_and_names_what_was_delivered_already() -> Result<()> {
    let mut federation = two_agencies().await?;
    let (consents, referrals) =
        (place(federation.agency(OWNER), "consents.csv"), place(federation.agency(OWNER), "referrals.csv"));
    write(&consents, CONSENT, [consent(1)])?;
    federation.agency(OWNER).command(&["consent", "import", "--file", &consents.display().to_string()]).await?;
    let file = referrals.display().to_string();
    let send = ["referral", "send", "--file", file.as_str(), "--to", HOLDER];
    let replace = [&send[..], &["--replace"]].concat();
    let id = |printed: &str| printed.split(' ').nth(3).unwrap_or_default().to_string();
    let born = |day: &str| [referral("", 1).replace("01.04.1990", day)];

    federation.agency_mut(HOLDER).stop().await?;
    write(&referrals, REFERRAL, born("04.01.1990"))?;
    let slip = id(&federation.agency(OWNER).command(&send).await?);
    write(&referrals, REFERRAL, born("01.04.1990"))?;
    let corrected = federation.agency(OWNER).command(&replace).await?;
    assert!(corrected.contains(&format!("cancelled {slip}, which a line replaces")), "{corrected}");
    federation.agency_mut(HOLDER).start().await?;
    let (owner, holder) = (federation.agency(OWNER), federation.agency(HOLDER));
    eventually("the corrected one", async || Ok(!received(&follow(holder).await?).is_empty())).await?;
    let lines = follow(holder).await?;
    let birth_days: Vec<&Value> =
        received(&lines).iter().map(|line| &line["record"]["referral"]["identity"]["birthDate"]).collect();
    assert_eq!(birth_days, ["1990-04-01"], "and nothing of the other one");

    write(&referrals, REFERRAL, born("01.04.1991"))?;
    let late = owner.command(&replace).await?;
    let delivered = id(&corrected);
    assert!(late.contains(&format!("not cancelled {delivered}, which a line replaces: ")), "{late}");
    federation.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consent_that_covers_nothing_as_it_stands_is_recorded_and_its_line_says_why() -> Result<()> {
    let federation = two_agencies().await?;
    let owner = federation.agency(OWNER);
    let (consents, results) = (place(owner, "consents.csv"), place(owner, "results.ndjson"));
    let over = consent(2).replace("31.12.2029", "01.03.2026");
    write(&consents, CONSENT, [consent(1), over, consent(3).replace(HOLDER, "aa-hanau.hesen.example")])?;
    let (file, path) = (consents.display().to_string(), results.display().to_string());
    let printed = owner.command(&["consent", "import", "--file", &file, "--results", &path]).await?;
    let line = |number: u64| printed.lines().find(|line| line.starts_with(&format!("line {number} "))).unwrap();
    assert!(line(2).ends_with(" given"), "{printed}");
    assert!(line(3).ends_with(" given; its term ended on 2026-03-01: nothing is released under it"), "{printed}");
    let meant = " given; no card of aa-hanau.hesen.example is accepted here: did you mean aa-hanau.hessen.example?";
    assert!(line(4).ends_with(meant), "{printed}");
    let results = objects(&results)?;
    let result = |number: u64| results.iter().find(|result| result["line"] == number).unwrap();
    let hint = |number: u64| &result(number)["hints"][0]["reason"];
    assert_eq!([hint(2), hint(3), hint(4)], [&Value::Null, &"CONSENT_EXPIRED".into(), &"PEER_UNKNOWN".into()]);
    federation.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consent_is_withdrawn_by_its_id_in_part_and_as_a_whole() -> Result<()> {
    let federation = two_agencies().await?;
    let (owner, holder) = (federation.agency(OWNER), federation.agency(HOLDER));
    let (consents, referrals) = (place(owner, "consents.csv"), place(owner, "referrals.csv"));
    write(&consents, CONSENT, [consent(1)])?;
    owner.command(&["consent", "import", "--file", &consents.display().to_string()]).await?;
    let id = "0198c5a4-7d3e-7cc0-8000-000000000001";
    let withdraw = ["consent", "withdraw", id];
    let slip = owner.command(&[&withdraw[..], &["--recipient", "aa-hanau.hesen.example"]].concat()).await.unwrap_err();
    assert!(slip.to_string().contains("the consent does not name this recipient"), "{slip}");
    let unknown = owner.command(&["consent", "withdraw", "0198c5a4-7d3e-7cc0-8000-000000000002"]).await.unwrap_err();
    assert!(unknown.to_string().contains("nothing was withdrawn: no consent 0198c5a4-"), "{unknown}");

    let part = owner.command(&[&withdraw[..], &["--category", "Kontakt"]].concat()).await?;
    assert!(part.contains("is withdrawn in part"), "{part}");
    let file = referrals.display().to_string();
    let send = ["referral", "send", "--file", &file, "--to", HOLDER];
    let without_contact = referral("before", 1).replace("\"Am Freiheitsplatz 1; Hof\"", "");
    write(&referrals, REFERRAL, [referral("contact", 1), without_contact])?;
    let (_, results) = refused(owner, &send).await?;
    let line = |number: u64| results.iter().find(|result| result["line"] == number).unwrap();
    let reason = &line(2)["reasons"][0];
    assert_eq!((&reason["reason"], &reason["category"]), (&"CATEGORY_NOT_IN_CONSENT".into(), &"contact".into()));
    assert_eq!(line(3)["result"], "ok", "{results:?}");
    eventually("the referral", async || Ok(received(&follow(holder).await?).len() == 1)).await?;
    let whole: Value = serde_json::from_str(&owner.command(&[&withdraw[..], &["--json"]].concat()).await?)?;
    assert_eq!((&whole["state"], &whole["envelopesOut"]), (&"CONSENT_STATE_WITHDRAWN".into(), &1.into()), "{whole}");
    write(&referrals, REFERRAL, [referral("after", 1)])?;
    let (_, results) = refused(owner, &send).await?;
    assert_eq!(results[0]["reasons"][0]["reason"], "CONSENT_WITHDRAWN", "{results:?}");
    let again = owner.command(&withdraw).await?;
    assert!(again.contains(&format!("Consent {id} is withdrawn: nothing new is released under it.")), "{again}");
    federation.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_send_that_is_killed_and_given_again_has_one_effect_per_key() -> Result<()> {
    const COUNT: usize = 3_000;
    let federation = two_agencies().await?;
    let (owner, holder) = (federation.agency(OWNER), federation.agency(HOLDER));
    let (consents, referrals) = (place(owner, "consents.csv"), place(owner, "referrals.csv"));
    write(&consents, CONSENT, [consent(1)])?;
    write(&referrals, REFERRAL, (0..COUNT).map(|number| referral(&format!("k-{number}"), 1)))?;
    owner.command(&["consent", "import", "--file", &consents.display().to_string()]).await?;
    let (file, folder) = (referrals.display().to_string(), owner.folder.path().display().to_string());
    let results = place(owner, "killed.ndjson");
    let killed = results.display().to_string();
    let send = ["referral", "send", "--file", &file, "--to", HOLDER, "--folder", &folder, "--results", &killed];
    let mut child = lotse(&send)?.stdout(Stdio::null()).spawn()?;
    let part = place(owner, "killed.ndjson.part");
    eventually("the first results", async || Ok(part.exists() && fs::metadata(&part)?.len() > 0)).await?;
    child.kill().await?;
    ensure!(!results.exists(), "results are put in place at the end");
    let told = fs::read_to_string(&part)?.lines().count();
    ensure!(told < COUNT, "the kill came too late: {told} results");

    let printed = owner.command(&send[..6]).await?;
    assert!(printed.contains(&format!("{COUNT} lines: {COUNT} ok")), "{}", printed.lines().last().unwrap_or_default());
    let repeated = printed.lines().filter(|line| line.ends_with("(done before)")).count();
    assert!((told..COUNT).contains(&repeated), "{repeated} were there before, {told} of them were told");
    eventually("all referrals", async || Ok(received(&follow(holder).await?).len() >= COUNT)).await?;
    let lines = follow(holder).await?;
    let ids: HashSet<&str> = received(&lines).iter().filter_map(|line| line["event"]["referralId"].as_str()).collect();
    assert_eq!((ids.len(), received(&lines).len()), (COUNT, COUNT));
    federation.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_send_goes_on_when_its_node_is_killed_and_started_again() -> Result<()> {
    const COUNT: usize = 5_000;
    let mut federation = two_agencies().await?;
    let owner = federation.agency_mut(OWNER);
    let (consents, referrals) = (place(owner, "consents.csv"), place(owner, "referrals.csv"));
    write(&consents, CONSENT, [consent(1)])?;
    write(&referrals, REFERRAL, (0..COUNT).map(|number| referral(&format!("k-{number}"), 1)))?;
    owner.command(&["consent", "import", "--file", &consents.display().to_string()]).await?;
    owner.stop().await?;
    let node = NodeProcess::start(&owner.folder).await?;
    let results = place(owner, "results.ndjson");
    let (file, folder) = (referrals.display().to_string(), owner.folder.path().display().to_string());
    let path = results.display().to_string();
    let send = ["referral", "send", "--file", &file, "--to", HOLDER, "--folder", &folder, "--results", &path];
    let mut child = lotse(&send)?.stdout(Stdio::null()).spawn()?;
    let part = place(owner, "results.ndjson.part");
    eventually("the first results", async || Ok(part.exists() && fs::metadata(&part)?.len() > 0)).await?;
    node.kill().await?;
    assert!(child.try_wait()?.is_none(), "the send must not give up");
    let node = NodeProcess::start(&owner.folder).await?;
    assert!(child.wait().await?.success());
    let results = objects(&results)?;
    let lines: HashSet<u64> = results.iter().filter_map(|result| result["line"].as_u64()).collect();
    assert_eq!((lines.len(), results.len()), (COUNT, COUNT), "one result for each line");
    assert!(results.iter().all(|result| result["result"] == "ok"));
    let ids: HashSet<&str> = results.iter().filter_map(|result| result["id"].as_str()).collect();
    assert_eq!(ids.len(), COUNT, "one referral for each key");
    assert!(node.terminate().await?.success());
    federation.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_rotated_while_the_inbox_is_followed_loses_no_record() -> Result<()> {
    let federation = two_agencies().await?;
    let (owner, holder) = (federation.agency(OWNER), federation.agency(HOLDER));
    let (consents, referrals) = (place(owner, "consents.csv"), place(owner, "referrals.csv"));
    write(&consents, CONSENT, [consent(1)])?;
    owner.command(&["consent", "import", "--file", &consents.display().to_string()]).await?;
    let (out, moved) = (place(holder, "rotated.ndjson"), place(holder, "rotated.ndjson.1"));
    let (path, folder) = (out.display().to_string(), holder.folder.path().display().to_string());
    let mut child = lotse(&["inbox", "follow", "--folder", &folder, "--out", &path])?.spawn()?;
    let mut written: HashSet<String> = HashSet::new();
    for round in 0..4 {
        write(&referrals, REFERRAL, [referral(&format!("k-{round}"), 1)])?;
        let file = referrals.display().to_string();
        let send = ["referral", "send", "--file", &file, "--to", HOLDER];
        owner.command(&send).await?;
        eventually("the record in the file that is there now", async || {
            let lines = if out.exists() { objects(&out)? } else { Vec::new() };
            let ids = received(&lines).into_iter().filter_map(|line| line["record"]["recordId"].as_str());
            written.extend(ids.map(String::from));
            Ok(written.len() == round + 1)
        })
        .await?;
        // What `logrotate` does with `create`, with `nocreate`, and where the old file is kept.
        fs::rename(&out, &moved)?;
        if round % 2 == 0 {
            fs::write(&out, "")?;
        }
        if round < 2 {
            fs::remove_file(&moved)?;
        }
        let over_itself = owner.command(&[&send[..], &["--results", &file]].concat()).await.unwrap_err().to_string();
        assert!(over_itself.contains("is the file that is sent"), "{over_itself}");
    }
    child.kill().await?;
    federation.stop().await
}

/// Memory of a process at its greatest, in KiB.
fn greatest_memory_kib(id: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches(" kB").trim().parse().ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_file_needs_no_more_memory_than_a_short_one() -> Result<()> {
    let federation = two_agencies().await?;
    let owner = federation.agency(OWNER);
    let file = place(owner, "referrals.csv");
    let mut greatest = Vec::new();
    for count in [2_000, 100_000] {
        // Lines that the command itself refuses, so that the test measures the reading, and a few that are sent.
        let bad = |number: usize| referral("", number).replace("01.04.1990", "gestern");
        let line = |number: usize| if number.is_multiple_of(100) { referral("", number) } else { bad(number) };
        write(&file, REFERRAL, (0..count).map(line))?;
        let (path, folder) = (file.display().to_string(), owner.folder.path().display().to_string());
        let send = ["referral", "send", "--file", &path, "--to", HOLDER, "--folder", &folder];
        let mut child = lotse(&send)?.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let id = child.id().context("ended already")?;
        let (begin, mut memory) = (Instant::now(), 0);
        while child.try_wait()?.is_none() {
            memory = greatest_memory_kib(id).unwrap_or(memory);
            ensure!(begin.elapsed() < Duration::from_secs(240), "too slow");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        println!("{count} lines: {memory} KiB in {:?}", begin.elapsed());
        greatest.push(memory);
    }
    assert!(greatest[1] < greatest[0] + 16 * 1024, "{greatest:?} KiB");
    federation.stop().await
}
