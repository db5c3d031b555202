//! A visit: an officer who may look. Taking it from a request is what admits, and what logs the look.

use std::sync::Arc;

use axum::extract::{FromRef, FromRequestParts};
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use http::request::Parts;
use lotse_core::id::AgencyId;
use maud::Markup;

use super::reader::{Reader, cookie};
use super::seen::seen;
use super::{frame, problem};
use crate::action::record_look::{Looks, record_look};
use crate::edge::ConnectInfo;
use crate::failure::Failure;
use crate::identity::Role;
use crate::node::Node;
use crate::session::Token;

/// What all pages share.
#[derive(Clone)]
pub(super) struct Pages {
    pub(super) node: Arc<Node>,
    looks: Arc<Looks>,
}

impl Pages {
    pub(super) fn new(node: Arc<Node>) -> Pages {
        Pages { node, looks: Arc::default() }
    }
}

impl FromRef<Pages> for Arc<Node> {
    fn from_ref(pages: &Pages) -> Arc<Node> {
        pages.node.clone()
    }
}

/// How an officer was recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    /// By the certificate of the connection.
    Certificate,
    /// By a session that a one-time link opened.
    Session,
}

/// An officer looks at a page.
pub(super) struct Visit {
    pub(super) node: Arc<Node>,
    pub(super) reader: Reader,
    /// The officer's identity, under which the look is logged.
    pub(super) officer: String,
    pub(super) by: By,
}

impl Visit {
    /// Chooses between the German and the English text.
    pub(super) fn say(&self, german: &'static str, english: &'static str) -> &'static str {
        self.reader.say(german, english)
    }

    /// Answers with a page, or with why there is none.
    pub(super) fn answer(&self, page: Result<Markup, Failure>) -> Response {
        match page {
            Ok(page) => page.into_response(),
            Err(failure) => problem::answer(self, &failure),
        }
    }

    /// Puts what a page says into the frame that all have.
    pub(super) fn page(&self, section: frame::Section, title: &str, content: Markup) -> Markup {
        frame::page(self, section, title, content)
    }

    /// Finds the name that an agency gives itself in its card.
    pub(super) fn name_of(&self, agency: &str) -> Option<String> {
        let agency: AgencyId = agency.parse().ok()?;
        self.node.federation.get().card(&agency).map(|card| card.name.clone())
    }
}

impl FromRequestParts<Pages> for Visit {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, pages: &Pages) -> Result<Visit, Response> {
        let (node, reader) = (pages.node.clone(), Reader::of(parts));
        let Some((officer, by)) = recognise(&node, parts) else {
            return Err(problem::not_signed_in(&node, &reader));
        };
        let visit = Visit { node, reader, officer, by };
        match record_look(&visit.node, &pages.looks, &visit.officer, || seen(&visit.node, &parts.uri)).await {
            Ok(()) => Ok(visit),
            Err(failure) => Err(problem::answer(&visit, &failure)),
        }
    }
}

/// Says which officer asks: by the connection's certificate, asked again whether it counts, or by the session's cookie.
fn recognise(node: &Node, parts: &Parts) -> Option<(String, By)> {
    let standing = parts.extensions.get::<ConnectInfo>().and_then(|info| info.standing.as_ref());
    if let Some(standing) = standing {
        let identity = standing.identity();
        let is_officer = *identity.agency() == node.agency && identity.role() == Role::Officer;
        return (is_officer && standing.check().is_ok()).then(|| (identity.to_string(), By::Certificate));
    }
    let token = session_token(node, &parts.headers)?;
    let officer = node.sessions.officer(&token, node.now())?;
    Some((officer.to_string(), By::Session))
}

/// Reads the session's cookie.
pub(super) fn session_token(node: &Node, headers: &HeaderMap) -> Option<Token> {
    cookie(headers, &session_cookie(node)).and_then(Token::parse)
}

/// Names the session's cookie. Cookies do not tell ports apart: nodes of several agencies on one host need names of their own.
pub(super) fn session_cookie(node: &Node) -> String {
    format!("__Host-lotse-{}", node.agency)
}
