//! Who reads a page, before it is known whether they may: in which language, and where they are.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use http::HeaderMap;
use http::header::{ACCEPT_LANGUAGE, COOKIE};
use http::request::Parts;
use lotse_core::agreement::words::Language;

use super::language::LANGUAGE_COOKIE;
use crate::language::{parse, preferred};

/// A reader.
#[derive(Clone, Debug)]
pub(super) struct Reader {
    /// Language of the page.
    pub(super) language: Language,
    /// Path and query of the page.
    pub(super) here: String,
}

impl Reader {
    /// Reads what a browser says of its reader: the language chosen before, else the one it prefers, else German.
    pub(super) fn of(parts: &Parts) -> Reader {
        let chosen = cookie(&parts.headers, LANGUAGE_COOKIE).and_then(parse);
        let preferred = || parts.headers.get(ACCEPT_LANGUAGE).and_then(|value| preferred(value.to_str().ok()?));
        let here = parts.uri.path_and_query().map_or("/", |here| here.as_str()).to_owned();
        Reader { language: chosen.or_else(preferred).unwrap_or(Language::German), here }
    }

    /// Chooses between the German and the English text.
    pub(super) fn say(&self, german: &'static str, english: &'static str) -> &'static str {
        self.language.choose((german, english))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Reader {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Reader, Infallible> {
        Ok(Reader::of(parts))
    }
}

/// Finds a cookie.
pub(super) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(found, _)| *found == name).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_found_by_its_whole_name() {
        let mut headers = HeaderMap::new();
        headers.insert(COOKIE, "xa=1; a=2;b=3".parse().unwrap());
        assert_eq!(cookie(&headers, "a"), Some("2"));
        assert_eq!(cookie(&headers, "b"), Some("3"));
        assert_eq!(cookie(&headers, "c"), None);
    }
}
