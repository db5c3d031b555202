//! The same floods at the pages' port, where somebody without a certificate is let in too.

use axum::Router;
use axum::routing::any;
use http::StatusCode;

use super::*;
use crate::edge::serve_pages;

/// Opens pages where the services of the other ports are, which have served somebody.
async fn warm(limits: Limits) -> World {
    let pages = Router::new()
        .route("/test.Mirror/Who", any(async || "somebody"))
        .route("/test.Mirror/Large", any(async || "7".repeat(LARGE)));
    let world = World::open_with(Door::Pages, limits, |port, stop| serve_pages(port, pages, stop)).await;
    is_served(&world).await;
    world
}

#[test]
fn pings_of_a_browser_are_not_taken_without_end() {
    let test = "pages::pings_of_a_browser_are_not_taken_without_end";
    let grown = growth(test, async || flooded(warm(Limits::default()).await, &frame(PING, 0, 0, &[0; 8])).await);
    assert!(grown < MOST_GROWTH, "{grown}");
}

#[test]
fn settings_of_a_browser_are_not_taken_without_end() {
    let test = "pages::settings_of_a_browser_are_not_taken_without_end";
    let grown = growth(test, async || flooded(warm(Limits::default()).await, &frame(SETTINGS, 0, 0, &[])).await);
    assert!(grown < MOST_GROWTH, "{grown}");
}

#[test]
fn requests_that_are_reset_as_soon_as_they_are_made_end_their_connection_and_others_are_served() {
    let test = "pages::requests_that_are_reset_as_soon_as_they_are_made_end_their_connection_and_others_are_served";
    let grown = growth(test, async || reset_at_once(warm(Limits::default()).await).await);
    assert!(grown < MOST_GROWTH, "{grown}");
}

/// As many requests as one connection may have open.
const OPEN: usize = 32;

#[test]
fn pages_that_nobody_reads_take_no_more_than_their_caller_is_allowed() {
    let test = "pages::pages_that_nobody_reads_take_no_more_than_their_caller_is_allowed";
    let allowed = Limits::default().unread_bytes_per_caller;
    let grown = growth(test, async || {
        let world = warm(Limits::default()).await;
        let memory = Memory::watch();
        let (mut refused, mut open) = (0, Vec::new());
        for _ in 0..3 * allowed / LARGE / OPEN {
            let unread = unread_answers(&world, &NOTHING_MAY_BE_SENT, "/test.Mirror/Large", OPEN).await;
            refused += unread.0;
            open.push(unread.1);
        }
        let calls = open.len() * OPEN;
        assert!((calls / 2..calls).contains(&refused), "{refused} of {calls}");
        drop(open);
        let grown = memory.growth();
        let deadline = Instant::now() + Duration::from_secs(20);
        while unread_answers(&world, &NOTHING_MAY_BE_SENT, "/test.Mirror/Large", OPEN).await.0 > 0 {
            assert!(Instant::now() < deadline, "what nobody can read any more still counts");
        }
        grown
    });
    assert!(grown < allowed + 2 * MOST_GROWTH, "{grown}");
}

/// Asks for a page with an officer's certificate and reads the answer.
async fn ask_as(world: &World, officer: &str) -> (StatusCode, String) {
    let config = world.client(&world.own.card(Role::Officer, officer));
    let tcp = TcpStream::connect(world.address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut browser = TlsConnector::from(Arc::new(config)).connect(name, tcp).await.unwrap();
    let request = "GET /test.Mirror/Who HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    browser.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    browser.read_to_string(&mut answer).await.unwrap();
    (answer[9..12].parse().unwrap(), answer)
}

#[tokio::test]
async fn who_leaves_too_much_unread_is_told_so_and_another_caller_is_served() {
    let unread_bytes_per_caller = MEBIBYTE;
    let world = warm(Limits { unread_bytes_per_caller, ..Limits::default() }).await;
    let (refused, large) = unread_answers(&world, &NOTHING_MAY_BE_SENT, "/test.Mirror/Large", 1).await;
    assert_eq!(refused, 1, "the page and its place are more than is allowed");
    drop(large);
    let (mut refused, mut open) = (0, Vec::new());
    while refused == 0 {
        assert!(open.len() < 3, "small pages are taken without end");
        let unread = unread_answers(&world, &NOTHING_MAY_BE_SENT, "/test.Mirror/Who", OPEN).await;
        refused = unread.0;
        open.push(unread.1);
    }
    let (status, answer) = ask_as(&world, "anna").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.contains("retry-after: 5") && answer.contains("wait to be read"), "{answer}");
    assert_eq!(ask_as(&world, "bert").await.0, StatusCode::OK);
    drop(open);
    let deadline = Instant::now() + Duration::from_secs(20);
    while ask_as(&world, "anna").await.0 != StatusCode::OK {
        assert!(Instant::now() < deadline, "what nobody can read any more still counts");
    }
}
