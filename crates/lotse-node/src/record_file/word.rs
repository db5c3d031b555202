//! How headings and codes are compared: neither case, umlauts nor the kind of separator make a difference.

/// Returns a word in the form in which words are compared: `Gewünschte Leistungen` and `gewuenschte_leistungen` are the same.
pub(super) fn fold(word: &str) -> String {
    let mut folded = String::with_capacity(word.len());
    for letter in word.trim().chars().flat_map(char::to_lowercase) {
        match letter {
            'ä' => folded.push_str("ae"),
            'ö' => folded.push_str("oe"),
            'ü' => folded.push_str("ue"),
            'ß' => folded.push_str("ss"),
            '\u{308}' => folded.push('e'), // an umlaut written as letter and dots
            ' ' | '-' | '–' | '.' | '/' | '_' | '\u{a0}' if folded.ends_with('_') => {}
            ' ' | '-' | '–' | '.' | '/' | '\u{a0}' => folded.push('_'),
            other => folded.push(other),
        }
    }
    folded.trim_matches('_').to_string()
}

/// Returns how many letters must be changed, added or removed to make one word of another.
pub(crate) fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (line, letter) in one.chars().enumerate() {
        let mut diagonal = line;
        row[0] = line + 1;
        for (column, candidate) in other.iter().enumerate() {
            let changed = diagonal + usize::from(letter != *candidate);
            diagonal = row[column + 1];
            row[column + 1] = changed.min(row[column] + 1).min(diagonal + 1);
        }
    }
    row[other.len()]
}
