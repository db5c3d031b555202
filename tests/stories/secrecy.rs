//! Personal data stay where they belong: canaries in every personal field of consents and referrals turn up in no log, no error, no
//! file of a node that is not entitled, and in no database in clear.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use lotse_core::agency::AgencyKind;
use lotse_proto::agency::v1::consent_service_client::ConsentServiceClient;
use lotse_proto::agency::v1::inbox_service_client::InboxServiceClient;
use lotse_proto::agency::v1::referral_service_client::ReferralServiceClient;
use lotse_proto::agency::v1::{
    AnswerReferralRequest, FetchRequest, PreviewReferralRequest, RecordConsentRequest, ReferralHandover,
    SubmitReferralRequest, WithdrawConsentRequest, fetched_record,
};
use lotse_proto::record::v1::{
    Accepted, AgeBand, BenefitKind, Benefits, Capacity, Category, Consent, ConsentForm, Contact, DisabilityStatus,
    DisabilityStatusKind, Education, EducationItem, FeedbackLevel, GivenBy, Health, HealthRestriction, Identity,
    Language, Languages, Mobility, Note, Purpose, Referral, ReferralAnswer, ReferralType, RequestedService, Residence,
    ResidenceTitle, ResidenceTitleKind, Skills, WithdrawalScope, WorkHistory, WorkHistoryItem, WorkPermission,
    WorkPermissionKind, referral_answer,
};
use lotse_store::testing::{Server, look};
use lotse_tests::canary::{self, Needles, files_below, find, find_below, text};
use lotse_tests::client::read_inbox;
use lotse_tests::federation::{Agency, eventually};
use lotse_tests::processes::{Member, Processes};
use lotse_tests::records;
use tonic::{Code, Status};

pub(crate) const OWNER: &str = "jc-hanau.example";
pub(crate) const HOLDER: &str = "aa-hanau.example";
/// A party of the agreement that nobody has consented to.
const STRANGER: &str = "ja-hanau.example";
const ALL: [(&str, AgencyKind); 3] =
    [(OWNER, AgencyKind::JobcenterGe), (HOLDER, AgencyKind::EmploymentAgency), (STRANGER, AgencyKind::YouthOffice)];
const CONSENT: &str = "0198c5a4-7d3e-7cc0-8000-000000000001";

/// A consent with a canary in every personal field that can hold one. Who recorded it stands in the log, as an opaque reference of
/// staff, and is no canary.
pub(crate) fn consent() -> Consent {
    let explicit = [Category::Health, Category::DisabilityStatus].map(|category| category as i32);
    let ordinary: [Category; 9] = [
        Category::Identity,
        Category::Contact,
        Category::Residence,
        Category::WorkPermission,
        Category::Education,
        Category::WorkHistory,
        Category::Languages,
        Category::Skills,
        Category::Mobility,
    ];
    Consent {
        given_by: GivenBy::Self_ as i32,
        capacity: Some(Capacity {
            age_band: AgeBand::Adult as i32,
            assessed_by_role: text("assessed-by"),
            changes_on: String::new(),
        }),
        purposes: vec![Purpose::JobPlacement as i32],
        categories: ordinary.iter().map(|category| *category as i32).chain(explicit).collect(),
        explicit_categories: explicit.to_vec(),
        feedback_level: FeedbackLevel::Status as i32,
        form: ConsentForm::Written as i32,
        released_from_secrecy: vec![text("doctor"), text("therapist")],
        form_sha256: canary::sha256(),
        ..records::consent(CONSENT, &text("subject"), &[HOLDER])
    }
}

/// A referral with a canary in every personal field that the clause allows.
fn referral() -> Referral {
    Referral {
        r#type: ReferralType::General as i32,
        purpose: Purpose::JobPlacement as i32,
        requested_services: vec![RequestedService::JobPlacement as i32],
        sender_reference: text("sender-reference"),
        identity: Some(Identity {
            family_name: text("family-name"),
            given_names: text("given-names"),
            birth_date: canary::BIRTH_DATE.into(),
            birth_name: text("birth-name"),
            ..Identity::default()
        }),
        contact: Some(Contact {
            street: text("street"),
            postal_code: text("P"),
            city: text("city"),
            phone: format!("{}-06181", text("phone")),
            email: format!("{}@example.org", text("email")),
            preferred_language: canary::LANGUAGE.into(),
        }),
        residence: Some(Residence {
            ags: canary::RESIDENCE.into(),
            obligation_ags: canary::OBLIGATION.into(),
            obligation_until: canary::OBLIGATION_UNTIL.into(),
            ..Residence::default()
        }),
        work_permission: Some(WorkPermission {
            kind: WorkPermissionKind::EmployerBound as i32,
            bound_employer: text("employer"),
            ..WorkPermission::default()
        }),
        education: Some(Education {
            items: vec![EducationItem {
                title: text("title"),
                institution: text("institution"),
                ..EducationItem::default()
            }],
            ..Education::default()
        }),
        work_history: Some(WorkHistory {
            items: vec![WorkHistoryItem { occupation: text("occupation"), ..WorkHistoryItem::default() }],
        }),
        languages: Some(Languages {
            items: vec![Language { tag: canary::LANGUAGE.into(), level: 1 }],
            interpreter_needed: true,
        }),
        skills: Some(Skills { labels: vec![text("skill")], ..Skills::default() }),
        mobility: Some(Mobility { driving_licences: vec![canary::LICENCE.into()], ..Mobility::default() }),
        disability_status: Some(DisabilityStatus {
            kind: DisabilityStatusKind::SeverelyDisabled as i32,
            degree: 50,
            valid_until: canary::DISABILITY_UNTIL.into(),
        }),
        health: Some(Health {
            restrictions: vec![HealthRestriction::LowStress as i32],
            hours_per_day: 3,
            professional_secrecy: true,
        }),
        ..Referral::default()
    }
}

/// A handover of the good referral under a key, changed.
pub(crate) fn handover(key: &str, change: impl FnOnce(&mut ReferralHandover, &mut Referral)) -> ReferralHandover {
    let mut referral = referral();
    let mut handover = ReferralHandover {
        idempotency_key: key.into(),
        recipient: HOLDER.into(),
        subject_reference: text("subject"),
        ..ReferralHandover::default()
    };
    change(&mut handover, &mut referral);
    handover.referral = Some(referral);
    handover
}

/// Handovers that are not covered.
pub(crate) fn uncovered() -> Vec<ReferralHandover> {
    vec![
        handover("no-consent", |handover, _| handover.subject_reference = text("somebody-else")),
        handover("stranger", |handover, _| handover.recipient = STRANGER.into()),
        handover("nobody", |handover, _| handover.recipient = "nobody.example".into()),
        handover("note", |_, referral| referral.note = Some(Note { text: text("note") })),
        handover("benefits", |_, referral| {
            let kinds = vec![BenefitKind::Sgb2 as i32];
            referral.benefits = Some(Benefits { kinds, since: canary::BENEFITS_SINCE.into() });
        }),
        handover("title", |_, referral| {
            referral.residence_title = Some(ResidenceTitle {
                kind: ResidenceTitleKind::Toleration as i32,
                legal_paragraph: text("paragraph"),
                ..ResidenceTitle::default()
            });
        }),
        handover("good", |_, referral| referral.sender_reference = text("another-reference")),
    ]
}

/// Handovers in which a canary stands where it cannot be.
pub(crate) fn malformed() -> Vec<ReferralHandover> {
    let identity = |change: fn(&mut Identity)| {
        move |_: &mut ReferralHandover, referral: &mut Referral| referral.identity.iter_mut().for_each(change)
    };
    vec![
        handover("birth-date", identity(|identity| identity.birth_date = text("birth-date"))),
        handover("long-name", identity(|identity| identity.family_name = text("long").repeat(50))),
        handover("control", identity(|identity| identity.given_names = format!("{}\u{7}", text("control")))),
        handover("ags", |_, referral| referral.residence.iter_mut().for_each(|home| home.ags = text("ags"))),
        handover("licence", |_, referral| {
            referral.mobility.iter_mut().for_each(|mobility| mobility.driving_licences = vec![text("licence")]);
        }),
        handover("language", |_, referral| {
            referral.languages.iter_mut().flat_map(|all| &mut all.items).for_each(|one| one.tag = text("tag") + " !");
        }),
        handover("country", |_, referral| {
            let items = referral.education.iter_mut().flat_map(|education| &mut education.items);
            items.for_each(|item| item.country = text("country"));
        }),
        handover("postal-code", |_, referral| {
            referral.contact.iter_mut().for_each(|contact| contact.postal_code = text("long-postal-code"));
        }),
        handover("recipient", |handover, _| handover.recipient = text("recipient")),
        handover("consent-id", |handover, _| handover.consent_id = text("consent-id")),
        handover("subject", |handover, _| handover.subject_reference = text("subject").repeat(20)),
        handover(&text("key with spaces"), |_, _| {}),
    ]
}

/// Consents that cannot be recorded.
fn malformed_consents() -> Vec<Consent> {
    vec![
        Consent { id: text("id"), ..consent() },
        Consent { recipients: vec![text("recipient")], ..consent() },
        Consent { form_sha256: text("form"), ..consent() },
        Consent { released_from_secrecy: vec![text("doctor").repeat(50)], ..consent() },
        Consent { text_language: text("language"), ..consent() },
        Consent { supersedes: text("supersedes"), ..consent() },
        Consent { subject_reference: text("subject").repeat(20), ..consent() },
        // The same id with other content.
        Consent { subject_reference: text("another-subject"), ..consent() },
    ]
}

/// Everything that a node has told its callers apart from the content that they are entitled to.
#[derive(Default)]
struct Told(Vec<String>);

impl Told {
    fn refusal(&mut self, status: &Status) {
        self.0.push(format!("{status:?} {}", String::from_utf8_lossy(status.details())));
    }

    async fn submit(&mut self, agency: &Agency, handovers: Vec<ReferralHandover>, code: Code) -> Result<()> {
        let mut service = ReferralServiceClient::new(agency.system()?);
        for handover in handovers {
            let key = handover.idempotency_key.clone();
            let preview = PreviewReferralRequest { handover: Some(handover.clone()) };
            match service.preview_referral(preview).await {
                Ok(preview) => self.0.push(format!("{:?}", preview.into_inner())),
                Err(status) => self.refusal(&status),
            }
            let request = SubmitReferralRequest { handover: Some(handover) };
            let refused = service.submit_referral(request).await.err().context(format!("{key} must be refused"))?;
            self.refusal(&refused);
            ensure!(refused.code() == code, "{key}: {refused:?}");
        }
        Ok(())
    }

    async fn consents(&mut self, agency: &Agency) -> Result<()> {
        let mut service = ConsentServiceClient::new(agency.system()?);
        for (place, consent) in malformed_consents().into_iter().enumerate() {
            let request = RecordConsentRequest { consent: Some(consent) };
            let refused = service.record_consent(request).await.err();
            self.refusal(&refused.with_context(|| format!("malformed consent {place} must be refused"))?);
        }
        Ok(())
    }

    /// The holder answers with a text that the feedback level does not allow, and then as it may.
    async fn answer(&mut self, holder: &Agency, referral_id: &str) -> Result<()> {
        let mut service = ReferralServiceClient::new(holder.system()?);
        let answer = |key: &str, note: Option<Note>| AnswerReferralRequest {
            idempotency_key: key.into(),
            referral_id: referral_id.into(),
            answer: Some(ReferralAnswer {
                on: "2026-11-22".into(),
                kind: Some(referral_answer::Kind::Accepted(Accepted {})),
                note,
            }),
            on_behalf_of: String::new(),
        };
        let noted = service.answer_referral(answer("noted", Some(Note { text: text("answer") }))).await;
        self.refusal(&noted.err().context("a note is not allowed")?);
        service.answer_referral(answer("plain", None)).await?;
        Ok(())
    }
}

/// Hands the good referral over and waits until the holder has it; returns its id.
async fn deliver(owner: &Agency, holder: &Agency, key: &str) -> Result<String> {
    let request = SubmitReferralRequest { handover: Some(handover(key, |_, _| {})) };
    let submitted = ReferralServiceClient::new(owner.system()?).submit_referral(request).await?.into_inner();
    let id = submitted.submitted.context("no answer")?.referral_id;
    eventually("the referral at the holder", async || Ok(read_inbox(holder).await?.contains(&id))).await?;
    Ok(id)
}

/// Fetches a referral as the holder's system; it is entitled to every canary in it.
async fn fetch(holder: &Agency, id: &str) -> Result<Referral> {
    let request = FetchRequest { record_ids: vec![id.into()] };
    let fetched = InboxServiceClient::new(holder.system()?).fetch(request).await?.into_inner();
    match fetched.records.into_iter().next().and_then(|record| record.content) {
        Some(fetched_record::Content::Referral(referral)) => Ok(referral),
        _ => anyhow::bail!("the referral cannot be fetched"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn personal_data_are_in_no_log_no_error_no_foreign_file_and_no_database_in_clear() -> Result<()> {
    let mut processes = Processes::start(&ALL, say_everything).await?;
    let told = exchange(&mut processes).await?;
    search_everything(&processes, &told)?;
    for member in &mut processes.members {
        member.stop().await?;
    }
    let databases = files_below(processes.place())?.into_iter().filter(|path| path.ends_with("data/lotse.sqlite"));
    ensure!(databases.count() == ALL.len(), "the databases are searched");
    search_everything(&processes, &told)?;
    let url = |member: &Member| format!("sqlite://{}", member.agency.folder.database().display());
    only_those_concerned_have_rows(processes.members.iter().map(url)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn personal_data_are_in_no_file_of_a_postgresql_server_in_clear() -> Result<()> {
    let Some(server) = Server::alone() else { return Ok(()) };
    let mut urls = BTreeMap::new();
    for (id, _) in ALL {
        urls.insert(id, server.new_database().await);
    }
    let configure = |agency: &Agency| {
        agency.keep_in(urls.get(agency.id.as_str()).context("a database of its own")?)?;
        say_everything(agency)
    };
    let mut processes = Processes::start(&ALL, configure).await?;
    let told = exchange(&mut processes).await?;
    for member in &mut processes.members {
        member.stop().await?;
    }
    server.flush().await;
    search_everything(&processes, &told)?;
    ensure!(
        contain(server.folder(), OWNER)?,
        "a search that finds nothing must be able to find what is there in clear"
    );
    let found = find_below(server.folder())?;
    ensure!(found.is_empty(), "{} canaries:\n{}", found.len(), found.join("\n"));
    only_those_concerned_have_rows(ALL.iter().filter_map(|(id, _)| urls.get(id).cloned())).await
}

/// A node that is not entitled has nothing about anybody, not even encrypted. The databases come in the order of the agencies.
async fn only_those_concerned_have_rows(urls: impl Iterator<Item = String>) -> Result<()> {
    let mut rows = Vec::new();
    for url in urls {
        rows.push(look::rows_about_people(&url).await.context("the database cannot be read")?);
    }
    ensure!(matches!(rows[..], [owner, holder, 0] if owner > 0 && holder > 0), "rows about people: {rows:?}");
    Ok(())
}

fn say_everything(agency: &Agency) -> Result<()> {
    agency.configure("# filter = \"info\"", "filter = \"trace\"")
}

/// Tells whether files below a folder contain a text.
fn contain(folder: &Path, text: &str) -> Result<bool> {
    let found = Needles::of([text.to_string()]).find_below(folder)?;
    Ok(!found.is_empty())
}

/// Lets canaries travel, with refusals, answers, crashes and a withdrawal on the way; returns what callers were told.
async fn exchange(processes: &mut Processes) -> Result<Told> {
    let mut told = Told::default();
    let first = {
        let [owner, holder, _] = &processes.members[..] else { anyhow::bail!("three agencies") };
        let (owner, holder) = (&owner.agency, &holder.agency);
        records::record(owner, consent()).await?;
        told.consents(owner).await?;
        let first = deliver(owner, holder, "good").await?;
        told.submit(owner, uncovered(), Code::FailedPrecondition).await?;
        told.submit(owner, malformed(), Code::InvalidArgument).await?;
        told.answer(holder, &first).await?;
        first
    };
    for place in [0, 1] {
        processes.members[place].kill().await?;
        processes.members[place].start().await?;
    }
    let (owner, holder) = (&processes.members[0].agency, &processes.members[1].agency);
    ensure!(fetch(holder, &first).await? == referral(), "the holder has every canary");
    deliver(owner, holder, "after-the-kill").await?;
    let scope = WithdrawalScope { categories: vec![Category::Contact as i32], ..WithdrawalScope::default() };
    let consent_id = CONSENT.to_string();
    let request = WithdrawConsentRequest { consent_id, scope: Some(scope), on_behalf_of: String::new() };
    ConsentServiceClient::new(owner.system()?).withdraw_consent(request).await?;
    told.submit(owner, vec![handover("withdrawn", |_, _| {})], Code::FailedPrecondition).await?;
    for agency in [owner, holder] {
        let logged = agency.command(&["log", "list", "--officer", "sommer", "--json", "--limit", "1000"]).await?;
        told.0.push(logged);
    }
    Ok(told)
}

/// Searches what was told, and every file: folders with databases and their logs, and what the processes have said.
fn search_everything(processes: &Processes, told: &Told) -> Result<()> {
    let files = files_below(processes.place())?;
    let outputs = files.iter().filter(|path| path.to_string_lossy().ends_with(".output")).count();
    ensure!(outputs == ALL.len(), "all that is to be searched is there");
    let said = fs::read_to_string(&processes.members[0].output)?;
    ensure!(said.contains("TRACE"), "the nodes were asked to say everything");
    let mut found = find_below(processes.place())?;
    found.extend(told.0.iter().flat_map(|told| find(told.as_bytes())).map(|around| format!("told a caller: {around}")));
    ensure!(found.is_empty(), "{} canaries:\n{}", found.len(), found.join("\n"));
    let planted = processes.place().join("planted");
    fs::write(&planted, text("planted").encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>())?;
    ensure!(find_below(processes.place())?.len() == 1, "a search that finds nothing must be able to find");
    Ok(fs::remove_file(&planted)?)
}
