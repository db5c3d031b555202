//! Text that another agency wrote, or anybody else whom nobody here has checked: how it is shown, on pages and by commands.

/// What is shown in place of a character that would not be seen.
const REPLACEMENT: char = '\u{FFFD}';

/// Replaces characters that cannot be seen but change what is seen: controls but line breaks, marks of direction, and such
/// of no width.
pub(crate) fn visible(text: &str) -> String {
    text.chars().map(|letter| if hides(letter) { REPLACEMENT } else { letter }).collect()
}

/// Does the same, and replaces line breaks too: what is one line stays one.
pub(crate) fn one_line(text: &str) -> String {
    visible(text).replace('\n', "\u{FFFD}")
}

fn hides(letter: char) -> bool {
    (letter.is_control() && letter != '\n')
        || matches!(letter,
            '\u{00AD}' | '\u{061C}' | '\u{180E}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}' | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFB}' | '\u{E0000}'..='\u{E007F}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_hidden_and_one_line_stays_one() {
        assert_eq!(visible("Amt\u{202E}tmA\u{0000}\u{200B}"), "Amt\u{FFFD}tmA\u{FFFD}\u{FFFD}");
        assert_eq!(visible("zwei\nZeilen, ß und Київ"), "zwei\nZeilen, ß und Київ");
        assert_eq!(one_line("a\nVerified\r\u{1b}[2K, ß"), "a\u{FFFD}Verified\u{FFFD}\u{FFFD}[2K, ß");
    }
}
