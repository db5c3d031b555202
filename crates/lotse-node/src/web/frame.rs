//! What all pages have around them: head, navigation, who looks, the switch of languages, and what stops releases.

use lotse_core::agreement::words::Language;
use lotse_core::time::Timestamp;
use maud::{DOCTYPE, Markup, html};

use super::language::code;
use super::moment;
use super::reader::Reader;
use super::visit::{By, Visit};
use crate::hold::ClockDoubt;
use crate::node::Node;

/// Where a page stands in the navigation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Section {
    Overview,
    Log,
    Peers,
    Agreements,
    /// Nowhere: it says that something cannot be shown.
    None,
}

/// The navigation: section, address, German and English name.
const NAVIGATION: [(Section, &str, &str, &str); 4] = [
    (Section::Overview, "/", "Übersicht", "Overview"),
    (Section::Log, "/log", "Austauschprotokoll", "Exchange log"),
    (Section::Peers, "/peers", "Gegenstellen", "Peers"),
    (Section::Agreements, "/agreements", "Vereinbarungen", "Agreements"),
];

/// How well something stands. Shown by a word and a sign, never by colour alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mood {
    Good,
    Waiting,
    Bad,
    Neutral,
}

/// Shows a state as a word with its sign.
pub(super) fn badge(mood: Mood, word: &str) -> Markup {
    let (class, sign) = match mood {
        Mood::Good => ("badge good", "✓"),
        Mood::Waiting => ("badge waiting", "◷"),
        Mood::Bad => ("badge bad", "✕"),
        Mood::Neutral => ("badge", "–"),
    };
    html! { span class=(class) { span aria-hidden="true" { (sign) } " " (word) } }
}

/// Makes the page of a visit.
pub(super) fn page(visit: &Visit, section: Section, title: &str, content: Markup) -> Markup {
    let reader = &visit.reader;
    let bar = html! {
        div .bar {
            nav aria-label=(reader.say("Seiten", "Pages")) {
                ul {
                    @for (place, address, german, english) in NAVIGATION {
                        li {
                            a href=(address) aria-current=[(place == section).then_some("page")] {
                                (reader.say(german, english))
                            }
                        }
                    }
                }
            }
            (person(visit))
        }
    };
    let content = html! {
        (holds(visit))
        h1 { (title) }
        (content)
    };
    document(&visit.node, reader, title, bar, content)
}

/// Makes a page for somebody who is not signed in.
pub(super) fn plain(node: &Node, reader: &Reader, title: &str, content: Markup) -> Markup {
    document(node, reader, title, html! {}, html! { h1 { (title) } (content) })
}

fn document(node: &Node, reader: &Reader, title: &str, bar: Markup, content: Markup) -> Markup {
    let agency = &node.config.agency.name;
    html! {
        (DOCTYPE)
        html lang=(code(reader.language)) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · " (agency) " · Lotse" }
                link rel="stylesheet" href="/style.css";
                link rel="icon" type="image/svg+xml" href="/icon.svg";
            }
            body {
                a .skip href="#content" { (reader.say("Zum Inhalt", "Skip to content")) }
                header {
                    div .bar {
                        p .brand { a href="/" { "Lotse" } span .agency { (agency) } }
                        (switch(reader))
                    }
                    (bar)
                }
                main #content tabindex="-1" { (content) }
                footer { (footer(node, reader)) }
            }
        }
    }
}

fn switch(reader: &Reader) -> Markup {
    html! {
        form .switch method="post" action="/language" {
            input type="hidden" name="back" value=(reader.here);
            @for (language, name) in [(Language::German, "Deutsch"), (Language::English, "English")] {
                @if language == reader.language {
                    span .chosen lang=(code(language)) aria-current="true" { (name) }
                } @else {
                    button type="submit" name="language" value=(code(language)) lang=(code(language)) { (name) }
                }
            }
        }
    }
}

fn person(visit: &Visit) -> Markup {
    let reader = &visit.reader;
    let name = visit.officer.rsplit('/').next().unwrap_or_default();
    let how = match visit.by {
        By::Certificate => reader.say("mit Zertifikat", "by certificate"),
        By::Session => reader.say("mit Einmal-Link", "by one-time link"),
    };
    html! {
        div .person {
            p { (reader.say("Angemeldet: ", "Signed in: ")) strong { (name) } " (" (how) ")" }
            @if visit.by == By::Session {
                form method="post" action="/leave" {
                    button type="submit" { (reader.say("Abmelden", "Sign out")) }
                }
            }
        }
    }
}

/// Says on every page what stops releases.
fn holds(visit: &Visit) -> Markup {
    let holds = &visit.node.holds;
    html! {
        @if holds.log_hold().is_some() {
            div .alarm role="status" {
                p {
                    strong { (visit.say("Protokollsperre. ", "Log hold. ")) }
                    (visit.say(
                        "Die Unversehrtheit des Protokolls steht in Zweifel. Nichts wird übermittelt, nichts signiert, bis die \
                         Administration es klärt (lotse log verify, lotse log resume).",
                        "The integrity of the log is in doubt. Nothing is released or signed until the administrators clear it \
                         (lotse log verify, lotse log resume).",
                    ))
                }
            }
        }
        @if holds.clock_doubt() == Some(ClockDoubt::JumpedAhead) {
            div .alarm role="status" {
                p {
                    strong { (visit.say("Die Uhr ist vorgesprungen. ", "The clock jumped ahead. ")) }
                    (visit.say(
                        "Nichts wird übermittelt, nichts läuft ab, bis die Zeit wieder stimmt oder die Administration sie bestätigt \
                         (lotse clock confirm).",
                        "Nothing is released and nothing expires until the time is right again or the administrators confirm it \
                         (lotse clock confirm).",
                    ))
                }
            }
        }
        @if holds.clock_doubt() == Some(ClockDoubt::SteppedBack) {
            div .alarm role="status" {
                p {
                    strong { (visit.say("Die Uhr ist zurückgesprungen. ", "The clock stepped back. ")) }
                    (visit.say(
                        "Nichts wird übermittelt, bis die Administration die Zeit bestätigt (lotse clock confirm).",
                        "Nothing is released until the administrators confirm the time (lotse clock confirm).",
                    ))
                }
            }
        }
    }
}

fn footer(node: &Node, reader: &Reader) -> Markup {
    let now: Timestamp = node.now();
    html! {
        p {
            (reader.say("Stand: ", "As of: ")) (moment::both(now, reader.language))
            " · " (node.agency)
        }
        p {
            (reader.say(
                "Zeiten in Weltzeit (UTC), wie sie im Protokoll stehen, daneben in deutscher Zeit. Wer diese Seiten ansieht, steht \
                 selbst im Protokoll.",
                "Times are in UTC, as the log has them, beside them German time. Who looks at these pages is in the log too.",
            ))
        }
    }
}
