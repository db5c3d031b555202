//! The commands that a document names, so that each of them can be tried.

use std::fs;

use anyhow::{Context as _, Result};

use crate::generated_file::root;

/// A command of `lotse` in a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// Its words, as a shell would take them apart; the first is `lotse`.
    pub words: Vec<String>,
    /// Whether it stands in a block to be copied, and so is whole. Inside a sentence only its beginning may stand.
    pub whole: bool,
}

/// Finds the commands of a Markdown file, named from the root of the repository.
pub fn commands(name: &str) -> Result<Vec<Named>> {
    let text = fs::read_to_string(root().join(name)).with_context(|| name.to_string())?;
    Ok(commands_of(&text))
}

/// Finds the commands of a Markdown text.
pub fn commands_of(text: &str) -> Vec<Named> {
    let mut found = Vec::new();
    let text = format!("\n{text}");
    for (number, part) in text.split("\n```").enumerate() {
        if number % 2 == 1 {
            let block = part.split_once('\n').map_or("", |(_, block)| block);
            found.extend(block.replace("\\\n", " ").lines().filter_map(|line| command(line, true)));
        } else {
            let words = |part: &str| part.split_whitespace().collect::<Vec<_>>().join(" ");
            let spans = part.split('`').skip(1).step_by(2);
            found.extend(spans.filter_map(|span| command(&words(span), false)));
        }
    }
    found
}

/// Takes a line apart, from the word `lotse` on: what stands before gives it to another user, machine or container.
fn command(line: &str, whole: bool) -> Option<Named> {
    let words = split(line);
    let at = words.iter().position(|word| word == "lotse" || word.ends_with("/lotse"))?;
    let before = &words[..at];
    let lead: Vec<&str> = before.iter().take(2).map(String::as_str).collect();
    if !matches!(lead[..], [] | ["runuser" | "ip", ..] | ["podman", "run" | "exec"]) {
        return None;
    }
    // A user or a container of this name stands before the command.
    let at = if before.is_empty() { at } else { words.iter().rposition(|word| word == "lotse")? };
    let words: Vec<String> = std::iter::once("lotse".to_string()).chain(words[at + 1..].iter().cloned()).collect();
    (words.len() > 1).then_some(Named { words, whole })
}

/// Takes a line apart as a shell does: quotes, `$(…)` as one word, comments and redirections gone.
fn split(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote, mut depth) = (Vec::new(), None::<String>, None, 0);
    let mut letters = line.chars().peekable();
    while let Some(letter) = letters.next() {
        match (letter, quote) {
            ('$', _) if letters.peek() == Some(&'(') => {
                depth += 1;
                letters.next();
                // Every substitution of the documents is a day.
                word.get_or_insert_default().push_str("2026-11-22");
            }
            (')', _) if depth > 0 => depth -= 1,
            _ if depth > 0 => {}
            ('"' | '\'', None) => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (_, Some(open)) if letter == open => quote = None,
            ('#', None) if word.is_none() => break,
            ('>' | '|' | '<', None) if word.is_none() => break,
            (' ', None) => words.extend(word.take()),
            _ => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_found_as_a_shell_takes_them_apart() {
        let text = "Give `lotse log list --peer A` or\n\n```\nlotse init --name \"Jobcenter Hanau\" \\\n    --system akte  # a comment\n\
                    runuser -u lotse -- lotse doctor\ncargo build\nlotse agreement new --from \"$(date -u +%F)\" > file\n\
                    podman build -t lotse .\npodman exec lotse lotse status\n```\nand `lotse.toml` and `lotse`.\n";
        let found: Vec<String> = commands_of(text).iter().map(|named| named.words.join("|")).collect();
        assert_eq!(
            found,
            [
                "lotse|log|list|--peer|A",
                "lotse|init|--name|Jobcenter Hanau|--system|akte",
                "lotse|doctor",
                "lotse|agreement|new|--from|2026-11-22",
                "lotse|status",
            ]
        );
    }
}
