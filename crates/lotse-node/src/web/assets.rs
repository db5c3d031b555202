//! What every page loads: the stylesheet and the icon.

use axum::response::IntoResponse;
use http::header::CONTENT_TYPE;

const STYLE: &str = include_str!("style.css");
const ICON: &str = include_str!("icon.svg");

/// Serves the stylesheet, to everybody: the page that says how to sign in needs it too.
pub(super) async fn style() -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/css; charset=utf-8")], STYLE)
}

/// Serves the icon.
pub(super) async fn icon() -> impl IntoResponse {
    ([(CONTENT_TYPE, "image/svg+xml")], ICON)
}
