//! `lotse doctor` beside running nodes: what is well, and what is found when the other side is not. What it finds in a folder that
//! stands still is tested beside the command.

use std::fs;
use std::sync::{Arc, Mutex};

use anyhow::{Result, ensure};
use lotse_core::agency::AgencyKind;
use lotse_core::id::Id;
use lotse_node::ambient::SystemRandom;
use lotse_node::commands::terminal::Terminal;
use lotse_node::commands::{Context, run};
use lotse_proto::admin::v1::{
    AcceptPeerRequest, AgreementState, GetOwnCardRequest, ListAgreementsRequest, OfferAgreementRequest,
};
use lotse_tests::federation::{Agency, Federation, eventually};
use serde_json::Value;

const OWNER: &str = "jc-hanau.example";
const HOLDER: &str = "aa-hanau.example";

const BOTH: [(&str, AgencyKind); 2] = [(OWNER, AgencyKind::JobcenterGe), (HOLDER, AgencyKind::EmploymentAgency)];

/// Lets the doctor look at an agency's node.
async fn look(agency: &Agency) -> Result<Value> {
    let output = Arc::new(Mutex::new(Vec::new()));
    let terminal = Terminal::to(output.clone());
    let context = Context { terminal, clock: agency.clock.clone(), random: Arc::new(SystemRandom) };
    let folder = agency.folder.path().display().to_string();
    let told = Box::pin(run(["lotse", "doctor", "--json", "--folder", &folder], &context)).await;
    let report: Value = serde_json::from_slice(&output.lock().unwrap())?;
    let unwell = report["problems"] != 0 || report["warnings"] != 0;
    ensure!(told.is_err() == unwell, "{report:#}");
    Ok(report)
}

fn unwell(report: &Value) -> Vec<String> {
    let findings = report["findings"].as_array().unwrap().iter().filter(|finding| finding["health"] != "ok");
    findings.map(|f| format!("{} {} {}: {}", f["health"], f["area"], f["about"], f["seen"])).collect()
}

/// Tells whether something is found: words of the finding.
fn finds(report: &Value, words: [&str; 3]) -> bool {
    unwell(report).iter().any(|line| words.iter().all(|word| line.contains(word)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_doctor_finds_two_federated_nodes_well_and_a_peer_that_stopped() -> Result<()> {
    let (mut federation, id) = Federation::agreed(&BOTH).await?;
    for agency in [OWNER, HOLDER] {
        fs::remove_file(federation.agency(agency).folder.root_key())?;
    }
    let owner = federation.agency(OWNER);
    eventually("nothing to complain about", async || Ok(unwell(&look(owner).await?).is_empty())).await?;
    let well = look(owner).await?;
    ensure!(well["running"] == true);
    let seen =
        |text: &str| well["findings"].as_array().unwrap().iter().any(|f| f["seen"].as_str().unwrap().contains(text));
    ensure!(seen("answers, and takes this node's certificate") && seen("agrees with the database"), "{well:#}");
    ensure!(seen("in force until") && seen("connected, last contact"), "{well:#}");

    owner.command(&["agreement", "suspend", &id.to_string(), "--reason", "test"]).await?;
    owner.command(&["peer", "suspend", HOLDER, "--reason", "test"]).await?;
    let report = look(owner).await?;
    ensure!(finds(&report, ["warning", "agreement", "suspended here"]), "{report:#}");
    ensure!(finds(&report, ["warning", "agreement", "none is in force"]), "{report:#}");
    ensure!(finds(&report, ["warning", HOLDER, "suspended here"]), "{report:#}");

    federation.agency_mut(HOLDER).stop().await?;
    let report = look(federation.agency(OWNER)).await?;
    ensure!(finds(&report, ["problem", HOLDER, "nobody listens there"]), "{report:#}");
    let report = look(federation.agency(HOLDER)).await?;
    ensure!(report["running"] == false && finds(&report, ["warning", "node", "does not run"]), "{report:#}");
    federation.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_doctor_finds_a_peer_that_does_not_know_this_node_and_seals_that_are_missing() -> Result<()> {
    let federation = Federation::strangers(&BOTH).await?;
    let (owner, holder) = (federation.agency(OWNER), federation.agency(HOLDER));
    let card = holder.admin()?.get_own_card(GetOwnCardRequest {}).await?.into_inner();
    owner.admin()?.accept_peer(AcceptPeerRequest { card: card.card, fingerprint: card.fingerprint }).await?;
    let report = look(owner).await?;
    ensure!(finds(&report, ["problem", HOLDER, "refuses this node's certificate"]), "{report:#}");

    let source = federation.agreement_text(Id::new(owner.clock.now(), &SystemRandom))?;
    owner.admin()?.offer_agreement(OfferAgreementRequest { source }).await?;
    let report = look(owner).await?;
    ensure!(finds(&report, ["warning", "agreement", "seals are missing"]), "{report:#}");
    let offered = owner.admin()?.list_agreements(ListAgreementsRequest {}).await?.into_inner().agreements;
    let offered = offered.iter().find(|agreement| agreement.state() == AgreementState::Offered).unwrap();
    let mut todo = report["findings"].as_array().unwrap().iter().filter_map(|finding| finding["todo"].as_str());
    let digest = format!("--digest {}", offered.digest);
    ensure!(todo.any(|todo| todo.contains(&digest)), "what is sealed is what was read: {report:#}");
    federation.stop().await
}
