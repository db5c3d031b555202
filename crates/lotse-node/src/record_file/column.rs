//! The columns of a CSV file: which field each means, and how headings are found.

use serde_json::Value;

use super::code::{self, CodeList};
use super::word::{distance, fold};
use crate::wire::partial_date::PartialDate;
use crate::wording::Wording;

/// How the cells of a column are written.
#[derive(Clone, Copy)]
pub enum Kind {
    /// Text as it is.
    Text,
    /// Texts with commas between them.
    Texts,
    /// A day, `01.04.1990` or `1990-04-01`.
    Day,
    /// A day of birth, or what is known of it.
    BirthDay,
    /// A time; a day means its beginning in Germany.
    From,
    /// A time; a day means its end in Germany.
    Until,
    /// The same where an end may be left out.
    OptionalUntil,
    /// `ja` or `nein`.
    Flag,
    /// A whole number, not negative.
    Number,
    /// A code.
    Code(&'static CodeList),
    /// Codes with commas between them.
    Codes(&'static CodeList),
    /// Language tags with their levels, `uk:native,de:A2`.
    Languages,
}

/// One column.
pub struct Column {
    /// English heading. `#` stands for the number of an item, from 1.
    pub english: &'static str,
    /// German heading.
    pub german: &'static str,
    /// Where the value stands in the message's proto JSON; `#` for the item of a list.
    pub path: &'static str,
    /// How the cells are written.
    pub kind: Kind,
    /// Other headings that offices and their systems use.
    pub synonyms: &'static [&'static str],
    /// The field that a cell fills which says only a part of what the column is about.
    pub partial_path: Option<&'static str>,
}

impl Column {
    /// Adds other headings that mean the same.
    pub(super) const fn or(self, synonyms: &'static [&'static str]) -> Column {
        Column { synonyms, ..self }
    }

    /// Names the field that a partial value fills.
    pub(super) const fn or_partial(self, path: &'static str) -> Column {
        Column { partial_path: Some(path), ..self }
    }

    /// Returns the field that a value fills.
    pub(super) fn path_of(&self, value: &Value) -> &'static str {
        let is_partial = || value.as_str().is_some_and(|text| PartialDate::parse(text).is_some());
        self.partial_path.filter(|_| is_partial()).unwrap_or(self.path)
    }

    /// Returns whether a folded heading names this column.
    fn is_named(&self, folded: &str) -> bool {
        [self.english, self.german].iter().chain(self.synonyms).any(|name| fold(name) == folded)
    }

    /// Says how its cells are written, with every code's word: English, and German in brackets.
    pub fn allowed(&self) -> String {
        let all = |list: &CodeList| list.allowed();
        match self.kind {
            Kind::Text => "text".into(),
            Kind::Texts => "texts, `,` between them".into(),
            Kind::Day => "a day, `01.04.1990` or `1990-04-01`".into(),
            Kind::BirthDay => {
                "a day, `01.04.1990` or `1990-04-01`; where it is not known, what is: `00.04.1990` or `04.1990`, `00.00.1990` \
                 or `1990`, `unbekannt`"
                    .into()
            }
            Kind::From => "a day, which means its beginning in Germany, or a time, `01.04.2026 10:30`".into(),
            Kind::Until | Kind::OptionalUntil => "a day, which means its end in Germany, or a time, `01.04.2026 10:30`".into(),
            Kind::Flag => "`ja` or `nein`".into(),
            Kind::Number => "a whole number".into(),
            Kind::Code(list) => format!("one of {}", all(list)),
            Kind::Codes(list) => format!("some of {}; `,` between them", all(list)),
            Kind::Languages => {
                let levels = all(&code::LANGUAGE_LEVEL);
                format!("language tags with a level, `uk:Muttersprache,de:A2`; levels are {levels}")
            }
        }
    }
}

/// A column at its place in a file.
#[derive(Clone)]
pub(super) struct Heading {
    pub(super) column: &'static Column,
    /// Item of a list that it is about, from 0.
    pub(super) item: usize,
    /// The heading as it stands in the file.
    pub(super) name: String,
}

/// Most items of a list (proto: "Lists hold at most 50 items").
const MAX_ITEMS: usize = 50;

/// Finds the column of a heading.
pub(super) fn find(columns: &'static [Column], name: &str) -> Result<Heading, Wording> {
    let folded = fold(name);
    let (pattern, item) = numbered(&folded);
    let matches = |column: &&Column| column.is_named(if column.path.contains('#') { &pattern } else { &folded });
    match columns.iter().find(matches) {
        Some(column) if item.is_none_or(|item| item < MAX_ITEMS) => Ok(Heading {
            column,
            item: item.filter(|_| column.path.contains('#')).unwrap_or(0),
            name: name.to_string(),
        }),
        Some(_) => {
            let german = format!("`{name}`: Einträge haben Nummern von 1 bis {MAX_ITEMS}");
            Err((german, format!("`{name}`: items are numbered from 1 to {MAX_ITEMS}")).into())
        }
        None => Err(unknown(columns, &pattern)),
    }
}

/// Finds the column from which a field of the protocol is filled, `referral.identity.birth_date`, or the list that it is in, or the only
/// column of the message that it is.
pub(super) fn of_field(columns: &'static [Column], field: &str) -> Option<&'static Column> {
    let field = field.strip_prefix("consent.").unwrap_or(field);
    let path: Vec<String> = field.split('.').map(|part| camel(part.split('[').next().unwrap_or(part))).collect();
    let fills = |column: &&Column, path: &[String]| {
        let mut paths = [Some(column.path), column.partial_path].into_iter().flatten();
        paths.any(|filled| filled.split('.').filter(|part| *part != "#").eq(path))
    };
    let around = (1..=path.len()).rev().find_map(|length| columns.iter().find(|column| fills(column, &path[..length])));
    around.or_else(|| {
        let begin = format!("{}.", path.join("."));
        let mut below = columns.iter().filter(|column| column.path.starts_with(&begin));
        below.next().filter(|_| below.next().is_none())
    })
}

/// Lists the columns from which a field of the protocol, or a message of it, is filled.
pub fn columns_of(columns: &'static [Column], field: &str) -> impl Iterator<Item = &'static Column> {
    let field = field.strip_prefix("consent.").unwrap_or(field);
    let path = field.split('.').map(camel).collect::<Vec<_>>().join(".");
    let begin = format!("{path}.");
    columns.iter().filter(move |column| column.path == path || column.path.starts_with(&begin))
}

/// Writes a field's name as proto JSON does.
fn camel(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_string();
    words.fold(first, |written, word| {
        let (head, rest) = word.split_at(word.len().min(1));
        written + &head.to_ascii_uppercase() + rest
    })
}

/// Replaces the number inside a heading by `#`, and returns which item it means. A number 0 is beyond all.
fn numbered(folded: &str) -> (String, Option<usize>) {
    let parts: Vec<&str> = folded.split('_').collect();
    let place = parts.iter().position(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()));
    let Some(place) = place else { return (folded.to_string(), None) };
    let item = parts[place].parse::<usize>().unwrap_or(0).wrapping_sub(1);
    let pattern = parts.iter().enumerate().map(|(at, part)| if at == place { "#" } else { part });
    (pattern.collect::<Vec<_>>().join("_"), Some(item))
}

/// Fewest letters of a heading that is looked for at the end of others: `Name` in `Familienname`.
const MIN_END: usize = 4;

/// Says what would be known. What stands there is not repeated: in a file without headings it is the cell of a person.
fn unknown(columns: &'static [Column], pattern: &str) -> Wording {
    let far = |column: &&Column| {
        let names = [column.german, column.english].into_iter().chain(column.synonyms.iter().copied());
        names.map(|name| distance(pattern, &fold(name))).min().unwrap_or(usize::MAX)
    };
    let ends_so = |column: &&Column| pattern.len() >= MIN_END && fold(column.german).ends_with(pattern);
    let near = columns.iter().min_by_key(far).filter(|column| far(column) <= 1 + pattern.len() / 3);
    match columns.iter().find(ends_so).or(near) {
        Some(Column { german, english, .. }) => {
            let in_german = format!("die Überschrift ist unbekannt; ist {german} gemeint?");
            (in_german, format!("the heading is unknown; did you mean {german} ({english})?")).into()
        }
        None => {
            let known = columns.iter().map(|column| column.german).collect::<Vec<_>>().join(", ");
            let in_german =
                format!("die Überschrift ist unbekannt; die erste Zeile nennt die Spalten, und die sind {known}");
            (in_german, format!("the heading is unknown; the first line names the columns, which are {known}")).into()
        }
    }
}
