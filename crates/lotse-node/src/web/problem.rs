//! Pages that say why there is nothing to see, and what to do.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::WWW_AUTHENTICATE;
use lotse_core::reason::Reason;
use maud::{Markup, html};

use super::frame::{Section, plain};
use super::reader::Reader;
use super::visit::Visit;
use crate::failure::{ErrorKind, Failure};
use crate::node::Node;

/// Answers a page that an officer asked for and that does not exist.
pub(super) async fn no_such_page(visit: Visit) -> Response {
    answer(&visit, &Failure::not_found())
}

/// Says to an officer why there is no page.
pub(super) fn answer(visit: &Visit, failure: &Failure) -> Response {
    let title = match failure.kind {
        ErrorKind::NotFound => visit.say("Nicht gefunden", "Not found"),
        ErrorKind::Invalid => visit.say("So geht es nicht", "This cannot be read"),
        _ => visit.say("Das geht gerade nicht", "This is not possible now"),
    };
    let content = html! {
        (reason(&visit.reader, failure))
        p { a href="/log" { (visit.say("Zum Austauschprotokoll", "To the exchange log")) } }
    };
    (status(failure.kind), visit.page(Section::None, title, content)).into_response()
}

/// Says to somebody who is not signed in how to get in: the same whatever was asked for, whether it exists or not.
pub(super) fn not_signed_in(node: &Node, reader: &Reader) -> Response {
    let title = reader.say("Anmeldung nötig", "Sign in first");
    let content = html! {
        p .lead {
            (reader.say(
                "Diese Seiten sind für Beauftragte für Informationssicherheit und Datenschutz dieser Stelle.",
                "These pages are for security and data-protection officers of this agency.",
            ))
        }
        (ways(reader))
    };
    refused(plain(node, reader, title, content))
}

/// Says that a one-time link does not count.
pub(super) fn not_let_in(node: &Node, reader: &Reader, failure: &Failure) -> Response {
    let title = reader.say("Der Link öffnet nichts", "The link opens nothing");
    let content = match failure.kind {
        ErrorKind::NotFound => html! {
            p .lead {
                (reader.say(
                    "Er wurde schon benutzt, seine Zeit ist abgelaufen, oder es gab ihn nie.",
                    "It was used before, its time is over, or it never existed.",
                ))
            }
            (ways(reader))
        },
        _ => reason(reader, failure),
    };
    let page = plain(node, reader, title, content);
    if failure.kind == ErrorKind::NotFound { refused(page) } else { (status(failure.kind), page).into_response() }
}

fn refused(page: Markup) -> Response {
    (StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, "Lotse")], page).into_response()
}

fn ways(reader: &Reader) -> Markup {
    html! {
        h2 { (reader.say("Zwei Wege hinein", "Two ways in")) }
        ul {
            li {
                strong { (reader.say("Einmal-Link: ", "One-time link: ")) }
                (reader.say(
                    "Die Administration dieses Knotens macht einen mit ",
                    "The administrators of this node make one with ",
                ))
                code { "lotse officer link NAME" }
                (reader.say(". Er gilt zehn Minuten und für einen Browser.", ". It counts for ten minutes and for one browser."))
            }
            li {
                strong { (reader.say("Zertifikat: ", "Certificate: ")) }
                (reader.say(
                    "Ein Zertifikat dieser Stelle mit der Rolle officer, im Browser eingerichtet. Danach den Browser neu starten.",
                    "A certificate of this agency with the role officer, imported into the browser. Restart the browser afterwards.",
                ))
            }
        }
    }
}

/// Says a failure's reasons in the reader's language, with their codes. Messages are for programs and English only: they
/// are shown in English.
fn reason(reader: &Reader, failure: &Failure) -> Markup {
    html! {
        @for cause in &failure.causes {
            @let meaning = reader.language.choose((cause.reason.german(), cause.reason.sentence()));
            p .lead { (capital(meaning)) ". " code { (cause.reason.code()) } }
            @if cause.message != cause.reason.sentence() && cause.reason != Reason::NotFound {
                p lang="en" { (cause.message) }
            }
        }
    }
}

/// Begins a sentence.
pub(super) fn capital(sentence: &str) -> String {
    let mut letters = sentence.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

const fn status(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::Invalid => StatusCode::BAD_REQUEST,
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::NotAllowed => StatusCode::FORBIDDEN,
        ErrorKind::Refused => StatusCode::CONFLICT,
        ErrorKind::Overloaded => StatusCode::TOO_MANY_REQUESTS,
        ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::Fault => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
