//! Who gets in, what is logged of it, and what no page ever does.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use http::header::{CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE};
use http::{HeaderMap, Request, StatusCode};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use lotse_core::id::Id;
use lotse_core::key::Fingerprint;
use lotse_proto::exchange::v1::LogEntry;
use prost::Message;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tower::ServiceExt;

use super::router;
use crate::action::accept_peer::accept_peer;
use crate::action::end_officer_sessions::end_officer_sessions;
use crate::action::issue_officer_link::issue_officer_link;
use crate::action::offer_agreement::offer_agreement;
use crate::edge::{ConnectInfo, Limits, serve_pages};
use crate::entry::{self, Draft, EntryKind};
use crate::identity::{Role, Side};
use crate::session::{Ended, SESSION_IDLE, Token};
use crate::testing::{TestNode, admin, agreement_text};
use crate::tls::tests::kit::{Agency, HandClock, World};
use crate::tls::{Door, Standing, TrustStore};

/// Pages that officers see.
const PAGES: [&str; 5] = ["/", "/log", "/log/0", "/peers", "/agreements"];

/// What is not there, or not a page.
const NOWHERE: [&str; 7] =
    ["/log/4711", "/log/x", "/log/0?generation=9", "/agreements/x", "/nowhere", "/leave", "/log/0/../1"];

/// A browser at a node's pages.
struct Browser {
    node: TestNode,
    pages: Router,
    standing: Option<Arc<Standing>>,
    cookie: String,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Browser {
    async fn new() -> Browser {
        Browser::at(TestNode::new("jc.example").await)
    }

    fn at(node: TestNode) -> Browser {
        let pages = router(node.node.clone());
        Browser { node, pages, standing: None, cookie: String::new() }
    }

    /// The same browser with a client certificate.
    fn with_certificate(mut self, agency: &Agency, role: Role) -> Browser {
        let card = agency.card(role, "anna");
        let trust = Arc::new(TrustStore::default());
        trust.set(agency.id.clone(), agency.bundle());
        self.standing = Some(Arc::new(Standing::new(&card.chain, Side::Client, trust, HandClock::new()).unwrap()));
        self
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        let mut request = request;
        let info = ConnectInfo { remote: "127.0.0.1:50000".parse().unwrap(), standing: self.standing.clone() };
        request.extensions_mut().insert(info);
        if !self.cookie.is_empty() {
            request.headers_mut().append(COOKIE, self.cookie.parse().unwrap());
        }
        let response = self.pages.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, usize::MAX).await.unwrap();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        Answer { status: parts.status, headers: parts.headers, text }
    }

    async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path).header("accept-language", "en").body(Body::empty()).unwrap()).await
    }

    async fn post(&self, path: &str, form: String, site: &str) -> Answer {
        let request = Request::post(path)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header("accept-language", "en")
            .header("sec-fetch-site", site);
        self.send(request.body(form.into()).unwrap()).await
    }

    /// Makes a link for an officer.
    async fn link(&self, officer: &str) -> Token {
        issue_officer_link(&self.node, officer, admin()).await.unwrap().token
    }

    /// Uses a link up and keeps the cookie.
    async fn enter(&mut self, link: &Token) -> Answer {
        let answer = self.post("/enter", format!("token={}", link.text()), "same-origin").await;
        if let Some(cookie) = answer.headers.get(SET_COOKIE) {
            self.cookie = cookie.to_str().unwrap().split(';').next().unwrap().to_string();
        }
        answer
    }

    /// Enters as an officer.
    async fn signed_in() -> Browser {
        let mut browser = Browser::new().await;
        let link = browser.link("anna").await;
        assert_eq!(browser.enter(&link).await.status, StatusCode::SEE_OTHER);
        browser
    }

    async fn entries(&self) -> Vec<LogEntry> {
        let read = self.node.store.read("test_log", |tx| Box::pin(lotse_store::log::read(tx, 1, 0, 1000)));
        let leaves = read.await.unwrap();
        leaves.iter().map(|leaf| LogEntry::decode(leaf.entry.bytes.as_slice()).unwrap()).collect()
    }
}

#[tokio::test]
async fn who_is_not_signed_in_gets_the_same_page_whatever_is_asked_for() {
    let browser = Browser::new().await;
    let before = browser.entries().await.len();
    let mut answers = Vec::new();
    for path in PAGES.into_iter().chain(NOWHERE) {
        let answer = browser.get(path).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{path}");
        answers.push(answer.text.replace(&format!("value=\"{path}\""), "value"));
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "the page does not tell what exists");
    assert!(answers[0].contains("lotse officer link"), "and says what to do");
    assert_eq!(browser.entries().await.len(), before, "nothing was looked at");
}

#[tokio::test]
async fn a_one_time_link_opens_a_session_for_its_officer_and_never_again() {
    let mut browser = Browser::new().await;
    let link = browser.link("anna").await;
    for _ in 0..2 {
        let asked = browser.get(&format!("/enter/{}", link.text())).await;
        assert_eq!(asked.status, StatusCode::OK, "looking at the link does not use it up");
    }
    let entered = browser.enter(&link).await;
    assert_eq!((entered.status, &entered.headers[LOCATION]), (StatusCode::SEE_OTHER, &"/".parse().unwrap()));
    let cookie = entered.headers[SET_COOKIE].to_str().unwrap();
    assert!(cookie.starts_with("__Host-lotse-jc.example="), "{cookie}");
    for attribute in ["; Path=/", "; Secure", "; HttpOnly", "; SameSite=Strict"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    for path in PAGES {
        assert_eq!(browser.get(path).await.status, StatusCode::OK, "{path}");
    }
    let mut other = Browser { cookie: String::new(), ..browser };
    assert_eq!(other.enter(&link).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(other.get("/log").await.status, StatusCode::UNAUTHORIZED);

    let entries = other.entries().await;
    let of = |kind: EntryKind| entries.iter().filter(move |entry| entry.kind() == kind).collect::<Vec<_>>();
    let made = of(EntryKind::AdminActed);
    assert_eq!((made.len(), made[0].actor.as_str()), (1, "spiffe://test.example/admin/anna"));
    assert_eq!(made[0].on_behalf_of, "spiffe://jc.example/officer/anna");
    let looks = of(EntryKind::OfficerLooked);
    assert_eq!(looks.len(), 2, "the link was used, and pages were looked at within a minute");
    assert!(looks.iter().all(|look| look.actor == "spiffe://jc.example/officer/anna"));
    assert_eq!([0, 1].map(|look| looks[look].remark.as_str()), ["one-time link used", "overview"]);
    assert_eq!(of(EntryKind::Denied).len(), 1, "the second use is logged");
}

#[tokio::test]
async fn a_session_ends_by_itself_and_when_its_officer_leaves() {
    let browser = Browser::signed_in().await;
    browser.node.clock.turn(SESSION_IDLE);
    assert_eq!(browser.get("/log").await.status, StatusCode::UNAUTHORIZED);
    let browser = Browser::signed_in().await;
    let left = browser.post("/leave", String::new(), "same-origin").await;
    assert!(left.headers[SET_COOKIE].to_str().unwrap().contains("Max-Age=0"));
    assert_eq!(browser.get("/log").await.status, StatusCode::UNAUTHORIZED, "also with the cookie of before");
}

#[tokio::test]
async fn a_new_link_ends_older_sessions_of_its_officer_and_the_one_of_the_same_browser() {
    let mut browser = Browser::signed_in().await;
    let first = browser.cookie.clone();
    let (again, bens) = (browser.link("anna").await, browser.link("ben").await);
    browser.cookie.clear();
    browser.enter(&bens).await;
    let second = browser.cookie.clone();
    let is_in = async |browser: &mut Browser, cookie: &str| {
        browser.cookie = cookie.to_string();
        browser.get("/").await.status == StatusCode::OK
    };
    assert!(is_in(&mut browser, &first).await && is_in(&mut browser, &second).await, "two officers, two browsers");
    browser.enter(&again).await;
    let third = browser.cookie.clone();
    assert!(is_in(&mut browser, &third).await);
    assert!(!is_in(&mut browser, &first).await, "an older session of the same officer");
    assert!(!is_in(&mut browser, &second).await, "the session that the same browser had before");
}

#[tokio::test]
async fn an_administrator_ends_the_sessions_and_links_of_one_officer_and_of_no_other() {
    let mut anna = Browser::signed_in().await;
    let link = anna.link("anna").await;
    let bens = anna.link("ben").await;
    assert!(end_officer_sessions(&anna.node, "a/b", admin()).await.is_err(), "nobody is called that");
    let (officer, ended) = end_officer_sessions(&anna.node, "anna", admin()).await.unwrap();
    assert_eq!((officer.name(), ended), ("anna", Ended { sessions: 1, links: 1 }));
    assert_eq!(anna.get("/").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(anna.enter(&link).await.status, StatusCode::UNAUTHORIZED);
    let told = anna.entries().await.into_iter().rfind(|entry| entry.kind() == EntryKind::AdminActed).unwrap();
    assert!(told.on_behalf_of.ends_with("/officer/anna") && told.actor == admin().actor, "{told:?}");
    anna.enter(&bens).await;
    assert_eq!(anna.get("/").await.status, StatusCode::OK, "the other officer gets in");
}

#[tokio::test]
async fn an_officer_s_certificate_gets_in_and_no_other() {
    let (own, foreign) = (Agency::new("jc.example"), Agency::new("aa.example"));
    let browser = Browser::new().await.with_certificate(&own, Role::Officer);
    let page = browser.get("/log").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.text.contains("by certificate") && !page.text.contains("/leave"));
    assert_eq!(browser.entries().await.last().unwrap().actor, "spiffe://jc.example/officer/anna");
    for (agency, role) in [(&foreign, Role::Officer), (&own, Role::Admin), (&own, Role::System), (&own, Role::Node)] {
        let browser = Browser::new().await.with_certificate(agency, role);
        assert_eq!(browser.get("/log").await.status, StatusCode::UNAUTHORIZED, "{} {role}", agency.id);
    }
}

#[tokio::test]
async fn a_certificate_that_does_not_count_hides_behind_no_session() {
    let foreign = Agency::new("aa.example");
    let browser = Browser::signed_in().await.with_certificate(&foreign, Role::Officer);
    assert_eq!(browser.get("/log").await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn every_answer_forbids_scripts_frames_and_keeping() {
    let browser = Browser::signed_in().await;
    let stranger = Browser::new().await;
    let mut answers = Vec::new();
    for path in PAGES.into_iter().chain(NOWHERE).chain(["/style.css", "/icon.svg", "/log?kind=x", "/enter/x"]) {
        answers.push((path, browser.get(path).await));
        answers.push((path, stranger.get(path).await));
    }
    answers.push(("switch", browser.post("/language", "language=de&back=/log".into(), "same-origin").await));
    answers.push(("wrong", browser.post("/language", "x".into(), "same-origin").await));
    answers.push(("large", browser.post("/enter", "x".repeat(10_000), "same-origin").await));
    for (path, answer) in answers {
        let header = |name: &str| answer.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default();
        assert!(header("content-security-policy").starts_with("default-src 'none'; style-src 'self';"), "{path}");
        assert!(!header("content-security-policy").contains("script"), "{path}");
        assert!(header("content-security-policy").contains("frame-ancestors 'none'"), "{path}");
        assert_eq!(header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(header("cache-control"), "no-store", "{path}");
        assert_eq!(header("referrer-policy"), "same-origin", "{path}");
        assert!(header("strict-transport-security").starts_with("max-age="), "{path}");
        for forbidden in ["<script", "<style", "style=", "onclick", "javascript:"] {
            assert!(!answer.text.contains(forbidden), "{path} has {forbidden}");
        }
    }
}

#[tokio::test]
async fn what_is_not_there_is_not_found_for_officers() {
    let browser = Browser::signed_in().await;
    for path in NOWHERE {
        assert_eq!(browser.get(path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn a_form_of_another_site_does_nothing() {
    let mut browser = Browser::new().await;
    let link = browser.link("anna").await;
    let form = || format!("token={}", link.text());
    assert_eq!(browser.post("/enter", form(), "cross-site").await.status, StatusCode::BAD_REQUEST);
    assert_eq!(browser.enter(&link).await.status, StatusCode::SEE_OTHER, "the link was not used up");
    assert_eq!(browser.post("/leave", String::new(), "cross-site").await.status, StatusCode::BAD_REQUEST);
    let switched = browser.post("/language", "language=en&back=/log".into(), "same-site").await;
    assert_eq!(switched.status, StatusCode::BAD_REQUEST);
    assert_eq!(browser.get("/log").await.status, StatusCode::OK, "the session goes on");
}

#[tokio::test]
async fn over_http_2_an_older_browser_s_own_form_is_taken_and_one_of_another_site_is_not() {
    let browser = Browser::new().await;
    let link = browser.link("anna").await;
    let pages = browser.pages.clone();
    let world = World::open_with(Door::Pages, Limits::default(), |port, stop| serve_pages(port, pages, stop)).await;
    let config = world.client(&world.own.card(Role::Officer, "anna"));
    let tcp = TcpStream::connect(world.address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let tls = TlsConnector::from(Arc::new(config)).connect(name, tcp).await.unwrap();
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(tls)).await.unwrap();
    tokio::spawn(connection);
    let mut enter = async |origin: &str| {
        let request = Request::post("https://jc.example:8445/enter")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header("origin", origin)
            .body(Body::from(format!("token={}", link.text())));
        sender.send_request(request.unwrap()).await.unwrap().status()
    };
    for origin in ["https://evil.example", "https://jc.example", "http://jc.example:8445"] {
        assert_eq!(enter(origin).await, StatusCode::BAD_REQUEST, "{origin}");
    }
    assert_eq!(enter("https://jc.example:8445").await, StatusCode::SEE_OTHER, "and the link was not used up");
}

#[tokio::test]
async fn the_switch_changes_the_language_and_stays_on_the_page() {
    let mut browser = Browser::signed_in().await;
    assert!(browser.get("/log").await.text.contains("<html lang=\"en\">"));
    let switched = browser.post("/language", "language=de&back=%2Flog%3Fkind%3D1".into(), "same-origin").await;
    assert_eq!(&switched.headers[LOCATION], "/log?kind=1");
    let cookie = switched.headers[SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_string();
    browser.cookie = format!("{}; {cookie}", browser.cookie);
    let page = browser.get("/log").await;
    assert!(page.text.contains("<html lang=\"de\">") && page.text.contains("Austauschprotokoll"));
    let elsewhere = browser.post("/language", "language=de&back=%2F%2Fevil.example".into(), "same-origin").await;
    assert_eq!(&elsewhere.headers[LOCATION], "/");
}

#[tokio::test]
async fn the_log_is_narrowed_and_turned_page_by_page() {
    let browser = Browser::signed_in().await;
    let drafts = (0..120).map(|_| (EntryKind::Alarm, Draft { remark: "test".into(), ..Draft::default() })).collect();
    entry::record(&browser.node, "test", drafts).await.unwrap();
    let mut path = format!("/log?kind={}", EntryKind::Alarm as i32);
    let mut seen = Vec::new();
    loop {
        let page = browser.get(&path).await.text;
        let rows = page.split("<th scope=\"row\"><a href=\"/log/").skip(1);
        seen.push(rows.map(|row| row.split('"').next().unwrap().parse::<u64>().unwrap()).collect::<Vec<_>>());
        let Some(next) = page.split("rel=\"next\" href=\"").nth(1) else { break };
        path = next.split('"').next().unwrap().replace("&amp;", "&");
    }
    assert_eq!(seen.iter().map(Vec::len).collect::<Vec<_>>(), [50, 50, 20]);
    let mut sorted = seen.concat();
    assert!(sorted.is_sorted_by(|one, other| one > other), "newest first, none twice");
    sorted.dedup();
    assert_eq!(sorted.len(), 120);
    let none = browser.get("/log?kind=2").await;
    assert!(none.text.contains("No entry matches."), "{}", none.text);
    let unknown = browser.get("/log?peer=jcc.example").await;
    assert_eq!(unknown.status, StatusCode::OK);
    assert!(unknown.text.contains("No card of jcc.example is accepted here: none is accepted yet"), "{}", unknown.text);
    let own = browser.get("/log?peer=jc.example&kind=2").await;
    assert!(!own.text.contains("is accepted here"), "{}", own.text);
    for label in [">From (time in UTC, day in Germany)<", ">Before (time in UTC, day in Germany)<"] {
        assert!(own.text.contains(label), "{label}: {}", own.text);
    }
    let wrong = browser.get("/log?from=yesterday").await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST);
    assert!(wrong.text.contains("value=\"yesterday\"") && wrong.text.contains("href=\"#from\""), "{}", wrong.text);
}

#[tokio::test]
async fn what_a_peer_calls_itself_is_text() {
    const NAME: &str = "<img src=x onerror=alert(1)>'\"</title><script>alert(2)</script>";
    let (one, two) = (TestNode::new("jc.example").await, TestNode::new("aa.example").await);
    let mut card = two.card(2);
    card.name = NAME.into();
    two.install(&card).await;
    let fingerprint = Fingerprint::to_string(&two.root.public().fingerprint());
    accept_peer(&one, two.seal_card(&card), fingerprint, admin()).await.unwrap();
    let text = agreement_text(Id::from_bytes([7; 16]), 0, &[&one, &two]);
    let title = text.lines().find(|line| line.starts_with("title = ")).unwrap();
    let text = text.replacen(title, "title = \"<script>alert(3)</script>\"", 1);
    offer_agreement(&one, &text, admin()).await.unwrap();
    let mut browser = Browser::at(one);
    let link = browser.link("anna").await;
    browser.enter(&link).await;
    let agreement = format!("/agreements/{}", Id::from_bytes([7; 16]));
    let mut shown = 0;
    for path in ["/", "/log", "/log/1", "/log/2", "/log/3", "/peers", "/agreements", &agreement] {
        let page = browser.get(path).await;
        assert_eq!(page.status, StatusCode::OK, "{path}");
        assert!(!page.text.contains("<img") && !page.text.contains("<script"), "{path}: {}", page.text);
        shown += page.text.matches("&lt;script&gt;").count();
        if path.starts_with("/agreements") {
            assert!(page.text.contains(">Term<") && page.text.contains("(German time)"), "{path}: {}", page.text);
        }
    }
    assert!(shown >= 4, "and it is shown: {shown}");
}
