//! Which page is where.

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn;
use axum::routing::{get, post};

use super::visit::Pages;
use super::{agreement, agreements, assets, entrance, entry, headers, language, log, overview, peers, problem, proof};
use crate::node::Node;

/// The largest form, in bytes: a token, or a page's address.
const MAX_FORM_BYTES: usize = 8 * 1024;

/// Makes the pages of a node.
pub fn router(node: Arc<Node>) -> Router {
    Router::new()
        .route("/", get(overview::show))
        .route("/log", get(log::list))
        .route("/log/{index}", get(entry::show))
        .route("/log/{index}/proof", get(proof::download))
        .route("/peers", get(peers::list))
        .route("/agreements", get(agreements::list))
        .route("/agreements/{id}", get(agreement::show))
        .route("/enter/{token}", get(entrance::invite))
        .route("/enter", post(entrance::enter))
        .route("/leave", post(entrance::leave))
        .route("/language", post(language::change))
        .route("/style.css", get(assets::style))
        .route("/icon.svg", get(assets::icon))
        .fallback(problem::no_such_page)
        .method_not_allowed_fallback(problem::no_such_page)
        .layer(DefaultBodyLimit::max(MAX_FORM_BYTES))
        .layer(from_fn(headers::add))
        .with_state(Pages::new(node))
}
