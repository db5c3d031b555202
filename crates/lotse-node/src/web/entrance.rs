//! How an officer gets in with a one-time link, and out again.
//!
//! Opening the link only asks; using it up takes a click. So a program that looks at links, a mail filter for instance, does not
//! use it up, and the session's cookie is sent from the first page on.

use std::sync::Arc;

use axum::Form;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use http::header::{HOST, ORIGIN, SET_COOKIE};
use http::{HeaderMap, StatusCode, Uri};
use maud::html;
use serde::Deserialize;

use super::reader::Reader;
use super::visit::{session_cookie, session_token};
use super::{frame, problem};
use crate::action::open_session::open_session;
use crate::edge::{ConnectInfo, network};
use crate::node::Node;
use crate::session::Token;

/// What the button sends.
#[derive(Deserialize)]
pub(super) struct Entry {
    token: String,
}

/// Asks whether the link shall be used. Says nothing about whether it counts.
pub(super) async fn invite(State(node): State<Arc<Node>>, reader: Reader, Path(token): Path<String>) -> Response {
    let Some(token) = Token::parse(&token) else { return problem::not_signed_in(&node, &reader) };
    let title = reader.say("Einmal-Link", "One-time link");
    let content = html! {
        p .lead {
            (reader.say(
                "Dieser Link öffnet die Seiten dieses Knotens einmal, für die Person, für die er gemacht wurde.",
                "This link opens the pages of this node once, for the person it was made for.",
            ))
        }
        p {
            (reader.say(
                "Wer die Seiten ansieht, steht danach im Austauschprotokoll. Die Sitzung endet nach 30 Minuten ohne Nutzung, \
                 spätestens nach 8 Stunden; ältere Sitzungen derselben Person enden jetzt.",
                "Who looks at the pages is written to the exchange log. The session ends after 30 minutes without use, after 8 \
                 hours at the latest; older sessions of the same person end now.",
            ))
        }
        form method="post" action="/enter" {
            input type="hidden" name="token" value=(token.text());
            button .primary type="submit" { (reader.say("Seiten öffnen", "Open the pages")) }
        }
    };
    frame::plain(&node, &reader, title, content).into_response()
}

/// Uses the link up.
pub(super) async fn enter(
    State(node): State<Arc<Node>>,
    reader: Reader,
    uri: Uri,
    headers: HeaderMap,
    info: Option<axum::Extension<ConnectInfo>>,
    Form(entry): Form<Entry>,
) -> Response {
    let Some(from) = info.map(|info| network(info.remote.ip())).filter(|_| is_own(&uri, &headers)) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    match open_session(&node, Token::parse(&entry.token).as_ref(), from).await {
        Ok(session) => {
            // The session of before would live on, though its browser has lost its secret.
            if let Some(older) = session_token(&node, &headers) {
                node.sessions.end(&older);
            }
            let name = session_cookie(&node);
            let cookie = format!("{name}={}; Path=/; Secure; HttpOnly; SameSite=Strict", session.text());
            ([(SET_COOKIE, cookie)], Redirect::to("/")).into_response()
        }
        Err(failure) => problem::not_let_in(&node, &reader, &failure),
    }
}

/// Ends the session.
pub(super) async fn leave(State(node): State<Arc<Node>>, uri: Uri, headers: HeaderMap) -> Response {
    if !is_own(&uri, &headers) {
        return StatusCode::BAD_REQUEST.into_response();
    }
    if let Some(session) = session_token(&node, &headers) {
        node.sessions.end(&session);
    }
    let gone = format!("{}=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Strict", session_cookie(&node));
    ([(SET_COOKIE, gone)], Redirect::to("/")).into_response()
}

/// Tells whether a form came from a page of this node. Browsers say it in `Sec-Fetch-Site`; older ones in `Origin`, which is
/// `null` for a page that hides where it is: none of these does (`Referrer-Policy`), a page of somebody else may.
pub(super) fn is_own(uri: &Uri, headers: &HeaderMap) -> bool {
    let text = |value: Option<&http::HeaderValue>| value.map(|value| value.to_str().unwrap_or("?").to_owned());
    if let Some(site) = text(headers.get("sec-fetch-site")) {
        return site == "same-origin";
    }
    // Where the browser believes to be: HTTP/2 has it in the request's target and no `Host` (RFC 9113, section 8.3.1); where
    // both are, the target counts (RFC 9112, section 3.2.2).
    let host = uri.authority().map(|authority| authority.as_str().to_owned()).or_else(|| text(headers.get(HOST)));
    match (text(headers.get(ORIGIN)), host) {
        (None, _) => true,
        (Some(origin), Some(host)) => origin == format!("https://{host}"),
        (Some(_), None) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_own_form(target: &'static str, pairs: &[(&'static str, &'static str)]) -> bool {
        let pairs = pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        is_own(&Uri::from_static(target), &pairs.collect::<HeaderMap>())
    }

    #[test]
    fn a_form_of_another_site_is_told_apart() {
        let of = |pairs: &[(&'static str, &'static str)]| is_own_form("/enter", pairs);
        assert!(of(&[("sec-fetch-site", "same-origin"), ("host", "a.example"), ("origin", "https://a.example")]));
        assert!(of(&[("host", "a.example:8445"), ("origin", "https://a.example:8445")]));
        assert!(of(&[]), "no browser");
        assert!(!of(&[("sec-fetch-site", "cross-site"), ("origin", "null")]));
        assert!(!of(&[("sec-fetch-site", "same-site")]));
        assert!(!of(&[("host", "a.example"), ("origin", "null")]), "a page that hides where it is");
        assert!(!of(&[("host", "a.example"), ("origin", "https://evil.example")]));
        assert!(!of(&[("origin", "https://evil.example")]), "without a host");
    }

    #[test]
    fn a_form_over_http_2_is_told_apart_by_the_authority_that_it_was_sent_to() {
        let of = |pairs: &[(&'static str, &'static str)]| is_own_form("https://a.example:8445/enter", pairs);
        assert!(of(&[("origin", "https://a.example:8445")]));
        assert!(of(&[("origin", "https://a.example:8445"), ("host", "b.example")]), "the target counts");
        for evil in ["https://evil.example", "https://evil.example:8445", "http://a.example:8445", "https://a.example"]
        {
            assert!(!of(&[("origin", evil)]), "{evil}");
            assert!(!of(&[("origin", evil), ("host", "evil.example")]), "{evil} with a host");
        }
        assert!(!of(&[("sec-fetch-site", "cross-site"), ("origin", "https://a.example:8445")]));
    }
}
