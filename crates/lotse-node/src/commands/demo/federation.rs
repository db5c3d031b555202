//! The first acts: agencies set up their nodes, accept each other's cards and seal the agreement.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, anyhow};
use lotse_core::agreement::words::{Language, Term};
use lotse_core::agreement::{Agreement, Clause};
use lotse_core::category::Category;
use lotse_core::id::Digest;
use lotse_proto::admin::v1::{
    AcceptPeerRequest, AgreementState, AgreementSummary, GetAgreementRequest, GetAgreementResponse, GetOwnCardRequest,
    GetOwnCardResponse, ListAgreementsRequest, ListPeersRequest, OfferAgreementRequest, SignAgreementRequest,
};

use super::agency::Agency;
use super::ports::free_ports;
use super::stage::{Stage, eventually};
use crate::commands::client;
use crate::wire;

/// Sets up the agencies' nodes and starts them.
pub(super) async fn set_up(stage: &mut Stage<'_>, place: &Path) -> anyhow::Result<()> {
    let parties = stage.files.parties()?;
    let count = parties.len();
    stage.story.act(&format!("{count} agencies set up their nodes"))?;
    let ports = free_ports(3 * count, &*stage.context.random)?;
    for (party, ports) in parties.iter().zip(ports.chunks_exact(3)) {
        stage.agencies.push(Agency::set_up(place, party, [ports[0], ports[1], ports[2]], stage.context)?);
    }
    let program = stage.program.clone();
    let starts = stage.agencies.iter_mut().map(|agency| agency.start(&program));
    futures_util::future::try_join_all(starts).await?;
    for agency in &stage.agencies {
        let card = own_card(agency).await?;
        let process = agency.process_id()?;
        stage.story.say(format_args!("{} ({}): {}; process {process}", agency.name, agency.id, agency.what))?;
        stage.story.detail(format_args!("fingerprint of its root key: {}", card.fingerprint))?;
    }
    Ok(())
}

async fn own_card(agency: &Agency) -> anyhow::Result<GetOwnCardResponse> {
    Ok(agency.admin()?.get_own_card(GetOwnCardRequest {}).await.map_err(client::explained)?.into_inner())
}

/// Makes every agency accept every other's card, the fingerprint compared.
pub(super) async fn introduce(stage: &Stage<'_>) -> anyhow::Result<()> {
    stage.story.act("They compare fingerprints and accept each other's cards")?;
    let mut cards = Vec::new();
    for agency in &stage.agencies {
        cards.push(own_card(agency).await?);
    }
    refuse_wrong_fingerprint(stage, &cards).await?;
    for (place, agency) in stage.agencies.iter().enumerate() {
        for (_, card) in cards.iter().enumerate().filter(|(other, _)| *other != place) {
            let request = AcceptPeerRequest { card: card.card.clone(), fingerprint: card.fingerprint.clone() };
            agency.admin()?.accept_peer(request).await.map_err(client::explained)?;
        }
        let peers =
            agency.admin()?.list_peers(ListPeersRequest {}).await.map_err(client::explained)?.into_inner().peers;
        let same = peers.iter().all(|peer| cards.iter().any(|card| card.fingerprint == peer.fingerprint));
        stage.story.expect(same && peers.len() + 1 == cards.len(), "every agency knows every other by its own key")?;
        let names: Vec<_> = peers.iter().map(|peer| peer.name.as_str()).collect();
        stage.story.say(format_args!("{} has accepted {}.", agency.name, names.join(", ")))?;
    }
    Ok(())
}

/// A card whose fingerprint was read out wrongly is refused.
async fn refuse_wrong_fingerprint(stage: &Stage<'_>, cards: &[GetOwnCardResponse]) -> anyhow::Result<()> {
    let (Some(agency), [first, other, ..]) = (stage.agencies.first(), cards) else { return Ok(()) };
    let request = AcceptPeerRequest { card: other.card.clone(), fingerprint: first.fingerprint.clone() };
    let refused = agency.admin()?.accept_peer(request).await.map_err(client::explained);
    stage.story.expect(refused.is_err(), "a card with another fingerprint is refused")?;
    match refused {
        Ok(_) => Ok(()),
        Err(error) => stage.story.say(format_args!("A fingerprint that does not match is refused: {error}")),
    }
}

/// Has the agreement offered by the first agency and sealed by all.
pub(super) async fn agree(stage: &Stage<'_>) -> anyhow::Result<()> {
    stage.story.act("They seal the cooperation agreement")?;
    let mut fingerprints = BTreeMap::new();
    for agency in &stage.agencies {
        fingerprints.insert(agency.id.clone(), root_of(&own_card(agency).await?)?);
    }
    let source = stage.files.agreement(&fingerprints)?;
    let first = stage.agencies.first().context("the agreement has no parties")?;
    let request = OfferAgreementRequest { source };
    let offered = first.admin()?.offer_agreement(request).await.map_err(client::explained)?.into_inner();
    let summary = offered.agreement.context("the node sent no agreement")?;
    stage.story.say(format_args!("{} offers: {}, version {}.", first.name, summary.title, summary.version))?;
    if !offered.warnings.is_empty() {
        stage.story.detail(format_args!(
            "The check has {} remarks, first: {}",
            offered.warnings.len(),
            offered.warnings[0]
        ))?;
    }
    for agency in &stage.agencies {
        let arrived = eventually(async || Ok(find(agency, &summary).await?.is_some())).await?;
        stage.story.expect(arrived, format_args!("the offer reaches {}", agency.name))?;
    }
    let last = stage.agencies.last().unwrap_or(first);
    show(stage, last, &summary).await?;
    for agency in &stage.agencies {
        let request = SignAgreementRequest {
            agreement_id: summary.agreement_id.clone(),
            version: summary.version,
            digest: summary.digest.clone(),
        };
        let answer = agency.admin()?.sign_agreement(request).await.map_err(client::explained)?.into_inner();
        let signed = answer.agreement.context("the node sent no agreement")?;
        stage.story.expect(signed.sealed_by.contains(&agency.id.to_string()), "a seal that was given is there")?;
        stage.story.say(format_args!("{} seals it.", agency.name))?;
    }
    in_force(stage, &summary).await
}

async fn in_force(stage: &Stage<'_>, summary: &AgreementSummary) -> anyhow::Result<()> {
    for agency in &stage.agencies {
        let is_in_force = |found: Option<AgreementSummary>| found.is_some_and(|a| a.state() == AgreementState::InForce);
        let holds = eventually(async || Ok(is_in_force(find(agency, summary).await?))).await?;
        let found = find(agency, summary).await?.context("the node sent no agreement")?;
        stage.story.expect(holds, format_args!("the agreement is in force at {}", agency.name))?;
        let (state, seals) = (found.state().as_str_name(), found.sealed_by.len());
        let state = super::story::words(state, "AGREEMENT_STATE_");
        stage.story.say(format_args!(
            "At {}: {state}, {seals} seals, {} missing.",
            agency.name,
            found.missing.len()
        ))?;
    }
    Ok(())
}

async fn find(agency: &Agency, wanted: &AgreementSummary) -> anyhow::Result<Option<AgreementSummary>> {
    let known = agency.admin()?.list_agreements(ListAgreementsRequest {}).await.map_err(client::explained)?;
    let is_wanted = |known: &AgreementSummary| {
        (&known.agreement_id, known.version) == (&wanted.agreement_id, wanted.version) && known.digest == wanted.digest
    };
    Ok(known.into_inner().agreements.into_iter().find(is_wanted))
}

/// Tells what the agreement allows, from the bytes that another node received and is about to seal.
async fn show(stage: &Stage<'_>, agency: &Agency, summary: &AgreementSummary) -> anyhow::Result<()> {
    let request = GetAgreementRequest { agreement_id: summary.agreement_id.clone(), version: summary.version };
    let answer = agency.admin()?.get_agreement(request).await.map_err(client::explained)?.into_inner();
    let agreement = sealed_terms(&answer)?;
    stage.story.say(format_args!("{} reads what it is to seal:", agency.name))?;
    for clause in &agreement.clauses {
        stage.story.detail(sentence(clause))?;
    }
    stage.story.detail(format_args!(
        "In full, in German: lotse agreement show {} --language de --folder {}",
        summary.agreement_id,
        agency.folder.path().display()
    ))
}

fn sealed_terms(answer: &GetAgreementResponse) -> anyhow::Result<Agreement> {
    let seal = answer.seal.as_ref().context("the node sent no seal")?;
    wire::agreement::parse(&seal.payload).map_err(|reason| anyhow!("{} [{}]", reason.sentence(), reason.code()))
}

fn sentence(clause: &Clause) -> String {
    let names: Vec<_> = clause.categories.iter().map(Category::name).collect();
    format!(
        "{}: {} – {}; {}; held for {} days at most.",
        clause.id,
        clause.title,
        names.join(", "),
        clause.consent_required.term(Language::English),
        clause.retention_days
    )
}

/// Reads the SHA-256 of the root key from a card: what agreements name.
fn root_of(card: &GetOwnCardResponse) -> anyhow::Result<Digest> {
    let seal = card.card.as_ref().context("the node sent no card")?;
    let card = wire::card::parse(&seal.payload).map_err(|reason| anyhow!("{}", reason.sentence()))?;
    Ok(*card.root.fingerprint().digest())
}
