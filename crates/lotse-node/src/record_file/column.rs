//! The columns of a CSV file: which field each means, and how headings are found.

use super::code::{self, CodeList};
use super::word::{distance, fold};

/// How the cells of a column are written.
#[derive(Clone, Copy)]
pub enum Kind {
    /// Text as it is.
    Text,
    /// Texts with commas between them.
    Texts,
    /// A day, `01.04.1990` or `1990-04-01`.
    Day,
    /// A time; a day means its beginning in Germany.
    From,
    /// A time; a day means its end in Germany.
    Until,
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
}

impl Column {
    /// Says how its cells are written, with every code's word: English, and German in brackets.
    pub fn allowed(&self) -> String {
        let all = |list: &CodeList| list.allowed();
        match self.kind {
            Kind::Text => "text".into(),
            Kind::Texts => "texts, `,` between them".into(),
            Kind::Day => "a day, `01.04.1990` or `1990-04-01`".into(),
            Kind::From => "a day, which means its beginning in Germany, or a time, `01.04.2026 10:30`".into(),
            Kind::Until => "a day, which means its end in Germany, or a time, `01.04.2026 10:30`".into(),
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
pub(super) fn find(columns: &'static [Column], name: &str) -> Result<Heading, String> {
    let folded = fold(name);
    let (pattern, item) = numbered(&folded);
    let matches = |column: &&Column| {
        let wanted = if column.path.contains('#') { &pattern } else { &folded };
        fold(column.english) == *wanted || fold(column.german) == *wanted
    };
    match columns.iter().find(matches) {
        Some(column) if item.is_none_or(|item| item < MAX_ITEMS) => Ok(Heading {
            column,
            item: item.filter(|_| column.path.contains('#')).unwrap_or(0),
            name: name.to_string(),
        }),
        Some(_) => Err(format!("`{name}`: items are numbered from 1 to {MAX_ITEMS}")),
        None => Err(unknown(columns, &pattern)),
    }
}

/// Finds the column from which a field of the protocol is filled, `referral.identity.birth_date`, or the list that it is in, or the only
/// column of the message that it is.
pub(super) fn of_field(columns: &'static [Column], field: &str) -> Option<&'static Column> {
    let field = field.strip_prefix("consent.").unwrap_or(field);
    let path: Vec<String> = field.split('.').map(|part| camel(part.split('[').next().unwrap_or(part))).collect();
    let fills = |column: &&Column, path: &[String]| column.path.split('.').filter(|part| *part != "#").eq(path);
    let around = (1..=path.len()).rev().find_map(|length| columns.iter().find(|column| fills(column, &path[..length])));
    around.or_else(|| {
        let begin = format!("{}.", path.join("."));
        let mut below = columns.iter().filter(|column| column.path.starts_with(&begin));
        below.next().filter(|_| below.next().is_none())
    })
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

/// Says what would be known. What stands there is not repeated: in a file without headings it is the cell of a person.
fn unknown(columns: &'static [Column], pattern: &str) -> String {
    let far = |column: &&Column| distance(pattern, &fold(column.german)).min(distance(pattern, &fold(column.english)));
    match columns.iter().min_by_key(far).filter(|column| far(column) <= 1 + pattern.len() / 3) {
        Some(near) => format!("the heading is unknown; did you mean {} ({})?", near.german, near.english),
        None => {
            let known: Vec<&str> = columns.iter().map(|column| column.german).collect();
            format!("the heading is unknown; the first line names the columns, which are {}", known.join(", "))
        }
    }
}
