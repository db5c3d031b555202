//! The switch between German and English.

use axum::Form;
use axum::response::{IntoResponse, Redirect, Response};
use http::header::SET_COOKIE;
use http::{HeaderMap, StatusCode, Uri};
use lotse_core::agreement::words::Language;
use serde::Deserialize;

use super::entrance::is_own;

/// Where the language that was chosen is kept. It says nothing about anybody.
pub(super) const LANGUAGE_COOKIE: &str = "__Host-lotse-language";

/// How long a choice is kept, seconds: a year.
const KEPT_SECONDS: u32 = 365 * 24 * 60 * 60;

/// What the switch sends.
#[derive(Deserialize)]
pub(super) struct Choice {
    language: String,
    back: String,
}

/// Keeps the choice and shows the page again.
pub(super) async fn change(uri: Uri, headers: HeaderMap, Form(choice): Form<Choice>) -> Response {
    let Some(language) = crate::language::parse(&choice.language).filter(|_| is_own(&uri, &headers)) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let cookie = format!(
        "{LANGUAGE_COOKIE}={}; Path=/; Max-Age={KEPT_SECONDS}; Secure; HttpOnly; SameSite=Strict",
        code(language)
    );
    let back = if is_own_path(&choice.back) { choice.back.as_str() } else { "/" };
    ([(SET_COOKIE, cookie)], Redirect::to(back)).into_response()
}

/// Returns a language's code (BCP 47).
pub(super) const fn code(language: Language) -> &'static str {
    match language {
        Language::German => "de",
        Language::English => "en",
    }
}

/// Tells whether a text is a path of this node: nothing that a browser could take for another host.
fn is_own_path(text: &str) -> bool {
    let mut letters = text.bytes();
    letters.next() == Some(b'/')
        && !matches!(letters.next(), Some(b'/' | b'\\'))
        && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_switch_leads_nowhere_else() {
        for own in ["/", "/log?kind=3&peer=a.example", "/log/7"] {
            assert!(is_own_path(own), "{own}");
        }
        for foreign in
            ["", "//evil.example", "/\\evil.example", "https://evil.example", "/a\r\nSet-Cookie: x", "log", "/ä"]
        {
            assert!(!is_own_path(foreign), "{foreign}");
        }
    }
}
