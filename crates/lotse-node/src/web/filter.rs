//! What the log is narrowed to: a form that keeps what was typed and says what cannot be read.

use lotse_store::log::Filter;
use maud::{Markup, html};
use serde::Deserialize;

use super::moment;
use super::visit::Visit;
use crate::entry::{Decision, Direction, EntryKind, kind};

/// The fields, as the browser sends them.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default)]
pub(super) struct FilterForm {
    pub(super) kind: String,
    pub(super) direction: String,
    pub(super) decision: String,
    pub(super) peer: String,
    pub(super) record: String,
    pub(super) from: String,
    pub(super) until: String,
    /// Generation of the log; the present one if empty.
    pub(super) generation: String,
    /// Only entries before this one: the next page.
    pub(super) before: String,
}

/// What a form asks for.
#[derive(Clone, Debug, Default)]
pub(super) struct Asked {
    pub(super) filter: Filter,
    pub(super) generation: Option<u32>,
    pub(super) before: Option<u64>,
}

/// A field that cannot be read: its name, and what to do in German and English.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    field: &'static str,
    german: &'static str,
    english: &'static str,
}

const CHOICE: (&str, &str) = ("Bitte aus der Liste wählen.", "Choose from the list.");
const PEER: (&str, &str) = (
    "Gegenstelle: eine Kennung wie jc-hanau.hessen.example angeben.",
    "Peer: give an identifier such as jc-hanau.hessen.example.",
);
const RECORD: (&str, &str) = (
    "Datensatz: eine Kennung der Form 0198c5a4-7d3e-7cc0-8000-000000000001 angeben.",
    "Record: give an identifier of the form 0198c5a4-7d3e-7cc0-8000-000000000001.",
);
const TIME: (&str, &str) = (
    "Zeit: als 2026-11-02T08:00 in UTC angeben, oder einen Tag in Deutschland als 02.11.2026; als Ende zählt er ganz.",
    "Time: give it as 2026-11-02T08:00 in UTC, or a day in Germany as 2026-11-02; as the end it counts whole.",
);
const NUMBER: (&str, &str) = ("Seite: bitte von vorn beginnen.", "Page: begin again at the first one.");

impl FilterForm {
    /// Reads the fields; those that cannot be read are named.
    pub(super) fn read(&self) -> Result<Asked, Vec<Fault>> {
        let mut faults = Vec::new();
        let asked = Asked {
            filter: Filter {
                kind: field(&mut faults, "kind", &self.kind, CHOICE, |text| {
                    EntryKind::try_from(text.parse::<i32>().ok()?).ok().map(|kind| kind as i32)
                }),
                direction: field(&mut faults, "direction", &self.direction, CHOICE, |text| {
                    Direction::try_from(text.parse::<i32>().ok()?).ok().map(|direction| direction as i32)
                }),
                decision: field(&mut faults, "decision", &self.decision, CHOICE, |text| {
                    Decision::try_from(text.parse::<i32>().ok()?).ok().map(|decision| decision as i32)
                }),
                peer: field(&mut faults, "peer", &self.peer, PEER, |text| text.parse().ok()),
                record_id: field(&mut faults, "record", &self.record, RECORD, |text| text.parse().ok()),
                from: field(&mut faults, "from", &self.from, TIME, moment::begin),
                until: field(&mut faults, "until", &self.until, TIME, moment::end),
            },
            generation: field(&mut faults, "generation", &self.generation, NUMBER, |text| text.parse().ok()),
            before: field(&mut faults, "before", &self.before, NUMBER, |text| text.parse().ok()),
        };
        if faults.is_empty() { Ok(asked) } else { Err(faults) }
    }

    /// Tells whether anything narrows the list.
    pub(super) fn narrows(&self) -> bool {
        FilterForm { generation: String::new(), before: String::new(), ..self.clone() } != FilterForm::default()
    }

    /// Writes the address of a page with these fields.
    pub(super) fn address(&self, before: Option<u64>) -> String {
        let form = FilterForm { before: before.map(|index| index.to_string()).unwrap_or_default(), ..self.clone() };
        let fields = [
            ("kind", &form.kind),
            ("direction", &form.direction),
            ("decision", &form.decision),
            ("peer", &form.peer),
            ("record", &form.record),
            ("from", &form.from),
            ("until", &form.until),
            ("generation", &form.generation),
            ("before", &form.before),
        ];
        let given: Vec<String> = fields
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| format!("{name}={}", escaped(value)))
            .collect();
        let query = if given.is_empty() { String::new() } else { format!("?{}", given.join("&")) };
        format!("/log{query}")
    }

    /// Shows the form.
    pub(super) fn show(&self, visit: &Visit, faults: &[Fault]) -> Markup {
        let language = visit.reader.language;
        let kinds = kind::all().map(|kind| (kind as i32, kind::name(kind, language)));
        let directions = [
            (Direction::Out as i32, visit.say("an eine Gegenstelle", "to a peer")),
            (Direction::In as i32, visit.say("von einer Gegenstelle", "from a peer")),
        ];
        let decisions = [
            (Decision::Permit as i32, visit.say("erlaubt", "permitted")),
            (Decision::Refuse as i32, visit.say("abgelehnt", "refused")),
        ];
        let federation = visit.node.federation.get();
        let selects = [
            ("kind", visit.say("Was geschah", "What happened"), &self.kind, kinds.collect::<Vec<_>>()),
            ("direction", visit.say("Richtung", "Direction"), &self.direction, directions.to_vec()),
            ("decision", visit.say("Entscheidung", "Decision"), &self.decision, decisions.to_vec()),
        ];
        let faulty = |name: &str| faults.iter().any(|fault| fault.field == name).then_some("true");
        html! {
            (said(visit, faults))
            form .filter method="get" action="/log" aria-label=(visit.say("Einträge eingrenzen", "Narrow the entries")) {
                @for (name, label, chosen, options) in &selects {
                    p {
                        label for=(name) { (label) }
                        select #(name) name=(name) aria-invalid=[faulty(name)] {
                            option value="" { (visit.say("alle", "all")) }
                            @for (number, text) in options {
                                option value=(number) selected[**chosen == number.to_string()] { (text) }
                            }
                        }
                    }
                }
                p {
                    label for="peer" { (visit.say("Gegenstelle", "Peer")) }
                    input #peer name="peer" value=(self.peer) list="peers" autocomplete="off" spellcheck="false"
                        aria-invalid=[faulty("peer")];
                    datalist #peers { @for agency in federation.peers.keys() { option value=(agency) {} } }
                }
                p {
                    label for="record" { (visit.say("Datensatz (Kennung)", "Record (identifier)")) }
                    input #record name="record" value=(self.record) autocomplete="off" spellcheck="false"
                        aria-invalid=[faulty("record")];
                }
                p {
                    label for="from" { (visit.say("Von (Zeit in UTC, Tag in Deutschland)", "From (time in UTC, day in Germany)")) }
                    input #from name="from" type=(time_field(faulty("from"))) step="1" value=(self.from)
                        aria-invalid=[faulty("from")];
                }
                p {
                    label for="until" { (visit.say("Bis vor (Zeit in UTC, Tag in Deutschland)", "Before (time in UTC, day in Germany)")) }
                    input #until name="until" type=(time_field(faulty("until"))) step="1" value=(self.until)
                        aria-invalid=[faulty("until")];
                }
                @if !self.generation.is_empty() { input type="hidden" name="generation" value=(self.generation); }
                p .actions {
                    button .primary type="submit" { (visit.say("Eingrenzen", "Narrow")) }
                    @if self.narrows() { a href="/log" { (visit.say("Alles zeigen", "Show everything")) } }
                }
            }
        }
    }
}

/// A browser shows nothing in a field for times that holds none: what was typed wrong stays as text.
const fn time_field(faulty: Option<&str>) -> &'static str {
    if faulty.is_some() { "text" } else { "datetime-local" }
}

fn said(visit: &Visit, faults: &[Fault]) -> Markup {
    html! {
        @if !faults.is_empty() {
            div .alarm role="alert" {
                ul { @for fault in faults { li { a href={ "#" (fault.field) } { (visit.say(fault.german, fault.english)) } } } }
            }
        }
    }
}

/// Reads one field; an empty one is none.
fn field<T>(
    faults: &mut Vec<Fault>,
    field: &'static str,
    text: &str,
    (german, english): (&'static str, &'static str),
    read: impl FnOnce(&str) -> Option<T>,
) -> Option<T> {
    let text = text.trim();
    if text.is_empty() {
        return None;
    }
    let value = read(text);
    if value.is_none() {
        faults.push(Fault { field, german, english });
    }
    value
}

/// Escapes a value for a query.
fn escaped(value: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b':');
    value.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form() -> FilterForm {
        FilterForm {
            kind: "4".into(),
            direction: "1".into(),
            decision: "2".into(),
            peer: " aa-hanau.example ".into(),
            record: "0198c5a4-7d3e-7cc0-8000-000000000001".into(),
            from: "2026-11-02T08:00".into(),
            until: "2026-11-03".into(),
            generation: "1".into(),
            before: "120".into(),
        }
    }

    #[test]
    fn every_field_narrows() {
        let asked = form().read().unwrap();
        let Filter { kind, direction, peer, record_id, decision, from, until } = asked.filter;
        assert_eq!((kind, direction, decision), (Some(4), Some(1), Some(2)));
        assert_eq!(peer.unwrap().as_str(), "aa-hanau.example");
        assert_eq!(record_id.unwrap().to_string(), form().record);
        assert_eq!(from, Some("2026-11-02T08:00:00Z".parse().unwrap()));
        assert_eq!(until, Some("2026-11-03T23:00:00Z".parse().unwrap()), "all of this day in Germany");
        assert_eq!((asked.generation, asked.before), (Some(1), Some(120)));
        assert!(form().narrows() && !FilterForm::default().narrows());
        assert!(!FilterForm { before: "7".into(), ..FilterForm::default() }.narrows());
    }

    #[test]
    fn every_field_that_cannot_be_read_is_named() {
        let wrong = || "<b>".to_string();
        let form = FilterForm {
            kind: "99".into(),
            direction: wrong(),
            decision: wrong(),
            peer: wrong(),
            record: wrong(),
            from: wrong(),
            until: wrong(),
            generation: wrong(),
            before: "-1".into(),
        };
        let faults = form.read().unwrap_err();
        assert_eq!(faults.len(), 9, "{faults:?}");
    }

    #[test]
    fn a_page_s_address_keeps_the_fields() {
        let address = FilterForm { peer: "ä&b=c".into(), kind: "4".into(), ..FilterForm::default() }.address(Some(9));
        assert_eq!(address, "/log?kind=4&peer=%C3%A4%26b%3Dc&before=9");
        assert_eq!(FilterForm::default().address(None), "/log");
    }
}
