//! Agencies become a federation: cards compared and accepted, an agreement sealed by all, everything through `lotse`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lotse_core::agency::AgencyKind;
use lotse_core::time::Calendar;
use lotse_node::ambient::SystemClock;
use lotse_proto::admin::v1::{AgreementState, GetOwnCardRequest};
use lotse_tests::federation::{Agency, Federation, eventually};
use lotse_tests::process::NodeProcess;

const JOBCENTER: &str = "jc-hanau.example";
const EMPLOYMENT_AGENCY: &str = "aa-hanau.example";

const BOTH: [(&str, AgencyKind); 2] =
    [(JOBCENTER, AgencyKind::JobcenterGe), (EMPLOYMENT_AGENCY, AgencyKind::EmploymentAgency)];

/// Writes the card of one agency to a file and accepts it at the other, as their administrators do.
async fn accept(one: &Agency, other: &Agency) -> anyhow::Result<()> {
    let file = other.folder.path().join("for-others.card").display().to_string();
    let printed = other.command(&["peer", "card", "--out", &file]).await?;
    let fingerprint =
        printed.lines().find_map(|line| line.trim().strip_prefix("Fingerprint:")).unwrap().trim().to_string();
    let wrong = "00000 00000 00000 00000 00000 00000";
    let refused = one.command(&["peer", "accept", &file, "--fingerprint", wrong]).await.unwrap_err();
    assert!(refused.to_string().contains("FINGERPRINT_MISMATCH"), "{refused}");
    for malformed in ["00000 00000 00000", "as told by telephone", ""] {
        let refused =
            one.command(&["peer", "accept", &file, "--fingerprint", malformed]).await.unwrap_err().to_string();
        assert!(refused.starts_with("nothing was compared: a fingerprint is six groups"), "{refused}");
    }
    let own = one.folder.own_card().display().to_string();
    let refused = one.command(&["peer", "accept", &own, "--fingerprint", &fingerprint]).await.unwrap_err().to_string();
    assert!(refused.starts_with("this is this agency's own card: give the file that the other"), "{refused}");
    one.command(&["peer", "accept", &file, "--fingerprint", &fingerprint]).await?;
    let listed = one.command(&["peer", "list"]).await?;
    assert!(listed.contains(other.id.as_str()), "{listed}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_agencies_federate_and_seal_an_agreement_through_the_command_line() -> anyhow::Result<()> {
    let federation = Federation::strangers(&BOTH).await?;
    let (jobcenter, employment) = (federation.agency(JOBCENTER), federation.agency(EMPLOYMENT_AGENCY));
    accept(jobcenter, employment).await?;
    accept(employment, jobcenter).await?;

    let text = jobcenter.folder.path().join("agreement.toml").display().to_string();
    let card = employment.folder.path().join("for-others.card").display().to_string();
    let party = format!("{card}=employment_agency");
    let today = Calendar::Germany.day_of(jobcenter.clock.now());
    let german = today.strftime("%d.%m.%Y").to_string();
    let today = today.to_string();
    let new = ["agreement", "new", "--party", &party, "--out", &text, "--from"];
    jobcenter.command(&[&new[..], &[german.as_str()]].concat()).await?;
    assert!(fs::read_to_string(&text)?.contains(&today));
    let again = jobcenter.command(&[&new[..], &[today.as_str()]].concat()).await.unwrap_err().to_string();
    assert!(again.contains("is not overwritten: name another file with --out"), "{again}");
    let no_day = jobcenter.command(&[&new[..], &["31.02.2027"]].concat()).await.unwrap_err().to_string();
    assert!(no_day.contains("write a day that exists as 01.04.1990 or 1990-04-01"), "{no_day}");
    let offered = jobcenter.command(&["agreement", "offer", &text]).await?;
    let id = offered.lines().find_map(|line| line.trim().strip_prefix("agreement ")).unwrap().trim();
    let id = id.split(',').next().unwrap().to_string();

    employment.has_agreement(id.parse()?, |state| state == AgreementState::Offered).await?;
    let shown = employment.command(&["agreement", "show", &id, "--language", "de"]).await?;
    assert!(shown.contains(JOBCENTER) && shown.contains(EMPLOYMENT_AGENCY), "{shown}");
    assert!(shown.contains(&format!("  term       {today} to ")) && !shown.contains("in force  "), "{shown}");
    let digest = shown.lines().find_map(|line| line.trim().strip_prefix("digest ")).unwrap().trim();
    let unread = employment.command(&["agreement", "sign", &id, "--digest", &"0".repeat(64)]).await.unwrap_err();
    assert!(unread.to_string().contains("read it again"), "{unread}");
    employment.command(&["agreement", "sign", &id, "--digest", digest]).await?;
    let waiting = employment.command(&["agreement", "status", &id]).await?;
    assert!(waiting.contains(&format!("missing    {JOBCENTER}")), "{waiting}");
    let blind = jobcenter.command(&["agreement", "sign", &id]).await.unwrap_err().to_string();
    let folder = jobcenter.folder.path().display();
    assert!(blind.contains(&format!("`lotse agreement show --folder {folder} {id}`")), "{blind}");
    let unsealed = jobcenter.command(&["agreement", "status", &id]).await?;
    let missing = unsealed.lines().find(|line| line.trim().starts_with("missing ")).unwrap_or_default();
    assert!(missing.contains(JOBCENTER), "{unsealed}");
    jobcenter.command(&["agreement", "sign", &id, "--digest", digest]).await?;

    for agency in [jobcenter, employment] {
        agency.has_agreement(id.parse()?, |state| state == AgreementState::InForce).await?;
    }
    let again = jobcenter.command(&["agreement", "offer", &text]).await?;
    assert!(again.ends_with("every party has sealed it: nothing is left to do.\n"), "{again}");
    jobcenter.command(&["agreement", "suspend", &id, "--reason", "test"]).await?;
    jobcenter.has_agreement(id.parse()?, |state| state == AgreementState::Suspended).await?;
    employment.has_agreement(id.parse()?, |state| state == AgreementState::InForce).await?;
    jobcenter.command(&["agreement", "resume", &id, "--reason", "test"]).await?;
    jobcenter.has_agreement(id.parse()?, |state| state == AgreementState::InForce).await?;
    federation.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_card_whose_addresses_are_never_called_is_accepted_with_a_warning() -> anyhow::Result<()> {
    let mut federation = Federation::strangers(&BOTH).await?;
    let employment = federation.agency(EMPLOYMENT_AGENCY);
    let card = employment.folder.path().join("for-others.card").display().to_string();
    employment.command(&["peer", "card", "--out", &card]).await?;
    let fingerprint = employment.admin()?.get_own_card(GetOwnCardRequest {}).await?.into_inner().fingerprint;
    let accept = ["peer", "accept", &card, "--fingerprint", &fingerprint];
    let jobcenter = federation.agency_mut(JOBCENTER);
    let well = jobcenter.command(&accept).await?;
    assert!(!well.contains("Warning"), "{well}");
    jobcenter.stop().await?;
    jobcenter.configure("allow_loopback = true", "allow_loopback = false")?;
    jobcenter.start().await?;
    let warned = jobcenter.command(&accept).await?;
    assert!(warned.contains("Warning: this node calls none of its addresses (127.0.0.1:"), "{warned}");
    federation.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agreement_that_is_not_known_is_told_with_the_command_that_lists_them() -> anyhow::Result<()> {
    let federation = Federation::strangers(&BOTH[..1]).await?;
    let jobcenter = federation.agency(JOBCENTER);
    let list = format!("`lotse agreement list --folder {}`", jobcenter.folder.path().display());
    let short = jobcenter.command(&["agreement", "show", "01a22d89"]).await.unwrap_err().to_string();
    assert!(short.starts_with("01a22d89 is neither a file nor a whole id") && short.contains(&list), "{short}");
    let (id, digest) = ("0198c5a4-7d3e-7cc0-8000-000000000001", "0".repeat(64));
    for arguments in [
        &["agreement", "show", id][..],
        &["agreement", "sign", id, "--digest", &digest],
        &["agreement", "suspend", id, "--reason", "test"],
        &["agreement", "resume", id, "--reason", "test"],
    ] {
        let unknown = jobcenter.command(arguments).await.unwrap_err().to_string();
        assert!(unknown.starts_with(&format!("no agreement {id} is known here: {list}")), "{arguments:?}: {unknown}");
    }
    let version = ["agreement", "show", id, "--version", "2"];
    let unknown = jobcenter.command(&version).await.unwrap_err().to_string();
    assert!(unknown.starts_with(&format!("no agreement {id} in version 2 is known here")), "{unknown}");
    federation.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_federation_agreed_survives_a_restart_and_newer_cards_travel_by_themselves() -> anyhow::Result<()> {
    let (mut federation, id) = Federation::agreed(&BOTH).await?;
    let jobcenter = federation.agency_mut(JOBCENTER);
    jobcenter.stop().await?;
    jobcenter.command(&["card", "draft"]).await?;
    jobcenter.command(&["card", "sign"]).await?;
    jobcenter.command(&["card", "install"]).await?;
    jobcenter.start().await?;
    jobcenter.has_agreement(id, |state| state == AgreementState::InForce).await?;
    assert!(jobcenter.command(&["status"]).await?.contains("card        2,"));
    let (jobcenter, employment) = (federation.agency(JOBCENTER), federation.agency(EMPLOYMENT_AGENCY));
    eventually("the new card at the other agency", async || {
        let known = employment.node().node().federation.get();
        Ok(known.peers.get(&jobcenter.id).is_some_and(|peer| peer.card.card.version == 2))
    })
    .await?;
    eventually("the stream that tells of cards", async || {
        Ok(jobcenter.node().node().links.get(&employment.id).connected)
    })
    .await?;
    jobcenter.command(&["card", "draft"]).await?;
    jobcenter.command(&["card", "sign"]).await?;
    let installed = jobcenter.command(&["card", "install"]).await?;
    assert!(installed.contains("fetch it within about ten seconds"), "{installed}");
    let at = Instant::now();
    eventually("the newest card at the other agency", async || {
        let known = employment.node().node().federation.get();
        Ok(known.peers.get(&jobcenter.id).is_some_and(|peer| peer.card.card.version == 3))
    })
    .await?;
    assert!(at.elapsed() < Duration::from_secs(15), "{:?}", at.elapsed());
    federation.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_card_that_one_side_alone_has_accepted_is_said_at_both_and_no_longer_when_both_have() -> anyhow::Result<()> {
    let federation = Federation::strangers(&BOTH).await?;
    let (jobcenter, employment) = (federation.agency(JOBCENTER), federation.agency(EMPLOYMENT_AGENCY));
    accept(jobcenter, employment).await?;
    eventually("the problem at the side that accepted", async || {
        let listed = jobcenter.command(&["peer", "list"]).await?;
        Ok(listed.contains("it may not have accepted this agency's card yet") && listed.contains("`lotse peer accept`"))
    })
    .await?;
    let status = jobcenter.command(&["status"]).await?;
    assert!(status.contains(&format!("ALARM       {EMPLOYMENT_AGENCY}: it ")), "{status}");
    let status = employment.command(&["status"]).await?;
    let refused = format!("ALARM       peer port: a certificate that names spiffe://{JOBCENTER}/node/1 is refused, ");
    assert!(status.contains(&refused) && status.contains("run `lotse peer accept`"), "{status}");
    accept(employment, jobcenter).await?;
    let at = Instant::now();
    eventually("no alarm at either side", async || {
        let both = [jobcenter.command(&["status"]).await?, employment.command(&["status"]).await?];
        Ok(both.iter().all(|status| !status.contains("ALARM")))
    })
    .await?;
    assert!(at.elapsed() < Duration::from_secs(10), "{:?}", at.elapsed());
    federation.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_node_holds_its_folder_and_is_asked_through_its_admin_service() -> anyhow::Result<()> {
    let mut federation = Federation::strangers(&BOTH[..1]).await?;
    let jobcenter = federation.agency(JOBCENTER);
    assert!(jobcenter.folder.lock().is_err());
    let status = jobcenter.command(&["status"]).await?;
    assert!(status.contains(JOBCENTER) && status.contains("releases    go out"), "{status}");
    let json: serde_json::Value = serde_json::from_str(&jobcenter.command(&["status", "--json"]).await?)?;
    assert_eq!(json["agency"], JOBCENTER);
    jobcenter.command(&["card", "draft"]).await?;
    jobcenter.command(&["card", "sign"]).await?;
    jobcenter.command(&["card", "install"]).await?;
    assert!(jobcenter.command(&["status"]).await?.contains("card        2,"));
    let jobcenter = federation.agency_mut(JOBCENTER);
    jobcenter.stop().await?;
    jobcenter.folder.lock()?;
    let refused = jobcenter.command(&["status"]).await.unwrap_err();
    assert!(refused.to_string().contains("lotse run"), "{refused}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_whose_keys_others_may_read_starts_and_says_so_once_for_each_file() -> anyhow::Result<()> {
    let place = tempfile::tempdir()?;
    let jobcenter = Agency::set_up(place.path(), JOBCENTER, AgencyKind::JobcenterGe, Arc::new(SystemClock))?;
    for path in [jobcenter.folder.node_keys(), jobcenter.folder.ca_key()] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o644))?;
    }
    let output = place.path().join("messages");
    let node = NodeProcess::start_writing(&jobcenter.folder, &output).await?;
    assert!(node.terminate().await?.success());
    let messages = fs::read_to_string(output)?;
    assert_eq!(messages.matches("other users may read this key").count(), 2, "{messages}");
    for file in ["node.toml", "ca.key"] {
        let warning = messages.lines().find(|line| line.contains("may read this key") && line.contains(file)).unwrap();
        assert!(warning.contains("WARN") && warning.contains("644") && warning.contains("chmod 600"), "{warning}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_in_a_process_of_its_own_stops_on_sigterm_and_starts_again_after_kill_9() -> anyhow::Result<()> {
    let place = tempfile::tempdir()?;
    let jobcenter = Agency::set_up(place.path(), JOBCENTER, AgencyKind::JobcenterGe, Arc::new(SystemClock))?;
    let node = NodeProcess::start(&jobcenter.folder).await?;
    assert!(jobcenter.command(&["status"]).await?.contains(JOBCENTER));
    node.kill().await?;
    let node = NodeProcess::start(&jobcenter.folder).await?;
    assert!(jobcenter.command(&["status"]).await?.contains("releases    go out"));
    assert!(node.terminate().await?.success());
    assert!(!jobcenter.folder.ports().exists());
    Ok(())
}
