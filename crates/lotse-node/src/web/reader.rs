//! Who reads a page, before it is known whether they may: in which language, and where they are.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use http::HeaderMap;
use http::header::{ACCEPT_LANGUAGE, COOKIE};
use http::request::Parts;
use lotse_core::agreement::words::Language;

use super::language::LANGUAGE_COOKIE;

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

/// Reads a language's code.
pub(super) fn parse(code: &str) -> Option<Language> {
    match code {
        "de" => Some(Language::German),
        "en" => Some(Language::English),
        _ => None,
    }
}

/// Finds a cookie.
pub(super) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(found, _)| *found == name).map(|(_, value)| value)
}

/// Reads which of our languages a browser prefers (RFC 9110, section 12.5.4).
fn preferred(accepted: &str) -> Option<Language> {
    let mut best: Option<(f32, Language)> = None;
    for range in accepted.split(',') {
        let (tag, parameter) = range.split_once(';').unwrap_or((range, ""));
        let weight = parameter.trim().strip_prefix("q=").map_or(Some(1.0), |weight| weight.parse::<f32>().ok());
        let primary = tag.trim().split('-').next().unwrap_or_default().to_ascii_lowercase();
        let (Some(language), Some(weight)) = (parse(&primary), weight) else { continue };
        if weight > 0.0 && best.is_none_or(|(highest, _)| weight > highest) {
            best = Some((weight, language));
        }
    }
    best.map(|(_, language)| language)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_that_weighs_most_is_preferred() {
        let cases = [
            ("de-DE,de;q=0.9,en;q=0.8", Some(Language::German)),
            ("en-US,en;q=0.9,de;q=0.8", Some(Language::English)),
            ("fr, de;q=0.2, en;q=0.7", Some(Language::English)),
            ("uk;q=1.0, DE;q=0.1", Some(Language::German)),
            ("de;q=0, en;q=0", None),
            ("fr, *;q=0.5", None),
            ("de;q=much", None),
        ];
        for (accepted, language) in cases {
            assert_eq!(preferred(accepted), language, "{accepted}");
        }
    }

    #[test]
    fn a_cookie_is_found_by_its_whole_name() {
        let mut headers = HeaderMap::new();
        headers.insert(COOKIE, "xa=1; a=2;b=3".parse().unwrap());
        assert_eq!(cookie(&headers, "a"), Some("2"));
        assert_eq!(cookie(&headers, "b"), Some("3"));
        assert_eq!(cookie(&headers, "c"), None);
    }
}
