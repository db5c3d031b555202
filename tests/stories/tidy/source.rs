//! The tree as text: files, and what of a Rust file is code, remark or string.

use std::fs;
use std::path::Path;

/// Folders that are not ours or not written by hand.
const NOT_OURS: [&str; 4] = [".git", "target", "node_modules", "__pycache__"];
/// File names of private keys and key stores.
const KEY_ENDINGS: [&str; 5] = [".key", ".p12", ".pfx", ".jks", ".key.pem"];

/// All files below a root.
pub(super) struct Tree {
    pub(super) files: Vec<Source>,
}

/// One file: its path below the root, with `/`, and its text.
#[derive(PartialEq, Eq)]
pub(super) struct Source {
    pub(super) path: String,
    pub(super) text: String,
}

/// What a piece of Rust is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Code,
    Remark,
    Text,
}

impl Tree {
    /// Reads the files below a folder.
    pub(super) fn read(root: &Path) -> Tree {
        let mut files = Vec::new();
        let mut folders = vec![root.to_path_buf()];
        while let Some(folder) = folders.pop() {
            let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("read {}: {error}", folder.display()));
            for path in entries.flatten().map(|entry| entry.path()) {
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                if path.is_dir() && !NOT_OURS.contains(&name.as_str()) {
                    folders.push(path);
                } else if path.is_file() {
                    let below = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().replace('\\', "/");
                    let bytes = fs::read(&path).unwrap_or_else(|error| panic!("read {}: {error}", path.display()));
                    files.push(Source { path: below, text: String::from_utf8_lossy(&bytes).into_owned() });
                }
            }
        }
        files.sort_by(|one, other| one.path.cmp(&other.path));
        Tree { files }
    }

    /// Makes a tree of paths and texts.
    pub(super) fn of(files: &[(&str, &str)]) -> Tree {
        let source = |(path, text): &(&str, &str)| Source { path: (*path).to_owned(), text: (*text).to_owned() };
        Tree { files: files.iter().map(source).collect() }
    }

    /// The Rust files.
    pub(super) fn rust(&self) -> impl Iterator<Item = &Source> {
        self.files.iter().filter(|file| file.path.ends_with(".rs"))
    }

    /// The manifests of crates, without that of the workspace.
    pub(super) fn crate_manifests(&self) -> impl Iterator<Item = &Source> {
        self.files.iter().filter(|file| file.path.ends_with("/Cargo.toml"))
    }
}

impl Source {
    /// Whether all of the file is a test: a story, or the sibling file of a module's tests.
    pub(super) fn is_test(&self) -> bool {
        let stem = self.path.trim_end_matches(".rs");
        self.path.starts_with("tests/stories/")
            || stem.ends_with("/tests")
            || stem.ends_with("_tests")
            || stem.contains("/tests/")
    }

    /// Counts the lines before the module of tests at the end.
    pub(super) fn lines_without_tests(&self) -> usize {
        let lines = self.text.lines().collect::<Vec<_>>();
        let tests = lines.windows(2).position(|pair| pair[0] == "#[cfg(test)]" && pair[1].ends_with('{'));
        tests.unwrap_or(lines.len())
    }

    /// The code before the module of tests at the end; none of a file that is all a test.
    pub(super) fn code_without_tests(&self) -> String {
        let lines = if self.is_test() { 0 } else { self.lines_without_tests() };
        self.masked(Kind::Code).lines().take(lines).collect::<Vec<_>>().join("\n")
    }

    /// The code of the tests in it.
    pub(super) fn code_of_tests(&self) -> String {
        let lines = if self.is_test() { 0 } else { self.lines_without_tests() };
        self.masked(Kind::Code).lines().skip(lines).collect::<Vec<_>>().join("\n")
    }

    /// The lines of a manifest that name dependencies, numbered from 1.
    pub(super) fn dependency_lines(&self) -> Vec<(usize, &str)> {
        let mut inside = false;
        let mut found = Vec::new();
        for (index, line) in self.text.lines().map(str::trim).enumerate() {
            if line.starts_with('[') {
                inside = line.contains("dependencies");
            } else if inside && !line.is_empty() && !line.starts_with('#') {
                found.push((index + 1, line));
            }
        }
        found
    }

    /// The numbers of the lines whose code names something as part of a path: `name::…`, or anywhere in a `use`.
    pub(super) fn lines_that_name(&self, name: &str) -> Vec<usize> {
        let code = self.masked(Kind::Code);
        let word = |letter: char| letter.is_alphanumeric() || letter == '_';
        let mut lines = Vec::new();
        for (at, _) in code.match_indices(name) {
            let (before, after) = (&code[..at], &code[at + name.len()..]);
            if before.ends_with(word) || after.starts_with(word) {
                continue;
            }
            let statement = &before[before.rfind(';').map_or(0, |end| end + 1)..];
            let in_use = statement.lines().any(|line| line.trim_start().starts_with("use ") || line.contains(" use "));
            if in_use || after.starts_with("::") {
                lines.push(before.lines().count() + usize::from(before.is_empty() || before.ends_with('\n')));
            }
        }
        lines
    }

    /// The strings, with the numbers of the lines on which they begin, without leading white space.
    pub(super) fn strings(&self) -> Vec<(usize, String)> {
        let masked = self.masked(Kind::Text);
        let mut found = Vec::new();
        let mut at = 0;
        for piece in masked.split('"') {
            let text = piece.trim();
            if !text.is_empty() {
                let line = masked[..at].matches('\n').count() + 1;
                found.push((line, piece.trim_start().to_owned()));
            }
            at += piece.len() + 1;
        }
        found
    }

    /// Whether it is a private key, by name or by content.
    pub(super) fn holds_private_key(&self) -> bool {
        let mut lines = self.text.lines().map(str::trim).peekable();
        let mut found = KEY_ENDINGS.iter().any(|ending| self.path.ends_with(ending));
        while let Some(line) = lines.next() {
            let next = lines.peek().copied().unwrap_or_default();
            let base64 =
                next.len() >= 40 && next.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte));
            found |= base64 && line.starts_with("-----BEGIN ") && line.ends_with("PRIVATE KEY-----");
        }
        found
    }

    /// Returns the text with everything but one kind blanked out; line breaks and the quotes of strings stay.
    fn masked(&self, keep: Kind) -> String {
        let mut kept = String::with_capacity(self.text.len());
        let mut rest = self.text.as_str();
        while !rest.is_empty() {
            let (kind, length) = next_piece(rest);
            let (piece, after) = rest.split_at(length);
            let blank = |letter: char| if letter == '\n' { '\n' } else { ' ' };
            match (kind, keep) {
                (Kind::Text, Kind::Text) => kept.push_str(&format!("\"{}\"", inside_quotes(piece))),
                _ if kind == keep => kept.push_str(piece),
                _ => kept.extend(piece.chars().map(blank)),
            }
            rest = after;
        }
        kept
    }
}

/// The calls of a function in code: with the last word of the path before its name, if there is one. Neither its definition nor a
/// method of that name is a call of it.
pub(super) fn calls<'a>(code: &'a str, name: &'a str) -> impl Iterator<Item = Option<&'a str>> {
    let word = |letter: char| letter.is_alphanumeric() || letter == '_';
    code.match_indices(name).filter_map(move |(at, _)| {
        let (before, after) = (&code[..at], &code[at + name.len()..]);
        if !after.starts_with('(') || before.ends_with(|last| word(last) || last == '.') || before.ends_with("fn ") {
            return None;
        }
        let path = before.strip_suffix("::");
        Some(path.map(|path| &path[path.trim_end_matches(word).len()..]))
    })
}

/// Returns what a string literal holds, its own quotes blanked out.
fn inside_quotes(literal: &str) -> String {
    let inner = literal.trim_start_matches(['r', 'b', 'c', '#']).trim_end_matches('#');
    let inner = inner.strip_prefix('"').and_then(|inner| inner.strip_suffix('"')).unwrap_or(inner);
    inner.replace('"', "'")
}

/// Returns what Rust text begins with, and its length in bytes.
fn next_piece(text: &str) -> (Kind, usize) {
    let until = |end: &str| text.find(end).map_or(text.len(), |at| at + end.len());
    if text.starts_with("//") {
        return (Kind::Remark, text.find('\n').unwrap_or(text.len()));
    }
    if text.starts_with("/*") {
        return (Kind::Remark, until("*/"));
    }
    let quoted = text.strip_prefix('b').or_else(|| text.strip_prefix('c')).unwrap_or(text);
    if let Some(raw) = quoted.strip_prefix('r') {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        if let Some(body) = raw[hashes..].strip_prefix('"') {
            let end = format!("\"{}", "#".repeat(hashes));
            let begin = text.len() - body.len();
            return (Kind::Text, body.find(&end).map_or(text.len(), |at| begin + at + end.len()));
        }
    }
    if let Some(body) = quoted.strip_prefix('"') {
        return (Kind::Text, text.len() - body.len() + string_end(body));
    }
    if let Some(length) = character_length(text) {
        return (Kind::Remark, length);
    }
    // A whole word at once, so that the `r` of `for"` never begins a raw string.
    let word = text.find(|letter: char| !letter.is_alphanumeric() && letter != '_').unwrap_or(text.len());
    (Kind::Code, word.max(text.chars().next().map_or(1, char::len_utf8)))
}

/// Returns where a string ends, its closing quote included.
fn string_end(body: &str) -> usize {
    let mut escaped = false;
    for (at, letter) in body.char_indices() {
        match letter {
            '"' if !escaped => return at + 1,
            _ => escaped = letter == '\\' && !escaped,
        }
    }
    body.len()
}

/// Returns the length of a character literal, if the text begins with one and not with a lifetime.
fn character_length(text: &str) -> Option<usize> {
    let body = text.strip_prefix('\'')?;
    let mut letters = body.char_indices();
    let (_, first) = letters.next()?;
    if first == '\\' {
        return body[2..].find('\'').map(|at| 1 + 2 + at + 1);
    }
    letters.next().filter(|(_, second)| *second == '\'').map(|(at, _)| 1 + at + 1)
}

#[test]
fn code_remarks_and_strings_are_told_apart() {
    let text =
        "let a = 'x'; // sqlx::a\nlet b = r#\"choose \"1\" \"#;\nfn c<'a>(d: &'a str) { sqlx::e(\"f\\\"g\", '\\'') }\n";
    let file = Source { path: "a.rs".to_owned(), text: text.to_owned() };
    assert_eq!(file.lines_that_name("sqlx"), [3]);
    let strings = file.strings();
    assert_eq!(strings.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [2, 3]);
    assert!(strings[0].1.starts_with("choose '1'"), "{:?}", strings[0]);
}
